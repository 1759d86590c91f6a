"""Sub-orchestrations: their results and failures, their ids, and what becomes of them with their parents."""

from typing import Any

from durabletask import task

from tests.contract.taskhub.programs.common import Steps, add_one, chain, echo, flaky, nothing, waiting
from tests.contract.taskhub.programs.timers import SOON
from tests.support.conformance.catalog import orchestrator, program
from tests.support.conformance.observation import Order
from tests.support.conformance.run import Run


@orchestrator
def parent_of(ctx: task.OrchestrationContext, child: list[Any]) -> Steps:
    ctx.set_custom_status("begun")
    result = yield ctx.call_sub_orchestrator(child[0], input=child[1])
    return result


@orchestrator
def parent_of_named(ctx: task.OrchestrationContext, child: list[Any]) -> Steps:
    ctx.set_custom_status("begun")
    result = yield ctx.call_sub_orchestrator(child[0], input=child[1], instance_id=child[2])
    return result


@program()
async def child_without_an_id(run: Run) -> None:
    await run.go(parent_of, ["chain", 2])


@program()
async def child_with_an_id(run: Run) -> None:
    await run.go(parent_of_named, ["chain", 2, run.id("child")])


@program()
async def child_without_input_and_output(run: Run) -> None:
    await run.go(parent_of, ["nothing", None])


@orchestrator
def generations(ctx: task.OrchestrationContext, depth: int) -> Steps:
    if depth == 0:
        result = yield ctx.call_activity(echo, input=ctx.parent_instance_id is not None)
        return [result]
    below = yield ctx.call_sub_orchestrator(generations, input=depth - 1)
    return [depth, *below]


@program()
async def children_of_children(run: Run) -> None:
    await run.go(generations, 3)


@orchestrator
def siblings(ctx: task.OrchestrationContext, count: int) -> Steps:
    results = yield task.when_all([ctx.call_sub_orchestrator(chain, input=each) for each in range(1, count + 1)])
    return results


@program(order=Order.RACING)
async def children_side_by_side(run: Run) -> None:
    await run.go(siblings, 5)


@orchestrator
def children_one_after_another(ctx: task.OrchestrationContext, count: int) -> Steps:
    total = 0
    for _ in range(count):
        total += yield ctx.call_sub_orchestrator(chain, input=1)
        total = yield ctx.call_activity(add_one, input=total)
    return total


@program()
async def children_and_activities_in_turns(run: Run) -> None:
    await run.go(children_one_after_another, 3)


@program()
async def failing_child_fails_its_parent(run: Run) -> None:
    await run.go(parent_of, ["failing", "bang"])


@orchestrator
def catching_a_child(ctx: task.OrchestrationContext, child: list[Any]) -> Steps:
    try:
        yield ctx.call_sub_orchestrator(child[0], input=child[1], instance_id=f"{ctx.instance_id}-child")
    except task.TaskFailedError as failure:
        seen = yield ctx.call_activity(echo, input="bang" in failure.details.message)
        return seen
    return "it did not fail"


@program()
async def failing_child_is_caught(run: Run) -> None:
    await run.go(catching_a_child, ["failing", "bang"])


@program()
async def unknown_child_fails(run: Run) -> None:
    await run.go(catching_a_child, ["nobody_registered_this_child", "bang"])


@program()
async def child_that_is_terminated_fails_its_parent(run: Run) -> None:
    await run.start(catching_a_child, ["waiting", "go"])
    child = f"{run.id()}-child"
    await run.says("waiting", child)
    await run.client.terminate_orchestration(child, output="enough")
    await run.finished()


@program()
async def child_that_waits_for_an_event(run: Run) -> None:
    await run.start(parent_of_named, ["waiting", "go", run.id("child")])
    await run.says("waiting", run.id("child"))
    await run.client.raise_orchestration_event(run.id("child"), "go", data="from outside")
    await run.finished()


@orchestrator
def counting_down(ctx: task.OrchestrationContext, number: int) -> Steps:
    if number == 0:
        return "lift-off"
    left = yield ctx.call_activity(add_one, input=number - 2)
    ctx.continue_as_new(left)


@program()
async def child_that_continues_as_new(run: Run) -> None:
    await run.go(parent_of_named, ["counting_down", 3, run.id("child")])


@orchestrator
def racing_a_child(ctx: task.OrchestrationContext, _: None) -> Steps:
    child = ctx.call_sub_orchestrator(waiting, input="go", instance_id=f"{ctx.instance_id}-child")
    timer = ctx.create_timer(SOON)
    winner = yield task.when_any([child, timer])
    return winner is timer


@program()
async def child_that_outlives_its_parent(run: Run) -> None:
    await run.go(racing_a_child)
    child = f"{run.id()}-child"
    await run.says("waiting", child)
    await run.client.raise_orchestration_event(child, "go", data="too late for the parent")
    await run.finished(child)


@program()
async def child_with_the_id_of_a_running_orchestration(run: Run) -> None:
    await run.start(waiting, "go", name="taken")
    await run.says("waiting", run.id("taken"))
    await run.go(parent_of_named, ["nothing", 1, run.id("taken")])
    await run.client.raise_orchestration_event(run.id("taken"), "go")
    await run.finished(run.id("taken"))


@program()
async def child_with_the_id_of_a_finished_orchestration(run: Run) -> None:
    await run.go(nothing, "before", name="taken")
    await run.go(parent_of_named, ["nothing", "after", run.id("taken")])


@orchestrator
def flaky_child(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    result = yield ctx.call_activity(flaky, input=asked)
    return result


@orchestrator
def retrying_a_child(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    policy = task.RetryPolicy(first_retry_interval=SOON, max_number_of_attempts=3)
    result = yield ctx.call_sub_orchestrator(flaky_child, input=asked, retry_policy=policy)
    return result


@program()
async def child_that_is_tried_again(run: Run) -> None:
    await run.go(retrying_a_child, [run.nonce, 2])


@program()
async def child_that_fails_at_every_try(run: Run) -> None:
    await run.go(retrying_a_child, [run.nonce, 9])


@program()
async def grandchild_that_fails_fails_them_all(run: Run) -> None:
    await run.go(parent_of, ["parent_of", ["failing", "bang"]])
