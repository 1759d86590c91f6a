"""What spans are read off histories: which event asked for what, what it came to, and when an execution began."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.taskhub.engine.events import instant

# The field of an event that answers with the number of the event that asked, or what else that is known by, by the
# kind of event.
_ANSWERS: Final = {
    "taskCompleted": "taskScheduledId",
    "taskFailed": "taskScheduledId",
    "subOrchestrationInstanceCompleted": "taskScheduledId",
    "subOrchestrationInstanceFailed": "taskScheduledId",
    "timerFired": "timerId",
    "entityOperationCompleted": "requestId",
    "entityOperationFailed": "requestId",
}
_NUMBERED: Final = frozenset({"taskScheduled", "subOrchestrationInstanceCreated", "timerCreated"})

type Key = int | str
"""What an event that asks for something and the one that answers it have in common."""


def asks(event: pb.HistoryEvent) -> Key | None:
    """By what the answer to the event will be known; None for an event that asks for nothing."""
    kind = event.WhichOneof("eventType")
    if kind in _NUMBERED:
        return int(event.eventId)
    return str(event.entityOperationCalled.requestId) if kind == "entityOperationCalled" else None


def answers(event: pb.HistoryEvent) -> Key | None:
    """What the event answers; None for any other event."""
    kind = event.WhichOneof("eventType") or ""
    field = _ANSWERS.get(kind)
    if field is None:
        return None
    key: Key = getattr(getattr(event, kind), field)
    return key


def asked_for(history: Sequence[pb.HistoryEvent], keys: Iterable[Key]) -> Iterator[tuple[Key, pb.HistoryEvent]]:
    """The events that asked for these, the latest first: most answers are to what was asked for not long ago.

    What is from before a rewind is left out: it was told of when the execution failed.
    """
    left = set(keys)
    for event in reversed(history):
        if not left or event.HasField("executionRewound"):
            return
        key = asks(event)
        if key is not None and key in left:
            left.discard(key)
            yield key, event


def why(answer: pb.HistoryEvent) -> str | None:
    """The type of the failure: its message may hold what an app does not want to have told."""
    if answer.HasField("taskFailed"):
        return answer.taskFailed.failureDetails.errorType or "failed"
    if answer.HasField("subOrchestrationInstanceFailed"):
        return answer.subOrchestrationInstanceFailed.failureDetails.errorType or "failed"
    if answer.HasField("entityOperationFailed"):
        return answer.entityOperationFailed.failureDetails.errorType or "failed"
    return None


def began(events: Iterable[pb.HistoryEvent], now: int) -> int:
    """When the execution began: with its first turn, or with the last in which it was rewound."""
    begun = None
    for event in events:
        if event.HasField("executionRewound") or (begun is None and event.HasField("orchestratorStarted")):
            begun = instant(event.timestamp)
    return now if begun is None else begun


def unanswered(events: Iterable[pb.HistoryEvent]) -> Iterator[pb.HistoryEvent]:
    """The events that asked for what has not been answered; timers are left out."""
    waiting: dict[Key, pb.HistoryEvent] = {}
    for event in events:
        if (key := asks(event)) is not None:
            waiting[key] = event
        elif event.HasField("executionRewound"):
            # What it had left open was told of when it failed.
            waiting = {}
        elif (key := answers(event)) is not None:
            waiting.pop(key, None)
    yield from (event for event in waiting.values() if not event.HasField("timerCreated"))
