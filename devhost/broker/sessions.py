"""The sessions of one queue: which messages belong to which, who holds one, and which can be accepted next.

A session exists while it has messages, a holder or somebody waiting. Its state is kept in the file, not here. A
message received in a session is locked by the session's lock and by no lock of its own.
"""

import heapq
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from devhost.broker.errors import SessionCannotBeLocked, SessionLockLost
from devhost.broker.instants import NEVER
from devhost.broker.model import SessionLock


@dataclass(slots=True, eq=False)
class Hold:
    """One consumer's hold on a session, and the numbers of the messages locked under it."""

    session_id: str
    token: UUID
    until: int
    numbers: set[int] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class _Session:
    session_id: str
    #: A heap of the numbers that are or were waiting; those that no longer are get skipped.
    heap: list[int] = field(default_factory=list)
    waiting: int = 0
    messages: int = 0
    hold: Hold | None = None


class SessionBook:
    """The sessions of the queue at `path`; the queue tells it of every message that enters, waits, or leaves."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._sessions: dict[str, _Session] = {}
        self._session_of: dict[int, _Session] = {}
        self._holds: dict[UUID, Hold] = {}
        #: Sessions with a waiting message and no holder, the one that became so first in front.
        self._available: OrderedDict[str, None] = OrderedDict()

    # -- messages -------------------------------------------------------------------------------------------------

    def enter(self, number: int, session_id: str) -> None:
        """A message of the session is in the queue from now on, not yet waiting."""
        session = self._sessions.get(session_id)
        if session is None:
            session = self._sessions[session_id] = _Session(session_id)
        session.messages += 1
        self._session_of[number] = session

    def leave(self, number: int) -> None:
        """The message, not waiting any more, is gone from the queue."""
        session = self._session_of.pop(number)
        session.messages -= 1
        self._tidy(session)

    def waits(self, number: int) -> None:
        """The message can be received from now on."""
        session = self._session_of[number]
        heapq.heappush(session.heap, number)
        session.waiting += 1
        self._tidy(session)

    def waits_no_more(self, number: int) -> None:
        """The message cannot be received any more."""
        session = self._session_of[number]
        session.waiting -= 1
        self._tidy(session)

    def session_of(self, number: int) -> str:
        """The session of a message that is in the queue."""
        return self._session_of[number].session_id

    def pop_waiting(self, session_id: str, is_waiting: Callable[[int], bool]) -> int | None:
        """The session's lowest waiting number, taken off its heap: the caller must have it wait no more."""
        session = self._sessions.get(session_id)
        while session is not None and session.heap:
            number = heapq.heappop(session.heap)
            if is_waiting(number):
                return number
        return None

    def names(self) -> list[str]:
        """The sessions that have messages."""
        return [session.session_id for session in self._sessions.values() if session.messages]

    # -- holds ----------------------------------------------------------------------------------------------------

    def accept(self, session_id: str, until: int) -> Hold:
        """Hold a session by name; `SessionCannotBeLocked` when it is held."""
        session = self._sessions.get(session_id)
        if session is None:
            session = self._sessions[session_id] = _Session(session_id)
        if session.hold is not None:
            raise SessionCannotBeLocked(f"session {session_id!r} of {self._path} is held by another consumer")
        hold = session.hold = Hold(session_id, uuid4(), until)
        self._holds[hold.token] = hold
        self._tidy(session)
        return hold

    def accept_next(self, until: int) -> Hold | None:
        """Hold the session that has been available longest, None when there is none."""
        if not self._available:
            return None
        return self.accept(next(iter(self._available)), until)

    def hold_of(self, lock: SessionLock) -> Hold:
        """The hold that `lock` stands for; `SessionLockLost` when it has ended."""
        hold = self._holds.get(lock.token)
        if hold is None:
            raise SessionLockLost(f"the lock on session {lock.session_id!r} of {self._path} has been lost")
        return hold

    def is_live(self, hold: Hold) -> bool:
        """Whether the hold has not ended."""
        return hold.token in self._holds

    def end(self, hold: Hold) -> None:
        """End a hold; its messages must have been released."""
        del self._holds[hold.token]
        session = self._sessions[hold.session_id]
        session.hold = None
        self._tidy(session)

    def earliest(self) -> int:
        """When the first hold ends, `NEVER` when there is none."""
        return min((hold.until for hold in self._holds.values()), default=NEVER)

    def ending(self, until: int) -> list[Hold]:
        """The holds that end at or before `until`, in order of time."""
        ending = [hold for hold in self._holds.values() if hold.until <= until]
        return sorted(ending, key=lambda hold: hold.until)

    def _tidy(self, session: _Session) -> None:
        if session.waiting and session.hold is None:
            self._available.setdefault(session.session_id, None)
            return
        self._available.pop(session.session_id, None)
        if not session.messages and session.hold is None:
            self._sessions.pop(session.session_id, None)
