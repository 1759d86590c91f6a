"""Serving those who receive from one queue: in the order of their coming, and taken back whole when they are cancelled.

A handover is what one receiver gets: messages that are locked (or gone) in memory at once, and a write on its way to
the disk. The receiver returns when the write is there; cancelled before that, it gives the handover back.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from devhost.broker.codec import decode_dead_letter
from devhost.broker.context import Context
from devhost.broker.errors import BrokerError, InvalidOperation, SessionLockLost
from devhost.broker.instants import NEVER, to_datetime, to_optional_datetime
from devhost.broker.journal import Row
from devhost.broker.lifecycle import SHOWN_AS, Status
from devhost.broker.model import Delivery, ReceiveMode, SessionLock
from devhost.broker.queue import MessageQueue, Taken
from devhost.broker.schema import split_key
from devhost.broker.sessions import Hold, SessionBook
from devhost.broker.waiters import Line, Waiter


@dataclass(frozen=True, slots=True)
class Wish:
    """What a receiver wants."""

    limit: int
    mode: ReceiveMode
    hold: Hold | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Handover:
    """What a receiver gets."""

    taken: list[Taken]
    rows: asyncio.Future[list[Row]]
    #: When the locks end; `NEVER` when the messages were deleted instead.
    until: int = NEVER
    #: What was deleted, so that it can be put back; None when the messages were locked instead.
    kept: list[Row] | None = None


class Dispatcher:
    """The receivers of `queue`."""

    def __init__(self, context: Context, queue: MessageQueue) -> None:
        self.queue = queue
        self._context = context
        self._receivers: Line[Wish, Handover] = Line()
        self._in_session: dict[Hold, Line[Wish, Handover]] = {}
        self._accepting: Line[None, Hold] = Line()
        self._ended = False
        queue.on_change = lambda: context.touch(self)

    # -- messages -------------------------------------------------------------------------------------------------

    async def receive(self, wish: Wish, *, wait: bool) -> list[Delivery]:
        """Take messages, waiting for the first one if `wait`."""
        waiter: Waiter[Wish, Handover] = Waiter(wish)
        line = self._receivers if wish.hold is None else self._in_session.setdefault(wish.hold, Line())
        line.join(waiter)
        self._context.touch(self)
        self._context.settle()
        if not wait and not waiter.answer.done():
            line.leave(waiter)
            return []
        try:
            handover = await waiter.answer
        except asyncio.CancelledError:
            line.leave(waiter)
            if waiter.answer.done() and not waiter.answer.cancelled() and waiter.answer.exception() is None:
                self._take_back(waiter.answer.result())
            raise
        return await self._collect(handover)

    async def receive_deferred(self, numbers: Sequence[int], wish: Wish) -> list[Delivery]:
        """Take deferred messages by number, all or none."""
        lock = wish.mode is ReceiveMode.PEEK_LOCK
        try:
            taken = self.queue.take_deferred(numbers, wish.hold, self._context.agenda.now(), lock=lock)
        finally:
            self._context.settle()
        return await self._collect(self._hand_over(taken, wish)) if taken else []

    async def peek(self, start: int, limit: int, session_id: str | None) -> list[Delivery]:
        """Look at messages without taking them."""
        ledger = self.queue.ledger
        seen = [
            (number, ledger.status(number), ledger.deliveries(number))
            for number in self.queue.present(start, limit, session_id)
        ]
        rows = await self._context.journal.read([self.queue.key(number) for number, _, _ in seen])
        return [_delivery(row, status, deliveries) for row, (_, status, deliveries) in zip(rows, seen, strict=True)]

    def serve(self) -> None:
        """Answer the waiting receivers and those waiting for a session, as far as there is something for them."""
        sessions = self.queue.sessions
        if sessions is None:
            self._serve(self._receivers)
            return
        self._serve_accepting(sessions)
        for hold, line in list(self._in_session.items()):
            if not sessions.is_live(hold):
                line.fail(SessionLockLost(f"the lock on session {hold.session_id!r} of {self.queue.path} was lost"))
            self._serve(line)
            if not line:
                del self._in_session[hold]

    def end(self, error: BrokerError) -> None:
        """Answer everybody who waits with `error`; from now on nothing is taken back either."""
        self._ended = True
        self._receivers.fail(error)
        self._accepting.fail(error)
        for line in self._in_session.values():
            line.fail(error)

    def _serve(self, line: Line[Wish, Handover]) -> None:
        while line:
            waiter = line.first()
            if not waiter.answer.done():
                wish, now = waiter.wish, self._context.agenda.now()
                lock = wish.mode is ReceiveMode.PEEK_LOCK
                taken = self.queue.take_waiting(wish.limit, wish.hold, now, lock=lock)
                if not taken:
                    return
                waiter.answer.set_result(self._hand_over(taken, wish))
            line.leave(waiter)

    def _hand_over(self, taken: list[Taken], wish: Wish) -> Handover:
        queue, journal = self.queue, self._context.journal
        if wish.mode is ReceiveMode.RECEIVE_AND_DELETE:
            kept: list[Row] = []
            rows = journal.deliver_and_delete([queue.key(one.number) for one in taken], kept)
            return Handover(taken, rows, kept=kept)
        rows = journal.deliver([(queue.key(one.number), one.deliveries + 1) for one in taken])
        return Handover(taken, rows, queue.ledger.due(taken[0].number) if wish.hold is None else wish.hold.until)

    async def _collect(self, handover: Handover) -> list[Delivery]:
        try:
            rows = await handover.rows
        except asyncio.CancelledError:
            self._take_back(handover)
            raise
        return [
            _delivery(row, one.status, one.deliveries, one, handover.until)
            for row, one in zip(rows, handover.taken, strict=True)
        ]

    def _take_back(self, handover: Handover) -> None:
        if self._ended:
            return
        if handover.kept is None:
            self.queue.unlock_unseen(handover.taken, self._context.agenda.now())
        else:
            self._context.journal.restore(handover.kept, self.queue.put_back(handover.taken))
        self._context.settle()

    # -- sessions -------------------------------------------------------------------------------------------------

    def sessions(self) -> SessionBook:
        """The queue's sessions; `InvalidOperation` when it has none."""
        if self.queue.sessions is None:
            raise InvalidOperation(f"{self.queue.path} does not have sessions")
        return self.queue.sessions

    def hold_of(self, lock: SessionLock | None) -> Hold | None:
        """The hold behind `lock`, checked: given exactly when the queue has sessions, and not lost."""
        if lock is None:
            if self.queue.sessions is not None:
                raise InvalidOperation(f"{self.queue.path} has sessions: a session must be accepted to receive from it")
            return None
        return self.sessions().hold_of(lock)

    async def accept(self, session_id: str | None) -> Hold:
        """Hold a session by name, or wait for the next available one."""
        sessions = self.sessions()
        if session_id is not None:
            hold = self.queue.accept(sessions, session_id, self._context.agenda.now())
            self._context.settle()
            return hold
        waiter: Waiter[None, Hold] = Waiter(None)
        self._accepting.join(waiter)
        self._context.touch(self)
        self._context.settle()
        try:
            return await waiter.answer
        except asyncio.CancelledError:
            self._accepting.leave(waiter)
            if waiter.answer.done() and not waiter.answer.cancelled() and waiter.answer.exception() is None:
                self._give_up(sessions, waiter.answer.result())
            raise

    def _give_up(self, sessions: SessionBook, hold: Hold) -> None:
        if not self._ended and sessions.is_live(hold):
            self.queue.release_hold(sessions, hold, self._context.agenda.now())
            self._context.settle()

    def _serve_accepting(self, sessions: SessionBook) -> None:
        while self._accepting:
            waiter = self._accepting.first()
            if not waiter.answer.done():
                hold = self.queue.accept_next(sessions, self._context.agenda.now())
                if hold is None:
                    return
                waiter.answer.set_result(hold)
            self._accepting.leave(waiter)


def _delivery(row: Row, status: Status, deliveries: int, taken: Taken | None = None, until: int = NEVER) -> Delivery:
    mark = decode_dead_letter(row.dead_letter)
    return Delivery(
        message=row.message(),
        sequence_number=split_key(row.key)[1],
        enqueued_sequence_number=row.enqueued_number,
        enqueued_time=to_datetime(row.enqueued_at),
        expires_at=to_optional_datetime(row.expires_at),
        delivery_count=deliveries,
        state=SHOWN_AS[status],
        lock_token=None if taken is None else taken.token,
        locked_until=to_optional_datetime(until),
        dead_letter_source=None if mark is None else mark.source,
        dead_letter_reason=None if mark is None else mark.reason,
        dead_letter_description=None if mark is None else mark.description,
    )
