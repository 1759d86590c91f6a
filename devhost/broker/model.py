"""The values that cross the broker's boundary: what a producer hands in, what a consumer gets back.

The core reads the fields of a `Message` and carries its `content` unread, so that a protocol layer gets back exactly
the bytes it put in. All instants are timezone-aware UTC; sizes are bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from uuid import UUID

type Scalar = str | int | float | bool | bytes | datetime | UUID | Decimal | None


class ReceiveMode(Enum):
    """How a received message is settled."""

    #: Locked for the consumer, who settles it later.
    PEEK_LOCK = "peek-lock"
    #: Gone from the entity as soon as it is handed out.
    RECEIVE_AND_DELETE = "receive-and-delete"


class MessageState(IntEnum):
    """A message's state as the service shows it (`x-opt-message-state`)."""

    ACTIVE = 0
    DEFERRED = 1
    SCHEDULED = 2


@dataclass(frozen=True, slots=True)
class Message:
    """What a producer hands in."""

    #: Opaque to the core, handed back unchanged; the application properties are left out of it.
    content: bytes
    #: Bytes on the wire, held against the entity's limit.
    size: int
    message_id: str | None = None
    session_id: str | None = None
    correlation_id: str | None = None
    subject: str | None = None
    to: str | None = None
    reply_to: str | None = None
    reply_to_session_id: str | None = None
    content_type: str | None = None
    partition_key: str | None = None
    time_to_live: timedelta | None = None
    #: Not available before this instant; None or past: at once.
    scheduled_enqueue_time: datetime | None = None
    #: Application properties: filters read them; abandon, defer and dead-letter may change them.
    properties: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as handed to a consumer, or peeked (then without a lock)."""

    message: Message
    sequence_number: int
    #: The number first given to the message: by the topic for a subscription's copy, by its queue for a dead letter.
    enqueued_sequence_number: int
    enqueued_time: datetime
    expires_at: datetime | None
    #: Earlier deliveries: 0 the first time, as the AMQP header counts.
    delivery_count: int
    state: MessageState
    #: None when peeked or received and deleted.
    lock_token: UUID | None
    locked_until: datetime | None
    #: Path of the entity a dead letter came from.
    dead_letter_source: str | None
    dead_letter_reason: str | None
    dead_letter_description: str | None


@dataclass(frozen=True, slots=True)
class SessionLock:
    """The exclusive hold of one consumer on one session of an entity."""

    entity: str
    session_id: str
    token: UUID
    locked_until: datetime


@dataclass(frozen=True, slots=True)
class RuntimeCounts:
    """What an entity holds now. For a topic only `scheduled`, `subscriptions` and the sizes and times are ever set."""

    #: Everything in the entity that is neither scheduled nor dead-lettered: waiting, locked and deferred.
    active: int = 0
    locked: int = 0
    deferred: int = 0
    scheduled: int = 0
    dead_letter: int = 0
    #: Transfers belong to forwarding, which is not modelled: always 0.
    transfer: int = 0
    transfer_dead_letter: int = 0
    #: Bytes of all messages in the entity and its dead-letter queue.
    size_bytes: int = 0
    subscriptions: int = 0
    created_at: datetime | None = None
    updated_at: datetime | None = None
    accessed_at: datetime | None = None

    @property
    def total(self) -> int:
        """Messages in the entity and its sub-queues."""
        return self.active + self.scheduled + self.dead_letter + self.transfer + self.transfer_dead_letter


@dataclass(frozen=True, slots=True)
class Recovered:
    """What `Broker.open` found in its file."""

    entities: int = 0
    messages: int = 0
    #: Waiting messages whose deliveries were used up before the stop; they went to the dead-letter queue at open.
    dead_lettered: int = 0
    #: Entities that came from an earlier topology and are not in this one; kept with what they hold.
    left_over: tuple[str, ...] = ()
