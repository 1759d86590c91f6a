"""The life of one message inside one queue, as a table of what may happen to it when.

A message that comes due under a schedule, and one that is dead-lettered, leaves under its old sequence number and
enters under a new one; the table shows each of the two lives.
"""

from collections.abc import Mapping
from enum import IntEnum

from devhost.broker.model import MessageState


class Status(IntEnum):
    """Where a message stands in its queue."""

    ABSENT = 0
    WAITING = 1
    LOCKED = 2
    DEFERRED = 3
    #: A deferred message received by number: it goes back to DEFERRED, never to WAITING.
    DEFERRED_LOCKED = 4
    SCHEDULED = 5


class Event(IntEnum):
    """What happens to a message."""

    SEND = 0
    SCHEDULE = 1
    COME_DUE = 2
    CANCEL = 3
    LOCK = 4
    TAKE = 5
    COMPLETE = 6
    #: Abandoned, or the lock or the session's lock ran out.
    RELEASE = 7
    DEFER = 8
    DEAD_LETTER = 9
    EXPIRE = 10


TRANSITIONS: Mapping[tuple[Event, Status], Status] = {
    (Event.SEND, Status.ABSENT): Status.WAITING,
    (Event.SCHEDULE, Status.ABSENT): Status.SCHEDULED,
    (Event.COME_DUE, Status.SCHEDULED): Status.ABSENT,
    (Event.CANCEL, Status.SCHEDULED): Status.ABSENT,
    (Event.LOCK, Status.WAITING): Status.LOCKED,
    (Event.LOCK, Status.DEFERRED): Status.DEFERRED_LOCKED,
    (Event.TAKE, Status.WAITING): Status.ABSENT,
    (Event.TAKE, Status.DEFERRED): Status.ABSENT,
    (Event.COMPLETE, Status.LOCKED): Status.ABSENT,
    (Event.COMPLETE, Status.DEFERRED_LOCKED): Status.ABSENT,
    (Event.RELEASE, Status.LOCKED): Status.WAITING,
    (Event.RELEASE, Status.DEFERRED_LOCKED): Status.DEFERRED,
    (Event.DEFER, Status.LOCKED): Status.DEFERRED,
    (Event.DEFER, Status.DEFERRED_LOCKED): Status.DEFERRED,
    (Event.DEAD_LETTER, Status.WAITING): Status.ABSENT,
    (Event.DEAD_LETTER, Status.LOCKED): Status.ABSENT,
    (Event.DEAD_LETTER, Status.DEFERRED): Status.ABSENT,
    (Event.DEAD_LETTER, Status.DEFERRED_LOCKED): Status.ABSENT,
    (Event.EXPIRE, Status.WAITING): Status.ABSENT,
    (Event.EXPIRE, Status.LOCKED): Status.ABSENT,
    (Event.EXPIRE, Status.DEFERRED): Status.ABSENT,
}

#: What a consumer is told; also what the file keeps, since locks do not outlive the process.
SHOWN_AS: Mapping[Status, MessageState] = {
    Status.WAITING: MessageState.ACTIVE,
    Status.LOCKED: MessageState.ACTIVE,
    Status.DEFERRED: MessageState.DEFERRED,
    Status.DEFERRED_LOCKED: MessageState.DEFERRED,
    Status.SCHEDULED: MessageState.SCHEDULED,
}

#: How a message found in the file stands after a restart.
RESTORED_AS: Mapping[MessageState, Status] = {
    MessageState.ACTIVE: Status.WAITING,
    MessageState.DEFERRED: Status.DEFERRED,
    MessageState.SCHEDULED: Status.SCHEDULED,
}


def after(event: Event, status: Status) -> Status:
    """The status that `event` leads to; `ValueError` when it cannot happen in `status`."""
    try:
        return TRANSITIONS[event, status]
    except KeyError:
        raise ValueError(f"{event.name} cannot happen to a message that is {status.name}") from None
