"""Several features of the protocol at once, where one might get in the way of the other."""

from datetime import timedelta
from typing import Any

from durabletask import task
from durabletask.client import OrchestrationStatus
from durabletask.entities import DurableEntity, EntityInstanceId

from tests.contract.taskhub.programs.common import Steps, add_one, chain, echo, fail, flaky, nothing, waiting
from tests.contract.taskhub.programs.retries import MOMENT
from tests.contract.taskhub.programs.sub_orchestrations import counting_down
from tests.contract.taskhub.programs.timers import SOON
from tests.support.conformance.catalog import entity, orchestrator, program
from tests.support.conformance.observation import Order
from tests.support.conformance.run import Run


@orchestrator
def impatient(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    """Tries again and again, but not for longer than a moment: [a key, how many times it fails, seconds]."""
    policy = task.RetryPolicy(first_retry_interval=timedelta(milliseconds=asked[3]), max_number_of_attempts=9)
    work = ctx.call_activity(flaky, input=asked[:2], retry_policy=policy)
    timeout = ctx.create_timer(timedelta(seconds=asked[2]))
    winner = yield task.when_any([work, timeout])
    if winner is timeout:
        return "too slow"
    timeout.cancel()
    return work.get_result()


@program()
async def retries_that_beat_a_timer(run: Run) -> None:
    await run.go(impatient, [run.nonce, 2, 3600, 20])


@program()
async def timer_that_beats_the_retries(run: Run) -> None:
    await run.go(impatient, [run.nonce, 9, 0.2, 3_600_000])


@orchestrator
def child_of_all_kinds(ctx: task.OrchestrationContext, number: int) -> Steps:
    yield ctx.create_timer(SOON)
    value = yield ctx.call_activity(add_one, input=number)
    total = yield ctx.call_entity(EntityInstanceId("ledger", f"{ctx.instance_id}"), "add", value)
    return total


@orchestrator
def parent_of_all_kinds(ctx: task.OrchestrationContext, width: int) -> Steps:
    children: list[task.Task[Any]] = [
        ctx.call_sub_orchestrator(child_of_all_kinds, input=each) for each in range(width)
    ]
    totals = yield task.when_all(children)
    left = yield ctx.call_sub_orchestrator(counting_down, input=2)
    return [totals, left]


@entity
class Ledger(DurableEntity):
    """A sum, and who was told of it."""

    def add(self, amount: int) -> int:
        total = self.get_state(int, 0) + amount
        self.set_state(total)
        return total

    def announce(self, instance_id: str) -> None:
        self.schedule_new_orchestration(
            "telling_the_ledger", input=str(self.entity_context.entity_id), instance_id=instance_id
        )


@orchestrator
def telling_the_ledger(ctx: task.OrchestrationContext, ledger: str) -> Steps:
    ctx.signal_entity(EntityInstanceId.parse(ledger), "add", 100)
    yield ctx.call_activity(echo, input="told")


@program(order=Order.BAG)
async def children_with_timers_activities_and_entities(run: Run) -> None:
    await run.go(parent_of_all_kinds, 3)


@program()
async def entity_starts_an_orchestration_that_signals_it(run: Run) -> None:
    one = run.entity("ledger")
    await run.client.signal_entity(one, "add", 1)
    await run.client.signal_entity(one, "announce", run.id())
    run.watch(run.id())
    await run.entity_state(one, 101)
    await run.finished()


@orchestrator
def saving_across_lives(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    one, life = EntityInstanceId.parse(asked[0]), asked[1]
    yield ctx.call_entity(one, "add", life)
    done = yield ctx.wait_for_external_event("next")
    if done == "end":
        total = yield ctx.call_entity(one, "add", 0)
        return total
    ctx.continue_as_new([asked[0], life + 1], save_events=True)


@program(order=Order.RACING)
async def entity_calls_in_every_life(run: Run) -> None:
    one = run.entity("ledger")
    await run.start(saving_across_lives, [str(one), 1])
    await run.entity_state(one, 1)
    await run.client.raise_orchestration_event(run.id(), "next", data="on")
    await run.entity_state(one, 3)
    await run.client.raise_orchestration_event(run.id(), "next", data="end")
    await run.finished()


@orchestrator
def locking_around_a_child(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    one = EntityInstanceId.parse(asked[0])
    with (yield ctx.lock_entities([one])):
        before = yield ctx.call_entity(one, "add", 1)
        steps = yield ctx.call_sub_orchestrator(chain, input=2)
        yield ctx.create_timer(SOON)
        after = yield ctx.call_entity(one, "add", steps)
    return [before, after]


@program()
async def child_and_timer_while_an_entity_is_locked(run: Run) -> None:
    await run.go(locking_around_a_child, [str(run.entity("ledger"))])


@orchestrator
def waiting_for_a_child(ctx: task.OrchestrationContext, child: str) -> Steps:
    ctx.set_custom_status("waiting for the child")
    result = yield ctx.call_sub_orchestrator(waiting, input="go", instance_id=child)
    more = yield ctx.call_activity(echo, input=[result, "and more"])
    return more


@program(order=Order.RACING)
async def child_that_ends_while_its_parent_is_suspended(run: Run) -> None:
    child = run.id("child")
    await run.start(waiting_for_a_child, child)
    await run.says("waiting", child)
    await run.client.suspend_orchestration(run.id())
    await run.has(OrchestrationStatus.SUSPENDED)
    await run.client.raise_orchestration_event(child, "go", data="done")
    await run.finished(child)
    await run.client.resume_orchestration(run.id())
    await run.finished()


@program(order=Order.RACING)
async def suspended_child_holds_up_its_parent(run: Run) -> None:
    child = run.id("child")
    await run.start(waiting_for_a_child, child)
    await run.says("waiting", child)
    await run.client.suspend_orchestration(child)
    await run.has(OrchestrationStatus.SUSPENDED, child)
    await run.client.raise_orchestration_event(child, "go", data="kept")
    await run.client.resume_orchestration(child)
    await run.finished()


@orchestrator
def fan_with_a_failure(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    key, width = asked
    calls: list[task.Task[Any]] = [ctx.call_activity(add_one, input=each) for each in range(width)]
    results = yield task.when_all([*calls, ctx.call_activity(flaky, input=[key, 1])])
    yield ctx.create_timer(MOMENT)
    return results


@program(order=Order.BAG)
async def rewinding_a_fan_runs_only_what_failed(run: Run) -> None:
    await run.go(fan_with_a_failure, [run.nonce, 4])
    await run.client.rewind_orchestration(run.id())
    await run.recorded("executionRewound")
    await run.finished()


@orchestrator
def events_and_children(ctx: task.OrchestrationContext, _: None) -> Steps:
    ctx.set_custom_status("open")
    child = ctx.call_sub_orchestrator(nothing, input="child")
    event = ctx.wait_for_external_event("event")
    activity = ctx.call_activity(echo, input="activity")
    timer = ctx.create_timer(SOON)
    results = yield task.when_all([child, event, activity, timer])
    return results


@program(order=Order.RACING)
async def one_of_each_kind_waited_for_together(run: Run) -> None:
    await run.start(events_and_children)
    await run.says("open")
    await run.client.raise_orchestration_event(run.id(), "event", data="event")
    await run.finished()


@orchestrator
def compensating(ctx: task.OrchestrationContext, message: str) -> Steps:
    """Undoes what it has done, in reverse, when a step fails."""
    done = []
    try:
        for step in ("reserve", "pay"):
            yield ctx.call_activity(echo, input=step)
            done.append(step)
        yield ctx.call_activity(fail, input=message)
    except task.TaskFailedError:
        for step in reversed(done):
            yield ctx.call_activity(echo, input=f"undo {step}")
        raise


@program()
async def saga_that_undoes_its_steps(run: Run) -> None:
    await run.go(compensating, "out of stock")


@orchestrator
def event_in_a_retry(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    ctx.set_custom_status("trying")
    result = yield from retrying_part(ctx, asked)
    event = yield ctx.wait_for_external_event("note")
    return [result, event]


def retrying_part(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    """A part of an orchestrator that is a generator of its own."""
    policy = task.RetryPolicy(first_retry_interval=timedelta(milliseconds=300), max_number_of_attempts=3)
    result = yield ctx.call_activity(flaky, input=asked, retry_policy=policy)
    return result


@program()
async def event_that_comes_between_two_attempts(run: Run) -> None:
    await run.start(event_in_a_retry, [run.nonce, 1])
    await run.recorded("timerCreated")
    await run.client.raise_orchestration_event(run.id(), "note", data="early")
    await run.finished()
