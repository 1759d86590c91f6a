"""Where the messages of one queue lie, and what happens to them by themselves: expiry, lock ends, schedules, burial.

The lower layer of `devhost.broker.queue`, which adds what consumers do. Memory is ahead of the disk by what the
journal has not committed yet; the journal keeps the order, so that whoever waits for a write knows that everything
before it is on disk too. Times are instants.
"""

import asyncio
import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from devhost.broker.codec import DeadLetter, encode_dead_letter
from devhost.broker.context import Context
from devhost.broker.instants import NEVER, later
from devhost.broker.journal import Row, new_row
from devhost.broker.ledger import Ledger
from devhost.broker.lifecycle import Event, Status, after
from devhost.broker.locks import LockTable
from devhost.broker.model import Message, Scalar
from devhost.broker.schema import message_key
from devhost.broker.sessions import Hold, SessionBook

# Reasons and descriptions as the service words them: consumers compare them.
_DELIVERIES_REASON = "MaxDeliveryCountExceeded"
_DELIVERIES_DESCRIPTION = "Message could not be consumed after {} delivery attempts."
_EXPIRED_REASON = "TTLExpiredException"
_EXPIRED_DESCRIPTION = "The message expired and was dead lettered."


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """What of an entity's options decides over its messages. None means without limit."""

    lock_for: timedelta
    max_deliveries: int | None
    time_to_live: timedelta | None
    dead_letter_expired: bool
    sessions: bool


