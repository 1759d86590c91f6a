"""External events: waited for, buffered, by any case, in order, sent by other orchestrations."""

from typing import Any

from durabletask import task

from tests.contract.taskhub.programs.common import Steps, echo, nothing, waiting
from tests.support.conformance.catalog import orchestrator, program
from tests.support.conformance.observation import Order
from tests.support.conformance.run import Run


@program()
async def event_that_is_waited_for(run: Run) -> None:
    await run.start(waiting, "go")
    await run.says("waiting")
    await run.client.raise_orchestration_event(run.id(), "go", data={"who": "me"})
    await run.finished()


@program()
async def event_names_are_compared_without_regard_to_case(run: Run) -> None:
    await run.start(waiting, "Go")
    await run.says("waiting")
    await run.client.raise_orchestration_event(run.id(), "gO", data=1)
    await run.finished()


@program()
async def event_without_data(run: Run) -> None:
    await run.start(waiting, "go")
    await run.says("waiting")
    await run.client.raise_orchestration_event(run.id(), "go")
    await run.finished()


@orchestrator
def opened_late(ctx: task.OrchestrationContext, _: None) -> Steps:
    ctx.set_custom_status("closed")
    yield ctx.wait_for_external_event("open")
    values: list[Any] = []
    while len(values) < 3:
        values += [(yield ctx.wait_for_external_event("value"))]
    return values


@program()
async def events_are_buffered_in_order(run: Run) -> None:
    await run.start(opened_late)
    await run.says("closed")
    for number in range(3):
        await run.client.raise_orchestration_event(run.id(), "VALUE" if number else "value", data=number)
        await run.recorded("eventRaised", times=number + 1)
    await run.client.raise_orchestration_event(run.id(), "open")
    await run.finished()


@program(order=Order.RACING)
async def events_before_the_first_turn(run: Run) -> None:
    await run.start(opened_late)
    for name, data in (("value", 1), ("value", 2), ("open", None), ("value", 3)):
        await run.client.raise_orchestration_event(run.id(), name, data=data)
    await run.finished()


@orchestrator
def three_waits_for_one_name(ctx: task.OrchestrationContext, _: None) -> Steps:
    ctx.set_custom_status("waiting")
    values = yield task.when_all([ctx.wait_for_external_event("value") for _ in range(3)])
    return values


@program(order=Order.RACING)
async def waits_for_one_name_are_served_in_order(run: Run) -> None:
    await run.start(three_waits_for_one_name)
    await run.says("waiting")
    for number in range(3):
        await run.client.raise_orchestration_event(run.id(), "value", data=number)
        await run.recorded("eventRaised", times=number + 1)
    await run.finished()


@orchestrator
def three_names(ctx: task.OrchestrationContext, _: None) -> Steps:
    ctx.set_custom_status("waiting")
    values = yield task.when_all([ctx.wait_for_external_event(name) for name in "abc"])
    return values


@program()
async def events_of_several_names_in_another_order(run: Run) -> None:
    await run.start(three_names)
    await run.says("waiting")
    for number, name in enumerate("cab"):
        await run.client.raise_orchestration_event(run.id(), name, data=name * 2)
        await run.recorded("eventRaised", times=number + 1)
    await run.finished()


@orchestrator
def first_of_three_names(ctx: task.OrchestrationContext, _: None) -> Steps:
    ctx.set_custom_status("waiting")
    waits = {name: ctx.wait_for_external_event(name) for name in "abc"}
    winner = yield task.when_any(list(waits.values()))
    return [name for name, wait in waits.items() if wait is winner]


@program()
async def first_of_several_events(run: Run) -> None:
    await run.start(first_of_three_names)
    await run.says("waiting")
    await run.client.raise_orchestration_event(run.id(), "b", data=1)
    await run.finished()


@orchestrator
def cancelled_wait(ctx: task.OrchestrationContext, _: None) -> Steps:
    abandoned = ctx.wait_for_external_event("value")
    abandoned.cancel()
    ctx.set_custom_status("waiting")
    value = yield ctx.wait_for_external_event("value")
    return value


@program()
async def cancelled_wait_takes_no_event(run: Run) -> None:
    await run.start(cancelled_wait)
    await run.says("waiting")
    await run.client.raise_orchestration_event(run.id(), "value", data="for the second")
    await run.finished()


@program()
async def event_nobody_waits_for(run: Run) -> None:
    await run.start(waiting, "go")
    await run.says("waiting")
    await run.client.raise_orchestration_event(run.id(), "something-else", data=1)
    await run.recorded("eventRaised")
    await run.client.raise_orchestration_event(run.id(), "go", data=2)
    await run.finished()


@program()
async def event_for_a_finished_orchestration(run: Run) -> None:
    await run.go(nothing, 1)
    await run.note_refusal("event", run.client.raise_orchestration_event(run.id(), "go", data=1))


@program()
async def event_for_an_unknown_orchestration(run: Run) -> None:
    await run.note_refusal("event", run.client.raise_orchestration_event(run.id("nobody"), "go", data=1))


@orchestrator
def sender(ctx: task.OrchestrationContext, target: list[Any]) -> Steps:
    instance_id, name, data = target
    ctx.send_event(instance_id, name, data=data)
    done = yield ctx.call_activity(echo, input="sent")
    return done


@program()
async def event_from_another_orchestration(run: Run) -> None:
    await run.start(waiting, "go", name="receiver")
    await run.says("waiting", run.id("receiver"))
    await run.go(sender, [run.id("receiver"), "GO", {"from": "sender"}])
    await run.finished(run.id("receiver"))


@program()
async def event_sent_to_nobody(run: Run) -> None:
    await run.go(sender, [run.id("nobody"), "go", 1])


@program()
async def event_sent_to_a_finished_orchestration(run: Run) -> None:
    await run.go(nothing, 1, name="receiver")
    await run.go(sender, [run.id("receiver"), "go", 1])


@orchestrator
def sending_to_itself(ctx: task.OrchestrationContext, _: None) -> Steps:
    ctx.send_event(ctx.instance_id, "self", data="hello")
    value = yield ctx.wait_for_external_event("self")
    return value


@program()
async def event_sent_to_itself(run: Run) -> None:
    await run.go(sending_to_itself)


@orchestrator
def sending_to_an_entity(ctx: task.OrchestrationContext, _: None) -> Steps:
    ctx.send_event("@an@entity", "go")
    yield ctx.call_activity(echo, input=1)


@program()
async def event_to_an_entity_id_fails(run: Run) -> None:
    await run.go(sending_to_an_entity)


@orchestrator
def ping_pong(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    other, rounds, serves = asked
    ctx.set_custom_status("ready")
    if serves:
        yield ctx.wait_for_external_event("serve")
        ctx.send_event(other, "ball", data=0)
    last = 0
    for played in range(rounds):
        last = yield ctx.wait_for_external_event("ball")
        if not serves or played < rounds - 1:
            ctx.send_event(other, "ball", data=last + 1)
    yield ctx.call_activity(echo, input=last)
    return last


@program()
async def two_orchestrations_that_answer_each_other(run: Run) -> None:
    left, right = run.id("left"), run.id("right")
    await run.start(ping_pong, [right, 3, True], name="left")
    await run.start(ping_pong, [left, 3, False], name="right")
    await run.says("ready", left)
    await run.says("ready", right)
    await run.client.raise_orchestration_event(left, "serve")
    await run.finished(left)
    await run.finished(right)
