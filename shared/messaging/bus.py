"""Sending messages to queues and topics, and looking after dead letters.

Receiving is the Functions host's work: a trigger starts the function. Only dead letters, which no function takes, are
received here. An entity with dead letters is a queue, or a subscription named `topic/subscription`.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from shared.contracts import well_formed
from shared.errors import InvalidMessage
from shared.names import DIAGNOSTIC_ID, MAX_MESSAGE_ID, TRACEPARENT


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to send. `enqueue_at` makes the queue hold it until then; None is at once.

    `label` (the message's subject) and `to` are what the subscriptions of a topic choose by. `properties` are told to
    whoever receives it.

    Raises `InvalidMessage` for an id that the service would not take.
    """

    body: bytes
    message_id: str
    correlation_id: str | None = None
    enqueue_at: datetime | None = None
    traceparent: str | None = None
    label: str | None = None
    to: str | None = None
    content_type: str = "application/json"
    properties: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < len(self.message_id) <= MAX_MESSAGE_ID:
            raise InvalidMessage(f"a message id has 1 to {MAX_MESSAGE_ID} characters, not {len(self.message_id)}")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that an entity gave up. `sequence_number` names it there; `deliveries` is how often it was delivered.

    `reason` and `description` are the broker's. `enqueued_at` is when it came to the entity, not when it died.
    """

    entity: str
    sequence_number: int
    body: bytes
    message_id: str | None
    correlation_id: str | None
    label: str | None
    to: str | None
    content_type: str | None
    traceparent: str | None
    properties: Mapping[str, str]
    reason: str | None
    description: str | None
    enqueued_at: datetime | None
    deliveries: int

    @property
    def id(self) -> str:
        """What a person calls it: `entity:sequence_number`."""
        return f"{self.entity}:{self.sequence_number}"


def carried_traceparent(properties: Mapping[str, object] | None) -> str | None:
    """The context that a message's sender gave it in its properties; None for none."""
    for name in (TRACEPARENT, DIAGNOSTIC_ID):
        value = (properties or {}).get(name)
        if isinstance(value, str) and (context := well_formed(value)) is not None:
            return context
    return None


type HandleDead = Callable[[DeadLetter], Awaitable[bool]]


class MessageBus(Protocol):
    """Sends messages to queues and topics, and keeps their dead letters."""

    async def send(self, queue: str, messages: Sequence[OutgoingMessage]) -> None:
        """Hand all of `messages` to `queue`; it has them durably when this returns.

        They travel in as few batches as the size limit allows. When this raises, some may have arrived, and
        sending all of them again is safe within the queue's duplicate detection window.

        Raises `BusUnavailable` (retryable), `NotFound` when there is no such queue, and `MessageTooLarge`.
        """
        ...

    async def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> None:
        """Hand all of `messages` to `topic`, which gives each to every subscription that chooses it.

        Promises and raises what `send` does.
        """
        ...

    async def peek_dead(self, entity: str, *, after: int = 0, limit: int = 100) -> Sequence[DeadLetter]:
        """At most `limit` dead letters with numbers above `after`, in their order; they stay as they are.

        There may be more although fewer came; only none means the end. Raises `BusUnavailable` and `NotFound`.
        """
        ...

    async def take_dead(self, entity: str, numbers: Collection[int], handle: HandleDead) -> frozenset[int]:
        """Give each of these dead letters to `handle`, in their order, under a lock; the numbers that were not found.

        One for which `handle` returns True is removed. Every other stays a dead letter, also when `handle` raises,
        which ends this. A letter is removed after `handle` has returned: a crash in between leaves it.
        Raises `BusUnavailable` and `NotFound`.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