class Shelf:
    """The messages under one entity path; `number` is the queue's in the file."""

    def __init__(
        self, context: Context, number: int, path: str, settings: QueueSettings, *, dead_letters: "Shelf | None" = None
    ) -> None:
        self.number = number
        self.path = path
        self.settings = settings
        self.dead_letters = dead_letters
        self.ledger = Ledger()
        self.locks = LockTable(path)
        self.sessions = SessionBook(path) if settings.sessions else None
        #: Called when a message may have become available, and when a hold on a session has begun or ended.
        self.on_change: Callable[[], None] = lambda: None
        self._context = context
        self.next_number = 1
        # While what is due is dealt with: what remains, in order of time, and until when.
        self._due: list[tuple[int, int]] = []
        self._due_until = -1

    def use_settings(self, settings: QueueSettings) -> None:
        """Follow changed settings; only an empty queue gains or loses its sessions."""
        if settings.sessions != self.settings.sessions:
            self.sessions = SessionBook(self.path) if settings.sessions else None
        self.settings = settings

    def key(self, number: int) -> int:
        """The message's key in the file."""
        return message_key(self.number, number)

    # -- entering: the caller writes the rows ---------------------------------------------------------------------

    def add(
        self, message: Message, now: int, *, origin: int | None = None, ttl: timedelta | None = None
    ) -> tuple[int, Row]:
        """Take in a message that is available at once; its number and its row.

        `origin` is the number a topic has given it, `ttl` a bound on its life that comes from there.
        """
        number = self.use_number()
        expires = self._expiry(message, now, ttl)
        status = after(Event.SEND, Status.ABSENT)
        self.restore(number, status, message.size, message.session_id, due=expires, expires=expires)
        return number, new_row(self.key(number), message, origin=origin or number, at=now, expires=expires)

    def schedule(self, message: Message, due: int, now: int) -> tuple[int, Row]:
        """Take in a message that becomes available at `due`; its number until then, and its row."""
        number = self.use_number()
        expires = self._expiry(message, due, None)
        status = after(Event.SCHEDULE, Status.ABSENT)
        self.restore(number, status, message.size, message.session_id, due=due, expires=expires)
        return number, new_row(self.key(number), message, origin=number, at=now, due=due, expires=expires)

    def restore(
        self,
        number: int,
        status: Status,
        size: int,
        session_id: str | None,
        *,
        due: int = NEVER,
        expires: int = NEVER,
        deliveries: int = 0,
    ) -> None:
        """Put a message in its place, without writing: it is new, or the file has it already."""
        self.ledger.add(number, status, size=size, due=due, expires=expires, deliveries=deliveries)
        if self.sessions is not None and session_id is not None:
            self.sessions.enter(number, session_id)
        self._entered(number, status, due)

    def add_dead(self, message: Message, now: int, mark: DeadLetter, origin: int) -> Row:
        """Take in a message that enters the queue as a dead letter."""
        number = self.use_number()
        self.restore(number, after(Event.SEND, Status.ABSENT), message.size, None)
        row = new_row(self.key(number), message, origin=origin, at=now)
        return row._replace(dead_letter=encode_dead_letter(mark))

    def use_number(self) -> int:
        """Spend a sequence number; the commit of what it is used for keeps it spent."""
        number = self.next_number
        self.next_number += 1
        self._context.journal.count_up(self.number, self.next_number)
        return number

    # -- time -----------------------------------------------------------------------------------------------------

    def earliest(self) -> int:
        """A time before which nothing falls due."""
        sessions = NEVER if self.sessions is None else self.sessions.earliest()
        return min(self.ledger.earliest(), sessions)

    def run_due(self, until: int) -> None:
        """Deal with everything due at or before `until`, in order of time."""
        while self.earliest() <= until:
            session_end = NEVER if self.sessions is None else self.sessions.earliest()
            self._run_messages_due(min(until, session_end))
            if self.sessions is not None and session_end <= until:
                for hold in self.sessions.ending(session_end):
                    self._end_hold(self.sessions, hold, session_end)

    def _run_messages_due(self, until: int) -> None:
        self._due_until, self._due = until, self.ledger.due_until(until)
        while self._due:
            due, number = heapq.heappop(self._due)
            self._fall_due(number, due)
        self._due_until = -1

    def bury_exhausted(
        self, number: int, properties: Mapping[str, Scalar] | None = None
    ) -> asyncio.Future[None] | None:
        """Dead-letter an unlocked message if its deliveries are used up; None when they are not."""
        limit = self.settings.max_deliveries
        if limit is None or self.dead_letters is None or self.ledger.deliveries(number) < limit:
            return None
        description = _DELIVERIES_DESCRIPTION.format(limit)
        return self._bury(number, self.dead_letters, _DELIVERIES_REASON, description, properties)

    def _end_hold(self, sessions: SessionBook, hold: Hold, now: int) -> None:
        for number in sorted(hold.numbers):
            self.locks.remove_number(number)
            self._release(number, now)
        sessions.end(hold)
        self.on_change()

    def _fall_due(self, number: int, due: int) -> None:
        status = self.ledger.status(number)
        if status is Status.WAITING:
            self._expire(number)
        elif status is Status.SCHEDULED:
            self._activate(number, due)
        else:
            self.locks.remove_number(number)
            self._release(number, due)

    def _activate(self, number: int, due: int) -> None:
        size, expires = self.ledger.size(number), self.ledger.expires(number)
        session_id = self._session_id(number)
        self._leave(Event.COME_DUE, number)
        new = self.use_number()
        status = after(Event.SEND, Status.ABSENT)
        self._context.journal.activate(self.key(number), [(self.key(new), number, expires, None)], due)
        self.restore(new, status, size, session_id, due=expires, expires=expires)

    def _release(self, number: int, now: int) -> None:
        """What follows the end of a counted delivery."""
        if self.bury_exhausted(number) is None:
            self._give_back(number, now)

    def _give_back(self, number: int, now: int) -> None:
        if self.ledger.status(number) is Status.LOCKED and self.ledger.expires(number) <= now:
            self._expire(number)
            return
        due = self.ledger.expires(number) if self.ledger.status(number) is Status.LOCKED else NEVER
        status = self.ledger.apply(Event.RELEASE, number, due)
        self._entered(number, status, due)

    def _expire(self, number: int) -> None:
        """End a message's life; it is waiting, deferred, or locked by nobody any more."""
        if self.settings.dead_letter_expired and self.dead_letters is not None:
            self._bury(number, self.dead_letters, _EXPIRED_REASON, _EXPIRED_DESCRIPTION)
        else:
            self._leave(Event.EXPIRE, number)
            self._context.journal.drop([self.key(number)])

    def _bury(
        self,
        number: int,
        dead_letters: "Shelf",
        reason: str | None,
        description: str | None,
        properties: Mapping[str, Scalar] | None = None,
    ) -> asyncio.Future[None]:
        size, deliveries = self.ledger.size(number), self.ledger.deliveries(number)
        self._leave(Event.DEAD_LETTER, number)
        new = dead_letters.use_number()
        dead_letters.restore(new, after(Event.SEND, Status.ABSENT), size, None, deliveries=deliveries)
        mark = DeadLetter(self.path, reason, description)
        return self._context.journal.bury(self.key(number), dead_letters.key(new), mark, properties)

    def _leave(self, event: Event, number: int) -> None:
        waiting = self.ledger.status(number) is Status.WAITING
        self.ledger.apply(event, number)
        if self.sessions is not None:
            if waiting:
                self.sessions.waits_no_more(number)
            self.sessions.leave(number)

    def _entered(self, number: int, status: Status, due: int) -> None:
        if due <= self._due_until:
            # What has just happened late has a consequence that is late as well: it takes its turn among the others.
            heapq.heappush(self._due, (due, number))
        elif due != NEVER:
            self._context.agenda.note(self, due)
        if status is Status.WAITING:
            if self.sessions is not None:
                self.sessions.waits(number)
            self.on_change()

    def _session_id(self, number: int) -> str | None:
        return None if self.sessions is None else self.sessions.session_of(number)

    def _expiry(self, message: Message, start: int, bound: timedelta | None) -> int:
        spans = (message.time_to_live, self.settings.time_to_live, bound)
        return min(later(start, span) for span in spans)
