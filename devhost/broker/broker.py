"""The broker: every operation of a Service Bus namespace, in-process and without a protocol.

Entity paths are case-insensitive: `queue`, `topic`, `topic/subscriptions/sub`, and `/$deadletterqueue` under a queue
or a subscription. A call that changes something returns when the change is on disk. Every call may raise
`BrokerClosed` or `StoreFailed`, and those that name an entity `EntityNotFound` and `InvalidOperation`.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Self
from uuid import UUID

from devhost.broker.administration import Administration
from devhost.broker.dispatch import Dispatcher, Wish
from devhost.broker.entities import Topic
from devhost.broker.errors import BrokerClosed, EntityDisabled
from devhost.broker.instants import NEVER, to_datetime, to_instant
from devhost.broker.limits import check_count, check_dead_letter, check_properties, check_session_id
from devhost.broker.model import Delivery, Message, ReceiveMode, Recovered, Scalar, SessionLock
from devhost.broker.opening import Opening
from devhost.broker.schema import open_file
from devhost.broker.sessions import Hold
from devhost.broker.store import Store
from devhost.broker.topology import EntityStatus, Topology
from devhost.clock import Clock

_CLOSED_FOR_RECEIVING = (EntityStatus.DISABLED, EntityStatus.RECEIVE_DISABLED)


class Broker(Administration):
    """The facade over all entities; made by `open`, used from one event loop."""

    #: What `open` found.
    recovered: Recovered = Recovered()

    @classmethod
    async def open(cls, path: Path, topology: Topology, clock: Clock, *, executor: Executor | None = None) -> Self:
        """Open or create the file at `path` (its folder must exist), take up what it holds, add what `topology` adds.

        Commits run in `executor`, by default a thread of the broker's own. Raises `StoreInUse`, `StoreUnreadable`,
        `ArgumentError` for a topology out of the service's bounds, and `TopologyError` when an entity that holds
        messages would have to gain or lose its sessions.
        """
        connection = open_file(path)
        store = Store(connection, executor)
        try:
            broker = cls(store, clock)
            opening = Opening(broker._catalog, connection)
            recovered = opening.take_up_from(path)
            with broker._turn as now:
                left_over = opening.follow(topology, now)
            await store.submit(lambda _: None)
        except BaseException:
            await store.abort()
            raise
        broker.recovered = replace(recovered, left_over=left_over)
        return broker

    async def close(self) -> None:
        """Commit what is under way and release the file; waiting calls end with `BrokerClosed`. Harmless twice."""
        self._end(BrokerClosed("the broker is closed"))
        await self._store.close()

    async def abort(self) -> None:
        """Release the file as a crash would: what is not on disk yet is gone, its callers get `BrokerClosed`."""
        self._end(BrokerClosed("the broker has been stopped"))
        await self._store.abort()

    # -- sending --------------------------------------------------------------------------------------------------

    async def send(self, entity: str, messages: Sequence[Message]) -> None:
        """Accept all of `messages` or none; those with a scheduled time wait for it; duplicates are dropped silently.

        Cancelled, it has happened wholly or not at all. Raises `EntityDisabled`, `MessageTooLarge`, `QuotaExceeded`,
        `ArgumentError`.
        """
        await self.schedule(entity, messages)

    async def schedule(self, entity: str, messages: Sequence[Message]) -> list[int]:
        """As `send`; returns each message's sequence number, which `cancel_scheduled` takes (0: a duplicate)."""
        target = self._catalog.sendable(entity)
        with self._turn as now:
            target.check(messages)
            target.times.accessed = now
            admission, numbers = target.admit(messages, now)
            written = self._context.journal.admit(admission)
        await written
        return numbers

    async def cancel_scheduled(self, entity: str, sequence_numbers: Sequence[int]) -> None:
        """Drop scheduled messages, all or none; `MessageNotFound` when one is not scheduled (any more)."""
        target = self._catalog.sendable(entity)
        with self._turn:
            holder = target.schedule if isinstance(target, Topic) else target.place.main.queue
            written = holder.cancel(sequence_numbers)
        await written

    # -- receiving ------------------------------------------------------------------------------------------------

    async def receive(
        self, entity: str, *, max_messages: int, mode: ReceiveMode, session: SessionLock | None = None
    ) -> list[Delivery]:
        """Wait until at least one message is available and take up to `max_messages`, oldest first.

        Waiting receivers are served in the order in which they came. Cancelled, it has locked and removed nothing.
        Raises `SessionLockLost` (also while waiting), `EntityDisabled`, `ArgumentError`.
        """
        dispatcher, wish = self._wish(entity, max_messages, mode, session)
        return await dispatcher.receive(wish, wait=True)

    async def receive_now(
        self, entity: str, *, max_messages: int, mode: ReceiveMode, session: SessionLock | None = None
    ) -> list[Delivery]:
        """As `receive`, but answers with an empty list instead of waiting."""
        dispatcher, wish = self._wish(entity, max_messages, mode, session)
        return await dispatcher.receive(wish, wait=False)

    async def receive_deferred(
        self, entity: str, sequence_numbers: Sequence[int], mode: ReceiveMode, session: SessionLock | None = None
    ) -> list[Delivery]:
        """Take deferred messages by number, all or none; `MessageNotFound` when one is not deferred, or is locked."""
        dispatcher, wish = self._wish(entity, 1, mode, session)
        return await dispatcher.receive_deferred(sequence_numbers, wish)

    async def peek(
        self, entity: str, *, from_sequence_number: int, max_messages: int, session_id: str | None = None
    ) -> list[Delivery]:
        """Messages from that number on, locked, deferred and scheduled ones too, in order, without taking them."""
        check_count(entity, max_messages)
        _, dispatcher = self._catalog.receivable(entity)
        self._catch_up()
        return await dispatcher.peek(from_sequence_number, max_messages, session_id)

    async def delete_messages(self, entity: str, *, max_messages: int, enqueued_before: datetime | None = None) -> int:
        """Remove up to `max_messages` that can be received and were enqueued before then, oldest first; how many."""
        check_count(entity, max_messages)
        dispatcher = self._receiving(entity)
        queue = dispatcher.queue
        numbers = queue.waiting(max_messages)
        times = await self._context.journal.enqueued_times([queue.key(number) for number in numbers])
        limit = NEVER if enqueued_before is None else to_instant(enqueued_before)
        with self._turn:
            count, written = queue.delete([n for n, at in zip(numbers, times, strict=True) if at < limit])
        await written
        return count

    # -- settling -------------------------------------------------------------------------------------------------
    # With `session`, a session that is gone answers `SessionLockLost`; otherwise every lost lock is `MessageLockLost`.

    async def complete(self, entity: str, lock_token: UUID, *, session: SessionLock | None = None) -> None:
        """Remove the message for good."""
        _, dispatcher = self._catalog.receivable(entity)
        with self._turn:
            _check_session(dispatcher, session)
            written = dispatcher.queue.complete(lock_token)
        await written

    async def abandon(
        self,
        entity: str,
        lock_token: UUID,
        properties: Mapping[str, Scalar] | None = None,
        *,
        session: SessionLock | None = None,
    ) -> None:
        """Make the message available again, or dead-letter it when its deliveries are used up."""
        check_properties(entity, properties or {})
        _, dispatcher = self._catalog.receivable(entity)
        with self._turn as now:
            _check_session(dispatcher, session)
            written = dispatcher.queue.abandon(lock_token, properties, now)
        if written is not None:
            await written

    async def release(self, entity: str, lock_token: UUID, *, session: SessionLock | None = None) -> None:
        """Make the message available again without counting the delivery: no consumer has looked at it."""
        _, dispatcher = self._catalog.receivable(entity)
        with self._turn as now:
            _check_session(dispatcher, session)
            written = dispatcher.queue.release(lock_token, now)
        await written

    async def defer(
        self,
        entity: str,
        lock_token: UUID,
        properties: Mapping[str, Scalar] | None = None,
        *,
        session: SessionLock | None = None,
    ) -> None:
        """Set the message aside: only `receive_deferred` gets it from now on."""
        check_properties(entity, properties or {})
        _, dispatcher = self._catalog.receivable(entity)
        with self._turn:
            _check_session(dispatcher, session)
            written = dispatcher.queue.defer(lock_token, properties)
        await written

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
        check_properties(entity, properties or {})
        check_dead_letter(entity, reason, description)
        _, dispatcher = self._catalog.receivable(entity)
        with self._turn:
            _check_session(dispatcher, session)
            written = dispatcher.queue.dead_letter(lock_token, reason, description, properties)
        await written

    async def renew_lock(self, entity: str, lock_tokens: Sequence[UUID]) -> list[datetime]:
        """Extend locks by the entity's lock duration from now, all or none; returns when each ends."""
        _, dispatcher = self._catalog.receivable(entity)
        with self._turn as now:
            until = dispatcher.queue.renew(lock_tokens, now)
        return [to_datetime(until)] * len(lock_tokens)

    # -- sessions -------------------------------------------------------------------------------------------------

    async def accept_session(self, entity: str, session_id: str | None) -> SessionLock:
        """Lock a session by name, or (None) the next one that has a message, waiting for it; safe to cancel.

        Raises `SessionCannotBeLocked` when a named one is held, `ArgumentError` for a name the service does not take.
        """
        check_session_id(entity, session_id)
        dispatcher = self._receiving(entity)
        return _lock(entity, await dispatcher.accept(session_id))

    async def renew_session(self, lock: SessionLock) -> SessionLock:
        """Extend the lock by the entity's lock duration from now; `SessionLockLost` when it is gone."""
        dispatcher = self._catalog.receivable(lock.entity)[1]
        with self._turn as now:
            hold = dispatcher.sessions().hold_of(lock)
            dispatcher.queue.renew_hold(hold, now)
        return _lock(lock.entity, hold)

    async def release_session(self, lock: SessionLock) -> None:
        """Give the session back; its unsettled messages are available again and their deliveries not counted."""
        dispatcher = self._catalog.receivable(lock.entity)[1]
        with self._turn as now:
            sessions = dispatcher.sessions()
            written = dispatcher.queue.release_hold(sessions, sessions.hold_of(lock), now)
        await written

    async def session_state(self, lock: SessionLock) -> bytes | None:
        """The state stored with the session, None when there is none."""
        dispatcher = self._catalog.receivable(lock.entity)[1]
        with self._turn:
            dispatcher.sessions().hold_of(lock)
        return await self._context.journal.session_state(dispatcher.queue.number, lock.session_id)

    async def set_session_state(self, lock: SessionLock, state: bytes | None) -> None:
        """Store (or, with None, clear) the session's state; it outlives the lock and the session's messages."""
        dispatcher = self._catalog.receivable(lock.entity)[1]
        with self._turn as now:
            dispatcher.sessions().hold_of(lock)
            number = dispatcher.queue.number
            written = self._context.journal.set_session_state(number, lock.session_id, state, now)
        await written

    async def sessions(self, entity: str, *, state_updated_after: datetime | None = None) -> list[str]:
        """Ids of the sessions that hold messages or state, by name; with a time, those whose state was set after it."""
        dispatcher = self._catalog.receivable(entity)[1]
        with self._turn:
            names = dispatcher.sessions().names() if state_updated_after is None else []
        after = 0 if state_updated_after is None else to_instant(state_updated_after)
        return sorted({*names, *await self._context.journal.sessions_with_state(dispatcher.queue.number, after)})

    # -- help -----------------------------------------------------------------------------------------------------

    def _receiving(self, entity: str) -> Dispatcher:
        owner, dispatcher = self._catalog.receivable(entity)
        if owner.options.status in _CLOSED_FOR_RECEIVING:
            raise EntityDisabled(f"{owner.path} is {owner.options.status}: nothing can be received from it")
        owner.times.accessed = self._catch_up()
        return dispatcher

    def _wish(
        self, entity: str, max_messages: int, mode: ReceiveMode, session: SessionLock | None
    ) -> tuple[Dispatcher, Wish]:
        check_count(entity, max_messages)
        dispatcher = self._receiving(entity)
        return dispatcher, Wish(max_messages, mode, dispatcher.hold_of(session))

    def _catch_up(self) -> int:
        with self._turn as now:
            return now


def _check_session(dispatcher: Dispatcher, session: SessionLock | None) -> None:
    if session is not None:
        dispatcher.sessions().hold_of(session)


def _lock(entity: str, hold: Hold) -> SessionLock:
    return SessionLock(entity, hold.session_id, hold.token, to_datetime(hold.until))
