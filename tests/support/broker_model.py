"""A second, naive reading of the service's rules, for holding the broker against: lists, loops, and whole seconds.

It shares no code with the broker. It keeps everything in memory, finds what is due by looking at everything, and says
after each operation what a consumer must see.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

WAITING, LOCKED, DEFERRED, DEFERRED_LOCKED, SCHEDULED = "waiting", "locked", "deferred", "deferred-locked", "scheduled"
SHOWN = {WAITING: 0, LOCKED: 0, DEFERRED: 1, DEFERRED_LOCKED: 1, SCHEDULED: 2}


class Refused(Exception):
    """The service refuses; the text is the name of the error's type."""


@dataclass
class Sent:
    """What a producer sends; times are seconds, `body` is unique."""

    body: bytes
    message_id: str | None = None
    session_id: str | None = None
    ttl: int | None = None
    due: int | None = None
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass
class Held:
    """A message in a box."""

    sent: Sent
    number: int
    origin: int
    enqueued: int
    expires: int | None
    status: str
    properties: dict[str, Any]
    deliveries: int = 0
    #: When its own lock ends, None under a session's.
    until: int | None = None
    lock: object | None = None
    dead: tuple[str, str | None, str | None] | None = None


@dataclass
class Session:
    """A hold on a session."""

    session_id: str
    until: int
    order: int


@dataclass
class Waiting:
    """A receiver or an accepting client that waits; `given` is what it got."""

    limit: int
    delete: bool
    session: Session | None
    given: Any = None


