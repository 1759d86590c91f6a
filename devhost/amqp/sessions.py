"""The sessions one client holds: accepted when a receiver attaches with a session filter, given back with its link.

Requests name a session by its id alone; `HeldSessions` finds the lock the connection holds on it.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from devhost.amqp.conditions import EXPECTED, SESSION_LOCK_LOST, TIMEOUT, AmqpError, description_of, terms_of
from devhost.amqp.connection import AmqpConnection
from devhost.amqp.consumer import ConsumerLink, Source
from devhost.amqp.engine_outgoing import Outcome, OutgoingLink
from devhost.broker.broker import Broker
from devhost.broker.errors import SessionLockLost
from devhost.broker.model import ReceiveMode, SessionLock
from devhost.clock import Clock

_log = logging.getLogger("devhost.amqp")

SESSION_FILTER = "com.microsoft:session-filter"
_LOCKED_UNTIL = "com.microsoft:locked-until-utc"
_TIMEOUT_PROPERTY = "com.microsoft:timeout"
_TICKS_START = datetime(1, 1, 1)  # noqa: DTZ001 (.NET counts its ticks from here, without a zone)


@dataclass(slots=True)
class HeldSessions:
    """The session locks of one connection, by entity and session."""

    _locks: dict[tuple[str, str], SessionLock] = field(default_factory=dict)

    def hold(self, entity: str, lock: SessionLock) -> None:
        """Take in a lock, new or renewed."""
        self._locks[entity, lock.session_id] = lock

    def drop(self, entity: str, lock: SessionLock) -> None:
        """Forget a lock, unless another link has taken the session since."""
        current = self._locks.get((entity, lock.session_id))
        if current is not None and current.token == lock.token:
            del self._locks[entity, lock.session_id]

    def find(self, entity: str, session_id: str) -> SessionLock:
        """The lock on a session; `SessionLockLost` when this connection has none."""
        lock = self._locks.get((entity, session_id))
        if lock is None:
            raise SessionLockLost(f"this connection holds no lock on session {session_id!r} of {entity}")
        return lock


class SessionConsumer:
    """Serves a receiver that asked for a session, by name or for the next one free."""

    def __init__(
        self, broker: Broker, clock: Clock, held: HeldSessions, connection: AmqpConnection, link: OutgoingLink
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._held = held
        self._connection = connection
        self._link = link
        self._entity = ""
        self._lock: SessionLock | None = None
        self._consumer: ConsumerLink | None = None
        self._waiting: asyncio.Task[None] | None = None

    def start(self, entity: str) -> None:
        """Wait for the session; the attach is answered when it is there."""
        self._entity = entity
        self._link.handler = self
        self._waiting = asyncio.create_task(self._serve())

    def on_credit(self) -> None:
        """Pass on what the client wants, once there is a session to serve."""
        if self._consumer is not None:
            self._consumer.on_credit()

    def on_outcome(self, key: int, outcome: Outcome, *, settled: bool) -> None:
        """Pass on what the client decided."""
        if self._consumer is not None:
            self._consumer.on_outcome(key, outcome, settled=settled)

    def on_detached(self) -> None:
        """Give the session back."""
        if self._waiting is not None:
            self._waiting.cancel()
        if self._consumer is not None:
            self._consumer.on_detached()
        if self._lock is not None:
            self._held.drop(self._entity, self._lock)
            self._connection.spawn(self._release(self._lock))

    async def _serve(self) -> None:
        try:
            self._lock = await self._accept()
            self._held.hold(self._entity, self._lock)
            self._open(self._lock)
            await self._watch(self._lock)
        except Exception as error:
            if not isinstance(error, EXPECTED):
                _log.exception("a session of %s could not be served", self._entity)
            self._link.refuse(terms_of(error).condition, description_of(error))

    async def _accept(self) -> SessionLock:
        wanted = self._link.filters.get(SESSION_FILTER)
        seconds = self._patience()
        try:
            async with asyncio.timeout(seconds):
                return await self._broker.accept_session(self._entity, None if wanted is None else str(wanted))
        except TimeoutError:
            raise AmqpError(TIMEOUT, f"no session of {self._entity} came free within {seconds:g} s") from None

    def _patience(self) -> float:
        stated = self._link.remote_properties.get(_TIMEOUT_PROPERTY)
        if isinstance(stated, int) and stated > 0:
            return stated / 1000
        return self._connection.limits.session_wait_seconds

    def _open(self, lock: SessionLock) -> None:
        self._link.set_filter(SESSION_FILTER, lock.session_id)
        self._link.open_with_filters({_LOCKED_UNTIL: to_ticks(lock.locked_until)})
        mode = ReceiveMode.RECEIVE_AND_DELETE if self._link.presettled else ReceiveMode.PEEK_LOCK
        self._consumer = ConsumerLink(self._broker, self._connection, self._link, Source(self._entity, mode, lock))
        self._consumer.start()
        # Events still come here first: the consumer knows nothing of giving the session back.
        self._link.handler = self

    async def _watch(self, lock: SessionLock) -> None:
        """End the link when the lock has expired; renewals move the time."""
        while (until := self._held.find(self._entity, lock.session_id).locked_until) > self._clock.now():
            await self._clock.sleep_until(until)
        raise AmqpError(SESSION_LOCK_LOST, f"the lock on session {lock.session_id!r} of {self._entity} has expired")

    async def _release(self, lock: SessionLock) -> None:
        try:
            await self._broker.release_session(lock)
        except EXPECTED as error:
            _log.debug("session %r of %s was not released: %s", lock.session_id, self._entity, error)


def to_ticks(when: datetime) -> int:
    """An instant in .NET's ticks: tenths of a microsecond since the year 1."""
    return (when.replace(tzinfo=None) - _TICKS_START) // timedelta(microseconds=1) * 10
