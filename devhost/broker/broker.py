"""The broker: every operation of a Service Bus namespace, in-process and without a protocol.

Entity paths are case-insensitive: `queue`, `topic`, `topic/subscriptions/sub`, and `/$deadletterqueue` under a queue
or a subscription. A call that changes something returns when the change is on disk.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Self
from uuid import UUID

from devhost.broker.model import Delivery, Message, ReceiveMode, Recovered, RuntimeCounts, Scalar, SessionLock
from devhost.broker.topology import QueueOptions, Rule, SubscriptionOptions, TopicOptions, Topology
from devhost.clock import Clock


class Broker:
    """The facade over all entities; made by `open`, used from one event loop."""

    recovered: Recovered

    @classmethod
    async def open(cls, path: Path, topology: Topology, clock: Clock) -> Self:
        """Open or create the file at `path` (its folder must exist), take up what it holds, add what `topology` adds.

        Raises `StoreInUse`, `StoreUnreadable`, or `TopologyError` when an entity that holds messages would have to
        change a property fixed at its creation.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Commit what is under way and release the file; waiting calls end with `BrokerClosed`. Harmless twice."""
        raise NotImplementedError

    # -- sending ------------------------------------------------------------------------------------------------

    async def send(self, entity: str, messages: Sequence[Message]) -> None:
        """Accept all of `messages` or none; those with a scheduled time wait for it; duplicates are dropped silently.

        Raises `EntityNotFound`, `EntityDisabled`, `MessageTooLarge`, `QuotaExceeded`, `InvalidOperation`,
        `ArgumentError`.
        """
        raise NotImplementedError

    async def schedule(self, entity: str, messages: Sequence[Message]) -> list[int]:
        """As `send` for messages with a scheduled time; returns the numbers that `cancel_scheduled` takes."""
        raise NotImplementedError

    async def cancel_scheduled(self, entity: str, sequence_numbers: Sequence[int]) -> None:
        """Drop scheduled messages, all or none; `MessageNotFound` when one is not scheduled (any more)."""
        raise NotImplementedError

    # -- receiving ----------------------------------------------------------------------------------------------

    async def receive(
        self, entity: str, *, max_messages: int, mode: ReceiveMode, session: SessionLock | None = None
    ) -> list[Delivery]:
        """Wait until at least one message is available and take up to `max_messages`, oldest first.

        Waiting receivers are served in the order in which they came. Cancelled, it has locked and removed nothing.
        Raises `EntityNotFound` and `SessionLockLost` (also while waiting), `EntityDisabled`, `InvalidOperation`,
        `BrokerClosed`.
        """
        raise NotImplementedError

    async def receive_now(
        self, entity: str, *, max_messages: int, mode: ReceiveMode, session: SessionLock | None = None
    ) -> list[Delivery]:
        """As `receive`, but answers with an empty list instead of waiting."""
        raise NotImplementedError

    async def receive_deferred(
        self, entity: str, sequence_numbers: Sequence[int], mode: ReceiveMode, session: SessionLock | None = None
    ) -> list[Delivery]:
        """Take deferred messages by number, all or none; `MessageNotFound` when one is not deferred or is locked."""
        raise NotImplementedError

    async def peek(
        self, entity: str, *, from_sequence_number: int, max_messages: int, session_id: str | None = None
    ) -> list[Delivery]:
        """Messages from that number on, locked, deferred and scheduled ones too, in order, without taking them."""
        raise NotImplementedError

    # -- settling -----------------------------------------------------------------------------------------------
    # With `session`, a session that is gone answers `SessionLockLost`; otherwise every lost lock is `MessageLockLost`.

    async def complete(self, entity: str, lock_token: UUID, *, session: SessionLock | None = None) -> None:
        """Remove the message for good."""
        raise NotImplementedError

    async def abandon(
        self,
        entity: str,
        lock_token: UUID,
        properties: Mapping[str, Scalar] | None = None,
        *,
        session: SessionLock | None = None,
    ) -> None:
        """Make the message available again, or dead-letter it when its deliveries are used up."""
        raise NotImplementedError

    async def defer(
        self,
        entity: str,
        lock_token: UUID,
        properties: Mapping[str, Scalar] | None = None,
        *,
        session: SessionLock | None = None,
    ) -> None:
        """Set the message aside: only `receive_deferred` gets it from now on."""
        raise NotImplementedError

    async def dead_letter(
        self,
        entity: str,
        lock_token: UUID,
        *,
        reason: str | None = None,
        description: str | None = None,
        properties: Mapping[str, Scalar] | None = None,
        session: SessionLock | None = None,
    ) -> None:
        """Move the message to the entity's dead-letter queue; `InvalidOperation` when it is in one already."""
        raise NotImplementedError

    async def renew_lock(self, entity: str, lock_tokens: Sequence[UUID]) -> list[datetime]:
        """Extend locks by the entity's lock duration from now, all or none; returns when each ends."""
        raise NotImplementedError

    # -- sessions -----------------------------------------------------------------------------------------------

    async def accept_session(self, entity: str, session_id: str | None) -> SessionLock:
        """Lock a session by name, or (None) the next one that has a message, waiting for it; safe to cancel.

        Raises `SessionCannotBeLocked` when a named one is held, `InvalidOperation` on an entity without sessions.
        """
        raise NotImplementedError

    async def renew_session(self, lock: SessionLock) -> SessionLock:
        """Extend the lock by the entity's lock duration from now; `SessionLockLost` when it is gone."""
        raise NotImplementedError

    async def release_session(self, lock: SessionLock) -> None:
        """Give the session back; its unsettled messages are available again and this delivery is not counted."""
        raise NotImplementedError

    async def session_state(self, lock: SessionLock) -> bytes | None:
        """The state stored with the session, None when there is none."""
        raise NotImplementedError

    async def set_session_state(self, lock: SessionLock, state: bytes | None) -> None:
        """Store (or, with None, clear) the session's state; it outlives the lock and the session's messages."""
        raise NotImplementedError

    async def sessions(self, entity: str) -> list[str]:
        """Ids of the sessions that hold messages or state, in order of name."""
        raise NotImplementedError

    # -- entities -----------------------------------------------------------------------------------------------

    def require(self, entity: str) -> None:
        """Raise `EntityNotFound` unless the path names a queue, topic, subscription or dead-letter queue."""
        raise NotImplementedError

    def requires_session(self, entity: str) -> bool:
        """Whether receiving from the entity needs a session lock."""
        raise NotImplementedError

    def is_topic(self, entity: str) -> bool:
        """Whether the path names a topic."""
        raise NotImplementedError

    def queues(self) -> list[QueueOptions]:
        """All queues, by name."""
        raise NotImplementedError

    def topics(self) -> list[TopicOptions]:
        """All topics, by name, each with its subscriptions."""
        raise NotImplementedError

    def subscriptions(self, topic: str) -> list[SubscriptionOptions]:
        """The topic's subscriptions, by name, each with its rules."""
        raise NotImplementedError

    def counts(self, entity: str) -> RuntimeCounts:
        """What the entity holds now."""
        raise NotImplementedError

    async def create_queue(self, options: QueueOptions) -> None:
        """Add a queue; `EntityExists`, `ArgumentError`."""
        raise NotImplementedError

    async def update_queue(self, options: QueueOptions) -> None:
        """Replace a queue's options; `InvalidOperation` for one that is fixed at creation."""
        raise NotImplementedError

    async def delete_queue(self, name: str) -> None:
        """Remove a queue with everything in it."""
        raise NotImplementedError

    async def create_topic(self, options: TopicOptions) -> None:
        """Add a topic with its subscriptions; `EntityExists`, `ArgumentError`."""
        raise NotImplementedError

    async def update_topic(self, options: TopicOptions) -> None:
        """Replace a topic's options; its subscriptions stay as they are."""
        raise NotImplementedError

    async def delete_topic(self, name: str) -> None:
        """Remove a topic with its subscriptions and everything in them."""
        raise NotImplementedError

    async def create_subscription(self, topic: str, options: SubscriptionOptions) -> None:
        """Add a subscription; it gets messages sent from now on."""
        raise NotImplementedError

    async def update_subscription(self, topic: str, options: SubscriptionOptions) -> None:
        """Replace a subscription's options; its rules stay as they are."""
        raise NotImplementedError

    async def delete_subscription(self, topic: str, name: str) -> None:
        """Remove a subscription with everything in it."""
        raise NotImplementedError

    def rules(self, entity: str) -> list[Rule]:
        """The rules of the subscription at this path, by name."""
        raise NotImplementedError

    async def add_rule(self, entity: str, rule: Rule) -> None:
        """Add a rule to the subscription at this path; `EntityExists`, `FilterSyntaxError`."""
        raise NotImplementedError

    async def remove_rule(self, entity: str, name: str) -> None:
        """Remove a rule from the subscription at this path; `EntityNotFound`."""
        raise NotImplementedError
