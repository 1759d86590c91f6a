"""Activities, alone and together, and orchestrators that end or fail by themselves."""

from typing import Any

from durabletask import task

from tests.contract.taskhub.programs.common import Steps, add_one, chain, echo, fail, failing, nothing, slow
from tests.support.conformance.catalog import activity, orchestrator, program
from tests.support.conformance.observation import Order
from tests.support.conformance.run import Run


@program()
async def one_activity(run: Run) -> None:
    await run.go(chain, 1)


@program()
async def chain_of_five(run: Run) -> None:
    await run.go(chain, 5)


@program()
async def no_step_at_all(run: Run) -> None:
    await run.go(nothing, {"kept": ["as", "it", "is"]})


@program()
async def no_input_and_no_output(run: Run) -> None:
    await run.go(nothing)


@orchestrator
def fan(ctx: task.OrchestrationContext, width: int) -> Steps:
    results = yield task.when_all([ctx.call_activity(add_one, input=each) for each in range(width)])
    return results


@program(order=Order.RACING)
async def fan_of_ten(run: Run) -> None:
    await run.go(fan, 10)


@program(order=Order.RACING)
async def fan_of_a_hundred(run: Run) -> None:
    await run.go(fan, 100)


@orchestrator
def fan_then_chain(ctx: task.OrchestrationContext, width: int) -> Steps:
    results = yield task.when_all([ctx.call_activity(add_one, input=each) for each in range(width)])
    total = yield ctx.call_activity(add_one, input=sum(results))
    more = yield task.when_all([ctx.call_activity(add_one, input=total + each) for each in range(width)])
    return more


@program(order=Order.RACING)
async def fan_then_chain_then_fan(run: Run) -> None:
    await run.go(fan_then_chain, 4)


@program()
async def failing_activity_fails_the_orchestration(run: Run) -> None:
    await run.go(failing, "bang")


@orchestrator
def catching(ctx: task.OrchestrationContext, message: str) -> Steps:
    try:
        yield ctx.call_activity(fail, input=message)
    except task.TaskFailedError as failure:
        return [failure.details.error_type, failure.details.message]


@program()
async def failing_activity_is_caught(run: Run) -> None:
    await run.go(catching, "bang")


@program()
async def failing_activity_without_a_message(run: Run) -> None:
    await run.go(catching, "")


@orchestrator
def catching_then_going_on(ctx: task.OrchestrationContext, _: None) -> Steps:
    try:
        yield ctx.call_activity(fail, input="first")
    except task.TaskFailedError:
        number = yield ctx.call_activity(add_one, input=41)
    return number


@program()
async def work_goes_on_after_a_caught_failure(run: Run) -> None:
    await run.go(catching_then_going_on)


@orchestrator
def unknown_activity(ctx: task.OrchestrationContext, _: None) -> Steps:
    yield ctx.call_activity("nobody_registered_this", input=1)


@program()
async def unknown_activity_fails_the_orchestration(run: Run) -> None:
    await run.go(unknown_activity)


@program()
async def unknown_orchestrator_fails(run: Run) -> None:
    await run.go("nobody_registered_this_either", 1)


@orchestrator
def one_of_them_fails(ctx: task.OrchestrationContext, _: None) -> Steps:
    yield task.when_all([ctx.call_activity(add_one, input=1), ctx.call_activity(fail, input="bang")])


@program(order=Order.RACING)
async def failure_in_a_fan(run: Run) -> None:
    await run.go(one_of_them_fails)


@orchestrator
def all_of_them_fail(ctx: task.OrchestrationContext, _: None) -> Steps:
    try:
        yield task.when_all([ctx.call_activity(fail, input="same") for _ in range(3)])
    except task.TaskFailedError as failure:
        return failure.details.message


@program(order=Order.RACING)
async def failures_in_a_fan_are_caught(run: Run) -> None:
    await run.go(all_of_them_fail)


@orchestrator
def first_of_two(ctx: task.OrchestrationContext, _: None) -> Steps:
    quick = ctx.call_activity(echo, input="quick")
    winner = yield task.when_any([quick, ctx.wait_for_external_event("never")])
    return winner is quick


@program()
async def when_any_of_an_activity_and_an_event(run: Run) -> None:
    await run.go(first_of_two)


