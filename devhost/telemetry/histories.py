"""What spans are read off histories: which event asked for what, what it came to, and when an execution began."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.taskhub.engine.events import instant

# The field of an event that answers a task with the number of the event that asked for it, by the kind of event.
_ANSWERS: Final = {
    "taskCompleted": "taskScheduledId",
    "taskFailed": "taskScheduledId",
    "subOrchestrationInstanceCompleted": "taskScheduledId",
    "subOrchestrationInstanceFailed": "taskScheduledId",
    "timerFired": "timerId",
}
_TASKS: Final = frozenset({"taskScheduled", "subOrchestrationInstanceCreated"})


def answered(event: pb.HistoryEvent) -> int | None:
    """The number of the task or timer whose end the event tells of; None for any other event."""
    kind = event.WhichOneof("eventType") or ""
    field = _ANSWERS.get(kind)
    return None if field is None else int(getattr(getattr(event, kind), field))


def asked_for(history: Sequence[pb.HistoryEvent], numbers: set[int]) -> Iterator[pb.HistoryEvent]:
    """The events that asked for these tasks, the latest first: most answers are to what was asked for not long ago.

    Tasks from before a rewind are left out: they were told of when the execution failed.
    """
    left = set(numbers)
    for event in reversed(history):
        if not left or event.HasField("executionRewound"):
            return
        if event.eventId in left and (event.WhichOneof("eventType") in _TASKS or event.HasField("timerCreated")):
            left.discard(event.eventId)
            yield event


def why(answer: pb.HistoryEvent) -> str | None:
    """The type of the failure: its message may hold what an app does not want to have told."""
    if answer.HasField("taskFailed"):
        return answer.taskFailed.failureDetails.errorType or "failed"
    if answer.HasField("subOrchestrationInstanceFailed"):
        return answer.subOrchestrationInstanceFailed.failureDetails.errorType or "failed"
    return None


def began(events: Iterable[pb.HistoryEvent], now: int) -> int:
    """When the execution began: with its first turn, or with the last in which it was rewound."""
    begun = None
    for event in events:
        if event.HasField("executionRewound") or (begun is None and event.HasField("orchestratorStarted")):
            begun = instant(event.timestamp)
    return now if begun is None else begun


def unanswered(events: Iterable[pb.HistoryEvent]) -> Iterator[pb.HistoryEvent]:
    """The events that asked for activities and sub-orchestrations which have not answered."""
    waiting: dict[int, pb.HistoryEvent] = {}
    for event in events:
        if event.WhichOneof("eventType") in _TASKS:
            waiting[event.eventId] = event
        elif event.HasField("executionRewound"):
            # What it had left open was told of when it failed.
            waiting = {}
        elif (number := answered(event)) is not None:
            waiting.pop(number, None)
    yield from waiting.values()
