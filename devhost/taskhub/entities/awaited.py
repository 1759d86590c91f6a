"""Whether an execution still waits for an entity's answer: read off its history."""

from collections.abc import Sequence

from durabletask.internal import orchestrator_service_pb2 as pb


def awaits(history: Sequence[pb.HistoryEvent], answer: pb.HistoryEvent) -> bool:
    """Whether `history` has the call or the lock request that `answer` is for.

    An execution that was begun anew since has another history. The latest events are looked at first.
    """
    kind = answer.WhichOneof("eventType")
    if kind == "entityLockGranted":
        section = answer.entityLockGranted.criticalSectionId
        return any(
            each.HasField("entityLockRequested") and each.entityLockRequested.criticalSectionId == section
            for each in reversed(history)
        )
    answered = answer.entityOperationCompleted if kind == "entityOperationCompleted" else answer.entityOperationFailed
    return any(
        each.HasField("entityOperationCalled") and each.entityOperationCalled.requestId == answered.requestId
        for each in reversed(history)
    )