@orchestrator
def any_of_alls(ctx: task.OrchestrationContext, _: None) -> Steps:
    both = task.when_all([ctx.call_activity(echo, input=each) for each in "ab"])
    winner = yield task.when_any([both, ctx.wait_for_external_event("never")])
    return winner.get_result()


@program(order=Order.RACING)
async def when_any_over_when_all(run: Run) -> None:
    await run.go(any_of_alls)


@orchestrator
def all_of_anys(ctx: task.OrchestrationContext, _: None) -> Steps:
    events = [ctx.wait_for_external_event("never") for _ in range(2)]
    calls = [ctx.call_activity(echo, input=each) for each in "ab"]
    races: list[task.Task[Any]] = [task.when_any([call, event]) for call, event in zip(calls, events, strict=True)]
    winners = yield task.when_all(races)
    return [winner.get_result() for winner in winners]


@program(order=Order.RACING)
async def when_all_over_when_any(run: Run) -> None:
    await run.go(all_of_anys)


@orchestrator
def raising_at_once(_: task.OrchestrationContext, message: str) -> Any:
    raise RuntimeError(message)


@program()
async def orchestrator_that_raises_at_once(run: Run) -> None:
    await run.go(raising_at_once, "never began")


@orchestrator
def raising_later(ctx: task.OrchestrationContext, message: str) -> Steps:
    yield ctx.call_activity(echo, input=1)
    raise LookupError(message)


@program()
async def orchestrator_that_raises_after_a_step(run: Run) -> None:
    await run.go(raising_later, "got this far")


@orchestrator
def leaving_work_behind(ctx: task.OrchestrationContext, _: None) -> Steps:
    ctx.call_activity(slow, input=0.2)
    number = yield ctx.call_activity(add_one, input=1)
    return number


@orchestrator
def working_slowly(ctx: task.OrchestrationContext, seconds: float) -> Steps:
    ctx.set_custom_status("working")
    result = yield ctx.call_activity(slow, input=seconds)
    return result


@program()
async def work_that_nobody_waits_for(run: Run) -> None:
    await run.go(leaving_work_behind)
    await run.go(working_slowly, 0.6, name="until-that-work-has-ended")


@orchestrator
def returning_what_is_no_json(_: task.OrchestrationContext, __: None) -> Any:
    return {1, 2}


@program()
async def output_that_is_no_json(run: Run) -> None:
    await run.go(returning_what_is_no_json)


@orchestrator
def yielding_no_task(ctx: task.OrchestrationContext, _: None) -> Any:
    yield ctx.call_activity(echo, input=1)
    yield "this is no task"


@program()
async def yielding_something_that_is_no_task(run: Run) -> None:
    await run.go(yielding_no_task)


@activity
def returning_what_is_no_json_either(_: task.ActivityContext, __: None) -> Any:
    return {1, 2}


@orchestrator
def calling_for_no_json(ctx: task.OrchestrationContext, _: None) -> Steps:
    yield ctx.call_activity(returning_what_is_no_json_either)


@program()
async def activity_result_that_is_no_json(run: Run) -> None:
    await run.go(calling_for_no_json)


@orchestrator
def echoing(ctx: task.OrchestrationContext, values: list[Any]) -> Steps:
    heard: list[Any] = []
    for value in values:
        heard += [(yield ctx.call_activity(echo, input=value))]
    return heard


@program()
async def payloads_of_every_kind(run: Run) -> None:
    await run.go(echoing, [None, 0, False, "", [], {}, 1.5, "ü € 😀 \u0000 \n", {"nested": [{"deep": None}]}])


@program()
async def payload_of_a_megabyte(run: Run) -> None:
    state = await run.go(nothing, "x" * 2**20)
    run.note("length", len(str(state.get_output())))


@orchestrator
def replay_differs(ctx: task.OrchestrationContext, key: str) -> Steps:
    from_now_on = yield ctx.call_activity(counted, input=key)
    yield ctx.call_activity(echo if _count(key) % 2 else add_one, input=from_now_on)
    yield ctx.call_activity(echo, input=2)


_counts: dict[str, int] = {}


def _count(key: str) -> int:
    _counts[key] = _counts.get(key, 0) + 1
    return _counts[key]


@activity
def counted(_: task.ActivityContext, __: str) -> int:
    return 1


@program()
async def orchestrator_that_is_not_deterministic(run: Run) -> None:
    await run.go(replay_differs, run.nonce)
