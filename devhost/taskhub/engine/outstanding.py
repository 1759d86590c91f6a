"""What a history still waits for: read off its events, so that nothing else must be kept of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from durabletask.internal import orchestrator_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class Outstanding:
    """Tasks that have not come back, by task id: activities and timers with the event that asked for them."""

    activities: dict[int, pb.HistoryEvent] = field(default_factory=dict)
    timers: dict[int, pb.HistoryEvent] = field(default_factory=dict)
    children: dict[int, str] = field(default_factory=dict)


def outstanding(events: Iterable[pb.HistoryEvent]) -> Outstanding:
    """What `events`, a history and what is yet to be taken in, still waits for."""
    found = Outstanding()
    for event in events:
        match event.WhichOneof("eventType"):
            case "taskScheduled":
                found.activities[event.eventId] = event
            case "taskCompleted":
                found.activities.pop(event.taskCompleted.taskScheduledId, None)
            case "taskFailed":
                found.activities.pop(event.taskFailed.taskScheduledId, None)
            case "timerCreated":
                found.timers[event.eventId] = event
            case "timerFired":
                found.timers.pop(event.timerFired.timerId, None)
            case "subOrchestrationInstanceCreated":
                found.children[event.eventId] = event.subOrchestrationInstanceCreated.instanceId
            case "subOrchestrationInstanceCompleted":
                found.children.pop(event.subOrchestrationInstanceCompleted.taskScheduledId, None)
            case "subOrchestrationInstanceFailed":
                found.children.pop(event.subOrchestrationInstanceFailed.taskScheduledId, None)
    return found
