"""Rewinding a failed orchestration: its history without the failures.

The rewritten history is, event by event, the one that `durabletask`'s own worker builds
(`_OrchestrationExecutor._build_rewind_result`): failed tasks lose both their events and are scheduled again by the
replay; failed sub-orchestrations keep the event that created them and are rewound themselves; timers stay.

Known limit, shared with the worker: the timers between the attempts of a retried activity stay in the history, so an
orchestration that failed after retries does not always replay.
"""

from collections.abc import Iterable

from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.taskhub.engine import events


def rewound(
    history: Iterable[pb.HistoryEvent], *, execution_id: str, parent_execution_id: str | None = None
) -> list[pb.HistoryEvent]:
    """The history to replay instead of that of a failed orchestration. `execution_id` is that of its new execution.

    `parent_execution_id` is given when the parent is rewound too.
    """
    everything = list(history)
    failed = {event.taskFailed.taskScheduledId for event in everything if event.HasField("taskFailed")}
    return [
        _in_new_execution(event, execution_id, parent_execution_id)
        for event in everything
        if not _is_failure(event) and not (event.HasField("taskScheduled") and event.eventId in failed)
    ]


def execution_rewound(at: int, reason: str | None, parent_execution_id: str | None = None) -> pb.HistoryEvent:
    """Somebody has the execution try again, at an instant; the first thing that it takes in."""
    event = pb.ExecutionRewoundEvent(
        reason=events.text(reason or None), parentExecutionId=events.text(parent_execution_id or None)
    )
    return pb.HistoryEvent(eventId=-1, timestamp=events.timestamp(at), executionRewound=event)


def _is_failure(event: pb.HistoryEvent) -> bool:
    return event.WhichOneof("eventType") in ("taskFailed", "subOrchestrationInstanceFailed", "executionCompleted")


def _in_new_execution(event: pb.HistoryEvent, execution_id: str, parent_execution_id: str | None) -> pb.HistoryEvent:
    if not event.HasField("executionStarted"):
        return event
    started = pb.HistoryEvent()
    started.CopyFrom(event)
    started.executionStarted.orchestrationInstance.executionId.value = execution_id
    if parent_execution_id and started.executionStarted.HasField("parentInstance"):
        parent = started.executionStarted.parentInstance.orchestrationInstance
        parent.executionId.value = parent_execution_id
    return started
