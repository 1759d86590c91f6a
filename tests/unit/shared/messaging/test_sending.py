"""Each message leaves from a span of its own, whose context goes with it; dead letters are counted where they die."""

import pytest

from shared import names
from shared.contracts import AgentTask
from shared.errors import AgentFailed, BusUnavailable, InvalidMessage
from shared.messaging.bus import carried_traceparent
from shared.messaging.dead import counted_if_dead
from shared.messaging.sending import publish_traced, send_traced
from shared.telemetry import names as tracing
from shared.telemetry.attributes import (
    AGENT,
    ERROR_TYPE,
    FAULT_DOMAIN,
    MESSAGE_ID,
    MESSAGING_DESTINATION,
    MESSAGING_OPERATION,
    MESSAGING_SYSTEM,
    STEP_ID,
    TASK_ID,
)
from shared.telemetry.faults import OTHER
from tests.support.app_world import BrokenBus, World
from tests.support.documents import a_task, an_event
from tests.support.kept_telemetry import KeptTelemetry

RUN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
QUEUE = "research-tasks"


async def test_each_task_carries_the_context_of_its_own_span(world: World) -> None:
    kept = KeptTelemetry()
    tasks = [a_task(), a_task(step_id="second")]
    await send_traced(QUEUE, tasks, world.but(telemetry=kept), parent=RUN)
    contexts = [f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01" for span in kept.spans]
    messages = world.bus.taken(QUEUE)
    assert [message.traceparent for message in messages] == contexts
    assert [AgentTask.model_validate_json(message.body).traceparent for message in messages] == contexts
    assert {span.parent.span_id for span in kept.spans if span.parent} == {int(RUN[36:52], 16)}
    assert kept.spans[0].attributes == {
        TASK_ID: "run-1",
        STEP_ID: "research",
        AGENT: "research",
        MESSAGING_SYSTEM: "servicebus",
        MESSAGING_DESTINATION: QUEUE,
        MESSAGING_OPERATION: "send",
        MESSAGE_ID: "run-1:research:1",
    }


async def test_an_event_carries_the_context_of_its_span(world: World) -> None:
    kept = KeptTelemetry()
    await publish_traced([an_event()], world.but(telemetry=kept), parent=RUN)
    [message] = world.bus.taken(f"{names.EVENTS_TOPIC}/everyone")
    span = kept.span_named(f"send {names.EVENTS_TOPIC}")
    assert message.traceparent == f"{RUN[:36]}{span.context.span_id:016x}-01"


async def test_a_bus_that_does_not_answer_fails_every_span_of_the_batch(world: World) -> None:
    kept = KeptTelemetry()
    broken = world.but(telemetry=kept, bus=BrokenBus(BusUnavailable("down")))
    with pytest.raises(BusUnavailable):
        await send_traced(QUEUE, [a_task(), a_task(step_id="second")], broken, parent=None)
    assert [(span.attributes or {})[FAULT_DOMAIN] for span in kept.spans] == ["broker", "broker"]


async def test_with_telemetry_off_a_task_is_sent_as_it_is(world: World) -> None:
    task = a_task(traceparent=RUN)
    await send_traced(QUEUE, [task], world.resources, parent=None)
    [message] = world.bus.taken(QUEUE)
    assert AgentTask.model_validate_json(message.body) == task


@pytest.mark.parametrize(
    ("properties", "found"),
    [
        ({}, None),
        (None, None),
        ({"traceparent": RUN}, RUN),
        ({"Diagnostic-Id": RUN}, RUN),
        ({"traceparent": RUN, "Diagnostic-Id": RUN.replace("0af", "0ae")}, RUN),
        ({"traceparent": "nonsense", "Diagnostic-Id": RUN}, RUN),
        ({"Diagnostic-Id": "|4bf92f35-77b34da6."}, None),
        ({"traceparent": 5}, None),
        ({"traceparent": RUN + "\n"}, None),
    ],
)
def test_the_context_of_a_message_is_read_from_either_property(properties: dict[str, object], found: str) -> None:
    assert carried_traceparent(properties) == found


@pytest.mark.parametrize(
    ("deliveries", "counted"),
    [(None, False), (1, False), (names.MAX_DELIVERIES - 1, False), (names.MAX_DELIVERIES, True)],
)
def test_a_message_that_is_given_back_dies_at_its_last_delivery(deliveries: int | None, counted: bool) -> None:
    kept = KeptTelemetry()
    with pytest.raises(InvalidMessage), counted_if_dead(kept, QUEUE, deliveries):
        raise InvalidMessage("no task")
    about = {
        MESSAGING_DESTINATION: QUEUE,
        ERROR_TYPE: "InvalidMessage",
        FAULT_DOMAIN: "input",
    }
    assert kept.measured() == ({tracing.DEAD_LETTERS.name: [(about, 1)]} if counted else {})


def test_a_step_that_failed_dies_of_what_it_failed_of() -> None:
    kept = KeptTelemetry()
    with pytest.raises(AgentFailed), counted_if_dead(kept, QUEUE, names.MAX_DELIVERIES, agent="research"):
        raise AgentFailed("it failed", cause="ModelRefused")
    [(about, _)] = kept.measured()[tracing.DEAD_LETTERS.name]
    assert (about[AGENT], about[ERROR_TYPE]) == ("research", "ModelRefused")


def test_what_a_step_failed_of_is_told_only_if_it_can_be_the_name_of_a_type() -> None:
    kept = KeptTelemetry()
    with pytest.raises(AgentFailed), counted_if_dead(kept, QUEUE, names.MAX_DELIVERIES, agent="research"):
        raise AgentFailed("it failed", cause="what the patient wrote")
    [(about, _)] = kept.measured()[tracing.DEAD_LETTERS.name]
    assert about[ERROR_TYPE] == OTHER


def test_a_message_that_is_completed_is_no_dead_letter() -> None:
    kept = KeptTelemetry()
    with counted_if_dead(kept, QUEUE, names.MAX_DELIVERIES):
        pass
    assert kept.measured() == {}
