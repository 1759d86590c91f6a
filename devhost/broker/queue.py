"""One queue of messages, a queue entity, a subscription or a dead-letter queue: what consumers do to its messages.

Everything here happens in memory at once and returns the future of its write; callers deal with what is due first
(`run_due`). What is handed out is written by the caller, who reads the messages in the same piece of work.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from devhost.broker.errors import InvalidOperation, MessageNotFound
from devhost.broker.instants import NEVER, later
from devhost.broker.lifecycle import SHOWN_AS, Event, Status
from devhost.broker.model import MessageState, Scalar
from devhost.broker.sessions import Hold, SessionBook
from devhost.broker.shelf import Shelf

# No answer holds much more than this, however many messages were asked for: memory is bounded by those who ask.
_ANSWER_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Taken:
    """One message taken out for a consumer, as it was before: enough to put it back."""

    number: int
    token: UUID | None
    status: Status
    deliveries: int
    expires: int
    size: int
    session_id: str | None


class MessageQueue(Shelf):
    """The messages under one entity path, as its consumers deal with them. Times are instants."""

    # -- handing out: the caller writes ---------------------------------------------------------------------------

    def take_waiting(self, limit: int, hold: Hold | None, now: int, *, lock: bool) -> list[Taken]:
        """Lock or remove up to `limit` messages that can be received, oldest first."""
        taken: list[Taken] = []
        size = 0
        while len(taken) < limit and size < _ANSWER_BYTES and (number := self._next_waiting(hold)) is not None:
            taken.append(self._take(number, hold, now, lock=lock))
            size += taken[-1].size
        return taken

    def take_deferred(self, numbers: Sequence[int], hold: Hold | None, now: int, *, lock: bool) -> list[Taken]:
        """Lock or remove deferred messages, all or none; `MessageNotFound`. One that has expired goes its way first."""
        wanted = dict.fromkeys(numbers)
        for number in wanted:
            if self.ledger.status(number) is Status.DEFERRED and self.ledger.expires(number) <= now:
                self._expire(number)
        for number in wanted:
            found = self.ledger.status(number) is Status.DEFERRED
            if not found or (hold is not None and self._session_id(number) != hold.session_id):
                raise MessageNotFound(f"{self.path} has no deferred message {number}")
        return [self._take(number, hold, now, lock=lock) for number in wanted]

    def unlock_unseen(self, taken: Sequence[Taken], now: int) -> None:
        """Undo a locking that reached nobody. What was released since then, by time, stays as it is."""
        held = [one.number for one in taken if one.token is not None and self.locks.holds(one.token)]
        for number in held:
            self.locks.remove_number(number)
        self._uncount(held, now)

    def put_back(self, taken: Sequence[Taken]) -> list[tuple[int, int]]:
        """Undo a removal that reached nobody; the (key, count) of deliveries for `Journal.restore`."""
        for one in taken:
            due = one.expires if one.status is Status.WAITING else NEVER
            deliveries, expires = one.deliveries, one.expires
            self.restore(
                one.number, one.status, one.size, one.session_id, due=due, expires=expires, deliveries=deliveries
            )
        return [(self.key(one.number), one.deliveries) for one in taken]

    # -- settling -------------------------------------------------------------------------------------------------

    def complete(self, token: UUID) -> asyncio.Future[None]:
        """Remove a locked message; done when on disk. Raises `MessageLockLost`, as all of these do."""
        number = self._unlock(token)
        self._leave(Event.COMPLETE, number)
        return self._context.journal.delete([self.key(number)])

    def abandon(self, token: UUID, properties: Mapping[str, Scalar] | None, now: int) -> asyncio.Future[None] | None:
        """Make a locked message available again; None when there is nothing to write."""
        number = self._unlock(token)
        written = self.bury_exhausted(number, properties)
        if written is None:
            if properties:
                state = SHOWN_AS[self.ledger.status(number)]
                written = self._context.journal.change(self.key(number), state, properties)
            self._give_back(number, now)
        return written

    def release(self, token: UUID, now: int) -> asyncio.Future[None]:
        """Make a locked message available again as if it had not been handed out."""
        return self._uncount([self._unlock(token)], now)

    def defer(self, token: UUID, properties: Mapping[str, Scalar] | None) -> asyncio.Future[None]:
        """Set a locked message aside."""
        number = self._unlock(token)
        self.ledger.apply(Event.DEFER, number)
        return self._context.journal.change(self.key(number), MessageState.DEFERRED, properties or {})

    def dead_letter(
        self,
        token: UUID,
        reason: str | None,
        description: str | None,
        properties: Mapping[str, Scalar] | None,
    ) -> asyncio.Future[None]:
        """Move a locked message to the dead-letter queue."""
        self.locks.get(token)
        if self.dead_letters is None:
            raise InvalidOperation(f"{self.path} is a dead-letter queue: its messages cannot be dead-lettered again")
        return self._bury(self._unlock(token), self.dead_letters, reason, description, properties)

    def renew(self, tokens: Sequence[UUID], now: int) -> int:
        """Extend locks, all or none; when they end."""
        locks = [self.locks.get(token) for token in tokens]
        if any(lock.hold is not None for lock in locks):
            raise InvalidOperation(f"{self.path} has sessions: the session's lock is renewed, not a message's")
        until = later(now, self.settings.lock_for)
        for lock in locks:
            self.ledger.extend(lock.number, until)
        self._context.agenda.note(self, until)
        return until

    def cancel(self, numbers: Sequence[int]) -> asyncio.Future[None]:
        """Remove scheduled messages, all or none; `MessageNotFound`."""
        wanted = list(dict.fromkeys(numbers))
        for number in wanted:
            if self.ledger.status(number) is not Status.SCHEDULED:
                raise MessageNotFound(f"{self.path} has no scheduled message {number}")
        for number in wanted:
            self._leave(Event.CANCEL, number)
        return self._context.journal.delete([self.key(number) for number in wanted])

    def delete(self, numbers: Sequence[int]) -> tuple[int, asyncio.Future[None]]:
        """Remove those of the messages that can be received now; how many they were."""
        waiting = [number for number in numbers if self.ledger.status(number) is Status.WAITING]
        for number in waiting:
            self._leave(Event.TAKE, number)
        return len(waiting), self._context.journal.delete([self.key(number) for number in waiting])

    # -- holds on sessions ----------------------------------------------------------------------------------------

    def accept(self, sessions: SessionBook, session_id: str, now: int) -> Hold:
        """Hold a session by name; `SessionCannotBeLocked`."""
        hold = sessions.accept(session_id, later(now, self.settings.lock_for))
        self._context.agenda.note(self, hold.until)
        return hold

    def accept_next(self, sessions: SessionBook, now: int) -> Hold | None:
        """Hold the next available session, None when there is none."""
        hold = sessions.accept_next(later(now, self.settings.lock_for))
        if hold is not None:
            self._context.agenda.note(self, hold.until)
        return hold

    def renew_hold(self, hold: Hold, now: int) -> None:
        """Extend a hold, and the locks under it."""
        hold.until = later(now, self.settings.lock_for)
        self._context.agenda.note(self, hold.until)

    def release_hold(self, sessions: SessionBook, hold: Hold, now: int) -> asyncio.Future[None]:
        """End a hold before its time: what is locked under it is released, and those deliveries do not count."""
        held = sorted(hold.numbers)
        for number in held:
            self.locks.remove_number(number)
        written = self._uncount(held, now)
        sessions.end(hold)
        self.on_change()
        return written

    # -- looking --------------------------------------------------------------------------------------------------

    def present(self, start: int, limit: int, session_id: str | None) -> list[int]:
        """Up to `limit` numbers from `start` on, of one session or of all."""
        found: list[int] = []
        size = 0
        for number in self.ledger.present(start):
            if session_id is None or self._session_id(number) == session_id:
                found.append(number)
                size += self.ledger.size(number)
            if len(found) == limit or size >= _ANSWER_BYTES:
                break
        return found

    def waiting(self, limit: int) -> list[int]:
        """Up to `limit` numbers of messages that can be received, oldest first."""
        numbers = self.ledger.present(0)
        return list(islice((number for number in numbers if self.ledger.status(number) is Status.WAITING), limit))

    def _take(self, number: int, hold: Hold | None, now: int, *, lock: bool) -> Taken:
        ledger = self.ledger
        deliveries, status, session_id = ledger.deliveries(number), ledger.status(number), self._session_id(number)
        before = (status, deliveries, ledger.expires(number), ledger.size(number), session_id)
        if not lock:
            self._leave(Event.TAKE, number)
            return Taken(number, None, *before)
        due = NEVER if hold is not None else later(now, self.settings.lock_for)
        ledger.apply(Event.LOCK, number, due)
        ledger.set_deliveries(number, deliveries + 1)
        if self.sessions is not None and status is Status.WAITING:
            self.sessions.waits_no_more(number)
        if due != NEVER:
            self._context.agenda.note(self, due)
        return Taken(number, self.locks.add(number, hold).token, *before)

    def _next_waiting(self, hold: Hold | None) -> int | None:
        if self.sessions is None:
            return self.ledger.next_waiting()
        if hold is None:
            return None
        return self.sessions.pop_waiting(hold.session_id, lambda number: self.ledger.status(number) is Status.WAITING)

    def _uncount(self, numbers: Sequence[int], now: int) -> asyncio.Future[None]:
        """Give back messages that are locked no more as if they had not been handed out."""
        ledger = self.ledger
        for number in numbers:
            ledger.set_deliveries(number, ledger.deliveries(number) - 1)
        # Written before they are given back: a message whose life is over moves on to another key.
        written = self._context.journal.set_counts(
            [(self.key(number), ledger.deliveries(number)) for number in numbers]
        )
        for number in numbers:
            self._give_back(number, now)
        return written

    def _unlock(self, token: UUID) -> int:
        lock = self.locks.get(token)
        self.locks.remove(lock)
        return lock.number
