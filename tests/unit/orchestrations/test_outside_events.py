"""Events from outside: each begins one run, whoever delivers it how often, and what can never be one is refused."""

import asyncio
import json
from typing import Any

import pytest
from pydantic import JsonValue

from agents.catalog import CATALOG
from orchestrations.outside_events import as_request, event_key, start_run_of_event
from orchestrations.requests import EventDrivenRequest
from orchestrations.start_queue import parse_request
from orchestrations.starter import run_id
from shared.errors import Conflict, InvalidMessage, TaskHubUnavailable
from shared.events import OutsideEvent
from tests.support.app_world import World

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "reading-7",
    "source": "/sensors/7",
    "type": "DataReceived",
    "subject": "hall",
    "data": {"celsius": 41.2},
    "traceid": "beside",
}
TASK_ID = run_id("event-driven", event_key(OutsideEvent.model_validate(EVENT)))


class FakeHub:
    """A task hub that remembers what it was asked to schedule, and fails when told to."""

    def __init__(self, *failures: Exception) -> None:
        self.scheduled: dict[str, tuple[str, JsonValue]] = {}
        self.failures = list(failures)

    async def exists(self, instance_id: str) -> bool:
        return instance_id in self.scheduled

    async def schedule(self, orchestrator: str, instance_id: str, given: JsonValue) -> None:
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        self.scheduled.setdefault(instance_id, (orchestrator, given))


async def came(world: World, hub: FakeHub, event: Any) -> None:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    await start_run_of_event(body, agents=CATALOG.cards, orchestrations=hub, resources=world.resources)


async def test_an_event_begins_a_run_with_what_it_says(world: World) -> None:
    hub = FakeHub()
    await came(world, hub, EVENT)
    [(task_id, (orchestrator, given))] = hub.scheduled.items()
    assert (task_id, orchestrator) == (TASK_ID, "event_driven")
    request = EventDrivenRequest.model_validate(given)
    assert (request.event, request.subject, request.source, request.request) == (
        "DataReceived",
        "hall",
        "/sensors/7",
        {"celsius": 41.2},
    )
    record = await world.record(TASK_ID)
    assert (record.run.type, record.run.input) == ("event-driven", {"celsius": 41.2})


async def test_the_same_event_delivered_many_times_begins_one_run(world: World) -> None:
    hub = FakeHub()
    await asyncio.gather(*(came(world, hub, EVENT) for _ in range(5)))
    await came(world, hub, {**EVENT, "time": "2026-01-01T00:00:00Z"})
    assert list(hub.scheduled) == [TASK_ID]


@pytest.mark.parametrize("changes", [{"id": "reading-8"}, {"source": "/sensors/8"}])
async def test_another_source_or_id_is_another_event(world: World, changes: dict[str, str]) -> None:
    hub = FakeHub()
    await came(world, hub, EVENT)
    await came(world, hub, {**EVENT, **changes})
    assert len(hub.scheduled) == 2


async def test_another_event_under_the_same_source_and_id_is_refused(world: World) -> None:
    hub = FakeHub()
    await came(world, hub, EVENT)
    with pytest.raises(Conflict):
        await came(world, hub, {**EVENT, "data": "another"})
    assert len(hub.scheduled) == 1


async def test_an_event_without_data_is_taken(world: World) -> None:
    hub = FakeHub()
    await came(world, hub, {name: value for name, value in EVENT.items() if name != "data"})
    assert len(hub.scheduled) == 1
    assert as_request(OutsideEvent.model_validate({**EVENT, "data": 0})).request == 0


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (b"", "is no event"),
        (b"\xff", "is no event"),
        ({}, "specversion"),
        ({**EVENT, "type": "Ghost"}, "event: no agent subscribes to Ghost; there are subscribers to AnalysisCompleted"),
        ({**EVENT, "rootid": "run-1"}, "rootid: only a run may give an event this attribute"),
        ({**EVENT, "data_base64": "AAAA"}, "data_base64: agents work on JSON and text"),
    ],
)
async def test_what_can_never_be_a_run_is_refused_and_leaves_none(world: World, event: Any, why: str) -> None:
    hub = FakeHub()
    with pytest.raises(InvalidMessage, match=why):
        await came(world, hub, event)
    assert hub.scheduled == {}


async def test_what_may_pass_is_tried_again_as_a_start_by_message_under_the_same_key(world: World) -> None:
    hub = FakeHub(TaskHubUnavailable("down"))
    await came(world, hub, EVENT)
    assert hub.scheduled == {}
    [copy] = world.bus.taken("workflow-starts")
    assert copy.enqueue_at is not None
    assert copy.enqueue_at > world.clock.now()
    again = parse_request(copy.body)
    assert run_id("event-driven", again.idempotency_key) == TASK_ID
