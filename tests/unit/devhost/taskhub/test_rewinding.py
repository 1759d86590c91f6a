"""A rewound history is the one that the SDK's worker would make of it."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.serialization import DEFAULT_DATA_CONVERTER
from durabletask.worker import _OrchestrationExecutor, _Registry

from devhost.broker.instants import to_instant
from devhost.taskhub.engine import events
from devhost.taskhub.operations.rewinding import execution_rewound, rewound

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
FAILED = ValueError("no luck")


def started(parent: str | None = None) -> pb.HistoryEvent:
    event = helpers.new_execution_started_event("flow", "one", '"in"')
    if parent:
        event.executionStarted.parentInstance.orchestrationInstance.instanceId = parent
    return event


def completed() -> pb.HistoryEvent:
    return helpers.new_execution_completed_event(pb.ORCHESTRATION_STATUS_FAILED)


HISTORIES = {
    "a failed task beside a completed one": [
        helpers.new_orchestrator_started_event(NOW),
        started(),
        helpers.new_task_scheduled_event(1, "good"),
        helpers.new_task_scheduled_event(2, "bad"),
        helpers.new_orchestrator_completed_event(),
        helpers.new_orchestrator_started_event(NOW),
        helpers.new_task_completed_event(1, "1"),
        helpers.new_task_failed_event(2, FAILED),
        helpers.new_orchestrator_completed_event(),
        completed(),
    ],
    "a failed sub-orchestration, a timer and an event": [
        helpers.new_orchestrator_started_event(NOW),
        started("parent"),
        helpers.new_sub_orchestration_created_event(1, "child", "one:1", None),
        helpers.new_sub_orchestration_created_event(2, "child", "one:2", None),
        helpers.new_timer_created_event(3, NOW),
        helpers.new_timer_created_event(4, NOW),
        helpers.new_event_raised_event("go", "1"),
        helpers.new_timer_fired_event(3, NOW),
        helpers.new_sub_orchestration_completed_event(1, "1"),
        helpers.new_sub_orchestration_failed_event(2, FAILED),
        helpers.new_orchestrator_completed_event(),
        completed(),
    ],
    "results that came after the failure": [
        helpers.new_orchestrator_started_event(NOW),
        started(),
        helpers.new_task_scheduled_event(1, "slow"),
        helpers.new_task_scheduled_event(2, "slower"),
        helpers.new_orchestrator_completed_event(),
        completed(),
        helpers.new_task_completed_event(1, "1"),
    ],
    "rewound before": [
        helpers.new_orchestrator_started_event(NOW),
        started(),
        pb.HistoryEvent(eventId=-1, executionRewound=pb.ExecutionRewoundEvent()),
        helpers.new_orchestrator_started_event(NOW),
        completed(),
    ],
    "failed at once": [helpers.new_orchestrator_started_event(NOW), started(), completed()],
}


def by_the_worker(history: list[pb.HistoryEvent], rewind: pb.ExecutionRewoundEvent) -> list[pb.HistoryEvent]:
    stamp = helpers.new_timestamp(NOW)
    new = [
        helpers.new_orchestrator_started_event(NOW),
        pb.HistoryEvent(eventId=-1, timestamp=stamp, executionRewound=rewind),
    ]
    make_registry: Callable[[], _Registry] = _Registry
    executor = _OrchestrationExecutor(make_registry(), logging.getLogger("test"), data_converter=DEFAULT_DATA_CONVERTER)
    return list(executor.execute("one", history, new).actions[0].rewindOrchestration.newHistory)


@pytest.mark.parametrize("name", HISTORIES)
@pytest.mark.parametrize(("reason", "parent"), [(None, None), ("again", "parents new execution")])
def test_the_history_is_the_workers_event_by_event(name: str, reason: str | None, parent: str | None) -> None:
    rewind = pb.ExecutionRewoundEvent(
        reason=helpers.get_string_value(reason), parentExecutionId=helpers.get_string_value(parent)
    )
    expected = by_the_worker(HISTORIES[name], rewind)
    (its_id,) = {
        each.executionStarted.orchestrationInstance.executionId.value
        for each in expected
        if each.HasField("executionStarted")
    }
    made = rewound(HISTORIES[name], execution_id=its_id, parent_execution_id=parent)
    at = to_instant(NOW)
    assert [*made, events.orchestrator_started(at), execution_rewound(at, reason, parent)] == expected


def test_the_history_that_is_rewound_stays_as_it_was() -> None:
    history = HISTORIES["a failed task beside a completed one"]
    before = [each.SerializeToString() for each in history]
    rewound(history, execution_id="new")
    assert [each.SerializeToString() for each in history] == before
