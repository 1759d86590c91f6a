"""The events that entities receive, short to write."""

from datetime import datetime

from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

from devhost.taskhub.entities.mailbox import EntityMessage


def call(caller: str = "caller", operation: str = "add", request_id: str = "r1") -> pb.HistoryEvent:
    return pb.HistoryEvent(
        eventId=-1,
        entityOperationCalled=pb.EntityOperationCalledEvent(
            requestId=request_id,
            operation=operation,
            parentInstanceId=StringValue(value=caller),
            targetInstanceId=StringValue(value="@counter@a"),
        ),
    )


def signal(operation: str = "add", *, due: datetime | None = None) -> pb.HistoryEvent:
    return pb.HistoryEvent(
        eventId=-1,
        entityOperationSignaled=pb.EntityOperationSignaledEvent(
            requestId="s1",
            operation=operation,
            scheduledTime=helpers.new_timestamp(due) if due else None,
            targetInstanceId=StringValue(value="@counter@a"),
        ),
    )


def lock_request(
    owner: str = "owner", section: str = "section", lock_set: tuple[str, ...] = ("@counter@a",), position: int = 0
) -> pb.HistoryEvent:
    return pb.HistoryEvent(
        eventId=-1,
        entityLockRequested=pb.EntityLockRequestedEvent(
            criticalSectionId=section,
            parentInstanceId=StringValue(value=owner),
            lockSet=lock_set,
            position=position,
        ),
    )


def messages(*events: pb.HistoryEvent, first: int = 1) -> list[EntityMessage]:
    """The events as messages that arrived in this order."""
    return [EntityMessage(number, event) for number, event in enumerate(events, start=first)]
