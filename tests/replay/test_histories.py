"""Histories of real runs, replayed by the stock SDK: whatever began under an earlier version goes on under this one.

A test that fails here means that runs under way during a deployment would break. Record a history again only for a
change that no run under way can meet; otherwise give the changed orchestrator another name.
"""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.serialization import JsonDataConverter
from durabletask.worker import _OrchestrationExecutor, _Registry
from google.protobuf.json_format import ParseDict

from orchestrations.registry import PATTERNS
from shared import names
from tests.replay.record import EVERYTHING

HISTORIES = Path(__file__).parent / "histories"
FILES = sorted(HISTORIES.glob("*.json"))


def orchestrations() -> list[Any]:
    found = []
    for path in FILES:
        for number, each in enumerate(json.loads(path.read_text())["orchestrations"]):
            found.append(pytest.param(each, id=f"{path.stem}-{number}"))
    return found


def events_of(recorded: dict[str, Any]) -> list[pb.HistoryEvent]:
    return [ParseDict(event, pb.HistoryEvent()) for event in recorded["events"]]


def turns_of(events: list[pb.HistoryEvent]) -> list[list[pb.HistoryEvent]]:
    """The events of each turn. A turn begins with `orchestratorStarted`."""
    turns: list[list[pb.HistoryEvent]] = []
    for event in events:
        if event.HasField("orchestratorStarted") or not turns:
            turns.append([])
        turns[-1].append(event)
    return turns


def executed(
    instance: str, old: list[pb.HistoryEvent], new: list[pb.HistoryEvent]
) -> tuple[list[pb.OrchestratorAction], str | None]:
    registry: Any = _Registry()  # type: ignore[no-untyped-call]
    for pattern in PATTERNS.values():
        registry.add_named_orchestrator(names.orchestrator(pattern.name), pattern.orchestrator)
    executor = _OrchestrationExecutor(registry, logging.getLogger("replay"), JsonDataConverter())
    results = executor.execute(instance, old, new)
    return results.actions, results.encoded_custom_status


# What an orchestrator does, and the event by which the history says that it was done.
DONE_BY = {
    "scheduleTask": "taskScheduled",
    "createTimer": "timerCreated",
    "createSubOrchestration": "subOrchestrationInstanceCreated",
    "completeOrchestration": "executionCompleted",
}


@pytest.mark.parametrize("recorded", orchestrations())
def test_every_turn_of_a_recorded_run_does_what_it_did_then(recorded: dict[str, Any]) -> None:
    turns = turns_of(events_of(recorded))
    consequences = frozenset(DONE_BY.values())
    for number, turn in enumerate(turns):
        old = [event for earlier in turns[:number] for event in earlier]
        happened = [event for event in turn if event.WhichOneof("eventType") not in consequences]
        did = [event for event in turn if event.WhichOneof("eventType") in consequences]
        actions, _ = executed(recorded["instance_id"], old, happened)
        assert [DONE_BY[str(action.WhichOneof("orchestratorActionType"))] for action in actions] == [
            event.WhichOneof("eventType") for event in did
        ], f"turn {number}"
        for action, event in zip(actions, did, strict=True):
            assert_same(action, event)


def still_says(now: Any, then: Any) -> bool:
    """Whether everything that was said then is said now; a later version may say more."""
    if isinstance(now, dict) and isinstance(then, dict):
        return all(key in now and still_says(now[key], value) for key, value in then.items())
    if isinstance(now, list) and isinstance(then, list):
        return len(now) == len(then) and all(map(still_says, now, then))
    return bool(now == then)


def assert_same(action: pb.OrchestratorAction, event: pb.HistoryEvent) -> None:
    match action.WhichOneof("orchestratorActionType"):
        case "scheduleTask":
            assert (action.id, action.scheduleTask.name) == (event.eventId, event.taskScheduled.name)
            now, then = json.loads(action.scheduleTask.input.value), json.loads(event.taskScheduled.input.value)
            assert still_says(now, then), (now, then)
        case "createTimer":
            assert action.id == event.eventId
        case "createSubOrchestration":
            created = event.subOrchestrationInstanceCreated
            assert (action.id, action.createSubOrchestration.instanceId) == (event.eventId, created.instanceId)
        case "completeOrchestration":
            ended, recorded = action.completeOrchestration, event.executionCompleted
            assert ended.orchestrationStatus == recorded.orchestrationStatus
            # One that was terminated has no result.
            assert still_says(json.loads(ended.result.value or "null"), json.loads(recorded.result.value or "null"))


def test_every_scenario_has_its_history_and_every_history_its_scenario() -> None:
    assert {path.stem for path in FILES} == {scenario.name for scenario in EVERYTHING}


@pytest.mark.parametrize("scenario", EVERYTHING, ids=str)
def test_a_history_ends_with_the_status_of_its_scenario(scenario: Any) -> None:
    kept = json.loads((HISTORIES / f"{scenario.name}.json").read_text())
    [*_, last] = events_of(kept["orchestrations"][0])
    ended = last if last.HasField("executionCompleted") else events_of(kept["orchestrations"][0])[-2]
    assert json.loads(ended.executionCompleted.result.value)["status"] == scenario.status
