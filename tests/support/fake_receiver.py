"""An entity in memory behind the triggers' receiver seam, which fails and loses locks when it is told to."""

import asyncio
import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from devhost.clock import Clock, SystemClock
from devhost.triggers.service_bus_receiver import LockLost, ReceivedMessage, Receiver, ReceiverError

ENQUEUED = datetime(2026, 1, 1, 9, 30, tzinfo=UTC)


class FakeEntity:
    """Messages waiting, and what became of them; a `ReceiverFactory` whose receivers share all of it."""

    def __init__(
        self, clock: Clock | None = None, *, lock: timedelta = timedelta(minutes=1), max_deliveries: int = 10
    ) -> None:
        self.clock = clock or SystemClock()
        self.lock = lock
        self.max_deliveries = max_deliveries
        self.waiting: deque[ReceivedMessage] = deque()
        self.locked: dict[str, ReceivedMessage] = {}
        self.completed: list[int] = []
        self.abandoned: list[int] = []
        self.dead_lettered: list[int] = []
        self.renewals = 0
        self.opened = 0
        self.closed_receivers = 0
        self.closed = False
        self.held_sessions: set[str] = set()
        #: Raised by the next calls of that name, first come first served.
        self.failures: dict[str, deque[ReceiverError]] = {
            name: deque() for name in ("open", "receive", "complete", "abandon", "renew", "next_session")
        }
        self._numbers = itertools.count(1)

    def put(self, *bodies: str, session: str | None = None, **fields: Any) -> None:
        """Enqueue messages."""
        for body in bodies:
            number = next(self._numbers)
            message = ReceivedMessage(
                body=body.encode(),
                lock_token=f"lock-{number}",
                sequence_number=number,
                delivery_count=1,
                enqueued_time=ENQUEUED,
                session_id=session,
            )
            self.waiting.append(replace(message, **fields))

    def fail(self, operation: str) -> None:
        """Raise the next failure planned for `operation`, if there is one."""
        if self.failures[operation]:
            raise self.failures[operation].popleft()

    def lose(self, number: int) -> None:
        """End the lock of a message, and make the message available again."""
        message = self.locked.pop(f"lock-{number}")
        self.waiting.append(replace(message, delivery_count=message.delivery_count + 1))

    def receiver(self) -> Receiver:
        """A receiver without a session."""
        return FakeReceiver(self, None)

    async def next_session(self, wait: timedelta) -> Receiver | None:
        """The session of the first message whose session nobody holds."""
        self.fail("next_session")
        for message in self.waiting:
            if message.session_id and message.session_id not in self.held_sessions:
                self.held_sessions.add(message.session_id)
                return FakeReceiver(self, message.session_id)
        await asyncio.sleep(0.005)
        return None

    async def close(self) -> None:
        """Remember it."""
        self.closed = True


class FakeReceiver:
    """One link to a `FakeEntity`."""

    def __init__(self, entity: FakeEntity, session_id: str | None) -> None:
        self._entity = entity
        self.session_id = session_id
        self.session_locked_until = entity.clock.now() + entity.lock if session_id else None

    async def open(self) -> None:
        self._entity.fail("open")
        self._entity.opened += 1

    async def receive(self, max_messages: int, wait: timedelta) -> Sequence[ReceivedMessage]:
        self._entity.fail("receive")
        if found := self._take(max_messages):
            return found
        await asyncio.sleep(0.005)
        return self._take(max_messages)

    async def complete(self, message: ReceivedMessage) -> None:
        self._settle("complete", message)
        self._entity.completed.append(message.sequence_number)

    async def abandon(self, message: ReceivedMessage) -> None:
        self._settle("abandon", message)
        self._entity.abandoned.append(message.sequence_number)
        if message.delivery_count >= self._entity.max_deliveries:
            self._entity.dead_lettered.append(message.sequence_number)
        else:
            self._entity.waiting.appendleft(replace(message, delivery_count=message.delivery_count + 1))

    async def renew(self, message: ReceivedMessage) -> datetime:
        self._entity.fail("renew")
        if message.lock_token not in self._entity.locked:
            raise LockLost("the lock is gone")
        self._entity.renewals += 1
        return self._entity.clock.now() + self._entity.lock

    async def renew_session(self) -> datetime:
        self._entity.fail("renew")
        self._entity.renewals += 1
        return self._entity.clock.now() + self._entity.lock

    async def close(self) -> None:
        self._entity.closed_receivers += 1
        if self.session_id:
            self._entity.held_sessions.discard(self.session_id)

    def _take(self, count: int) -> list[ReceivedMessage]:
        mine = [message for message in self._entity.waiting if message.session_id == self.session_id][:count]
        for message in mine:
            self._entity.waiting.remove(message)
            self._entity.locked[message.lock_token] = message
        ends = None if self.session_id else self._entity.clock.now() + self._entity.lock
        return [replace(message, locked_until=ends) for message in mine]

    def _settle(self, operation: str, message: ReceivedMessage) -> None:
        self._entity.fail(operation)
        if self._entity.locked.pop(message.lock_token, None) is None:
            raise LockLost("the lock is gone")
