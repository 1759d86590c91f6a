"""The seam between the triggers and a Service Bus client: what a receiver does, and what can go wrong.

`service_bus_client` implements it with `azure.servicebus`; tests pass receivers of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol


class ReceiverError(Exception):
    """The client could not do what was asked. The text is one line; trying again later may help."""


class EntityUnavailable(ReceiverError):
    """The namespace answers, but the entity is not there, is disabled, or may not be read."""


class LockLost(ReceiverError):
    """The lock on the message or the session has ended: whatever it guarded can only be received anew."""


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message under its lock.

    `delivery_count` counts deliveries including this one, as .NET does: 1 the first time. `locked_until` is None in a
    session, whose lock is the session's. `handle` is the client's own object, which settling needs back.
    """

    body: bytes
    lock_token: str
    sequence_number: int
    delivery_count: int
    enqueued_time: datetime
    expires_at: datetime | None = None
    locked_until: datetime | None = None
    message_id: str = ""
    session_id: str | None = None
    correlation_id: str | None = None
    subject: str | None = None
    content_type: str | None = None
    to: str | None = None
    reply_to: str | None = None
    reply_to_session_id: str | None = None
    partition_key: str | None = None
    transaction_partition_key: str | None = None
    dead_letter_source: str | None = None
    application_properties: Mapping[str, Any] = field(default_factory=dict)
    handle: Any = field(default=None, repr=False, compare=False)


class Receiver(Protocol):
    """An open link to one entity, or to one session of it. Every method may raise `ReceiverError`."""

    @property
    def session_id(self) -> str | None:
        """The session this receiver holds, if any."""
        ...

    @property
    def session_locked_until(self) -> datetime | None:
        """When the session's lock ends, if there is one."""
        ...

    async def open(self) -> None:
        """Connect; does nothing while connected."""
        ...

    async def receive(self, max_messages: int, wait: timedelta) -> Sequence[ReceivedMessage]:
        """Up to `max_messages`, waiting up to `wait` for the first; empty when none came."""
        ...

    async def complete(self, message: ReceivedMessage) -> None:
        """Remove the message. `LockLost` when it is no longer ours."""
        ...

    async def abandon(self, message: ReceivedMessage) -> None:
        """Give the message back for immediate redelivery. `LockLost` when it is no longer ours."""
        ...

    async def renew(self, message: ReceivedMessage) -> datetime:
        """Extend the message's lock; when it ends now. `LockLost` when it is no longer ours."""
        ...

    async def renew_session(self) -> datetime:
        """Extend the session's lock; when it ends now. `LockLost` when it is no longer ours."""
        ...

    async def close(self) -> None:
        """Disconnect; messages held unsettled in the client are given back. Never raises."""
        ...


class ReceiverFactory(Protocol):
    """Makes receivers for one entity of one namespace."""

    def receiver(self) -> Receiver:
        """A receiver that is not connected yet."""
        ...

    async def next_session(self, wait: timedelta) -> Receiver | None:
        """A receiver holding the next session that has messages; None when none came within `wait`."""
        ...

    async def close(self) -> None:
        """Let go of everything the receivers share. Never raises."""
        ...
