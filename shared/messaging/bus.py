"""Sending messages to queues and topics. Receiving is the Functions host's work: a trigger starts the function."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.errors import InvalidMessage
from shared.names import MAX_MESSAGE_ID


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to send. `enqueue_at` makes the queue hold it until then; None is at once.

    `label` (the message's subject) and `to` are what the subscriptions of a topic choose by.

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

    def __post_init__(self) -> None:
        if not 0 < len(self.message_id) <= MAX_MESSAGE_ID:
            raise InvalidMessage(f"a message id has 1 to {MAX_MESSAGE_ID} characters, not {len(self.message_id)}")


class MessageBus(Protocol):
    """Sends messages to queues and topics."""

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

    async def close(self) -> None:
        """Let go of connections."""
        ...