class Box:
    """A queue, a subscription or a dead-letter queue."""

    def __init__(self, path: str, *, lock: int, most: int | None, ttl: int | None, bury: bool, sessions: bool) -> None:
        self.path, self.lock, self.most, self.ttl, self.bury, self.sessions = path, lock, most, ttl, bury, sessions
        self.dead: Box | None = None
        self.held: list[Held] = []
        self.next = 1
        self.holds: dict[str, Session] = {}
        self.states: dict[str, bytes] = {}
        self.available: list[str] = []
        self.receivers: list[Waiting] = []
        self.accepting: list[Waiting] = []
        self.accepted = 0

    # -- entering and leaving -------------------------------------------------------------------------------------

    def spend(self) -> int:
        self.next += 1
        return self.next - 1

    def add(self, sent: Sent, now: int, *, origin: int | None = None, ttl: int | None = None) -> Held:
        number = self.spend()
        start = sent.due if sent.due is not None and sent.due > now else now
        spans = [span for span in (sent.ttl, self.ttl, ttl) if span is not None]
        expires = start + min(spans) if spans else None
        held = Held(sent, number, origin or number, now, expires, WAITING, dict(sent.properties))
        if start > now:
            held.status, held.until = SCHEDULED, start
        self.held.append(held)
        self.refresh()
        return held

    def drop(self, held: Held) -> None:
        self.held.remove(held)
        self.refresh()

    def move_to_dead(self, held: Held, reason: str | None, description: str | None) -> None:
        assert self.dead is not None
        self.held.remove(held)
        held.dead, held.number, held.status = (self.path, reason, description), self.dead.spend(), WAITING
        held.expires = held.until = held.lock = None
        self.dead.held.append(held)
        self.refresh()

    def expire(self, held: Held) -> None:
        if self.bury and self.dead is not None:
            self.move_to_dead(held, "TTLExpiredException", "The message expired and was dead lettered.")
        else:
            self.drop(held)

    def release(self, held: Held, now: int, *, counted: bool = True) -> None:
        held.lock = held.until = None
        if not counted:
            held.deliveries -= 1
        elif self.most is not None and held.deliveries >= self.most:
            text = f"Message could not be consumed after {self.most} delivery attempts."
            self.move_to_dead(held, "MaxDeliveryCountExceeded", text)
            return
        if held.status == DEFERRED_LOCKED:
            held.status = DEFERRED
        elif held.expires is not None and held.expires <= now:
            self.expire(held)
        else:
            held.status = WAITING
        self.refresh()

    # -- looking --------------------------------------------------------------------------------------------------

    def waiting(self, session: str | None = None) -> list[Held]:
        found = [held for held in self.held if held.status == WAITING]
        if session is not None:
            found = [held for held in found if held.sent.session_id == session]
        return sorted(found, key=lambda held: held.number)

    def find(self, number: int, status: str) -> Held:
        for held in self.held:
            if held.number == number and held.status == status:
                return held
        raise Refused("MessageNotFound")

    def locked_as(self, lock: object) -> Held:
        for held in self.held:
            if held.lock is lock:
                return held
        raise Refused("MessageLockLost")

    def seen(self) -> list[tuple[Any, ...]]:
        """What a peek over everything shows."""
        return [
            (
                held.number,
                held.origin,
                held.sent.body,
                SHOWN[held.status],
                held.deliveries,
                held.enqueued,
                held.expires,
                tuple(sorted(held.properties.items())),
                held.dead,
            )
            for held in sorted(self.held, key=lambda held: held.number)
        ]

    def counts(self) -> tuple[int, int, int, int, int, int]:
        """Active, locked, deferred, scheduled, dead-lettered, bytes."""

        def of(*statuses: str) -> int:
            return sum(held.status in statuses for held in self.held)

        dead = [] if self.dead is None else self.dead.held
        size = sum(len(held.sent.body) for held in [*self.held, *dead])
        locked = of(LOCKED, DEFERRED_LOCKED)
        return of(WAITING, DEFERRED) + locked, locked, of(DEFERRED), of(SCHEDULED), len(dead), size

    # -- taking ---------------------------------------------------------------------------------------------------

    def take(self, held: Held, now: int, *, delete: bool, session: Session | None) -> tuple[Held, int]:
        """Lock or remove one message; with its delivery count as the consumer sees it."""
        before = held.deliveries
        if delete:
            self.drop(held)
            return held, before
        held.deliveries += 1
        held.status = DEFERRED_LOCKED if held.status == DEFERRED else LOCKED
        held.lock = object()
        held.until = None if session is not None else now + self.lock
        self.refresh()
        return held, before

    def take_waiting(self, wish: Waiting, now: int) -> list[tuple[Held, int]]:
        found = self.waiting(None if wish.session is None else wish.session.session_id)[: wish.limit]
        return [self.take(held, now, delete=wish.delete, session=wish.session) for held in found]

    def take_deferred(self, numbers: list[int], wish: Waiting, now: int) -> list[tuple[Held, int]]:
        for number in numbers:
            for held in [one for one in self.held if one.number == number and one.status == DEFERRED]:
                if held.expires is not None and held.expires <= now:
                    self.expire(held)
        found = [self.find(number, DEFERRED) for number in numbers]
        if wish.session is not None and any(one.sent.session_id != wish.session.session_id for one in found):
            raise Refused("MessageNotFound")
        return [self.take(held, now, delete=wish.delete, session=wish.session) for held in found]

    def put_back(self, waiter: Waiting) -> None:
        """What was given to a receiver who was not there any more."""
        for held, before in waiter.given or []:
            held.status, held.lock, held.until, held.deliveries = WAITING, None, None, before
            if held not in self.held:
                self.held.append(held)
        self.refresh()

    # -- sessions -------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Keep the sessions that can be accepted next in the order in which they became so."""
        if not self.sessions:
            return
        ready = {held.sent.session_id for held in self.held if held.status == WAITING} - set(self.holds)
        kept = [name for name in self.available if name in ready]
        self.available = kept + sorted(name for name in ready if name is not None and name not in kept)

    def accept(self, session_id: str, now: int) -> Session:
        if session_id in self.holds:
            raise Refused("SessionCannotBeLocked")
        self.accepted += 1
        hold = self.holds[session_id] = Session(session_id, now + self.lock, self.accepted)
        self.refresh()
        return hold

    def live(self, hold: Session) -> Session:
        if self.holds.get(hold.session_id) is not hold:
            raise Refused("SessionLockLost")
        return hold

    def end(self, hold: Session, now: int, *, counted: bool) -> None:
        for held in sorted(self.held, key=lambda held: held.number):
            if held.lock is not None and held.sent.session_id == hold.session_id:
                self.release(held, now, counted=counted)
        del self.holds[hold.session_id]
        self.refresh()

    # -- time and waiting -----------------------------------------------------------------------------------------

    def next_event(self) -> tuple[int, int, int, Callable[[], None]] | None:
        """(time, messages before sessions, number, what happens) of the first thing that falls due."""
        events: list[tuple[int, int, int, Callable[[], None]]] = []
        for held in self.held:
            if held.status == WAITING and held.expires is not None:
                events.append((held.expires, 0, held.number, partial(self.expire, held)))
            elif held.status == SCHEDULED and held.until is not None:
                events.append((held.until, 0, held.number, partial(self.come_due, held)))
            elif held.until is not None:
                events.append((held.until, 0, held.number, partial(self.release, held, held.until)))
        events += [
            (hold.until, 1, hold.order, partial(self.end, hold, hold.until, counted=True))
            for hold in self.holds.values()
        ]
        return min(events, key=lambda event: event[:3], default=None)

    def come_due(self, held: Held) -> None:
        assert held.until is not None
        held.origin, held.enqueued, held.until = held.number, held.until, None
        held.number, held.status = self.spend(), WAITING
        self.refresh()

    def serve(self, now: int) -> list[Waiting]:
        """Give what can be given to those who wait; those who were answered (given None: their session was lost)."""
        served = []
        while self.accepting and self.available:
            waiter = self.accepting.pop(0)
            waiter.given = self.accept(self.available[0], now)
            served.append(waiter)
        for waiter in list(self.receivers):
            lost = waiter.session is not None and self.holds.get(waiter.session.session_id) is not waiter.session
            taken = [] if lost else self.take_waiting(waiter, now)
            if lost or taken:
                waiter.given = taken or None
                self.receivers.remove(waiter)
                served.append(waiter)
        return served

    def restart(self) -> None:
        """What a stop and a start leave: no locks, no holds, nobody waiting."""
        self.receivers.clear()
        self.accepting.clear()
        self.holds.clear()
        for held in sorted(self.held, key=lambda held: held.number):
            if held.status == LOCKED:
                held.status = WAITING
            elif held.status == DEFERRED_LOCKED:
                held.status = DEFERRED
            if held.status != SCHEDULED:
                held.lock = held.until = None
        self.available = []
        for held in self.waiting():
            name = held.sent.session_id
            if self.sessions and name is not None and name not in self.available:
                self.available.append(name)

    def bury_exhausted(self) -> None:
        """After a restart: waiting messages whose deliveries are used up are dead letters."""
        for held in self.waiting():
            if self.most is not None and held.deliveries >= self.most:
                text = f"Message could not be consumed after {self.most} delivery attempts."
                self.move_to_dead(held, "MaxDeliveryCountExceeded", text)
