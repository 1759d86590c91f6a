"""Which messages of a queue are locked, by which token, and under which session's hold if any."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from devhost.broker.errors import MessageLockLost
from devhost.broker.sessions import Hold


@dataclass(frozen=True, slots=True, eq=False)
class MessageLock:
    """One consumer's lock on one message."""

    token: UUID
    number: int
    #: With a hold the lock lasts as long as the hold, and has no time of its own.
    hold: Hold | None


class LockTable:
    """The locks of the queue at `path`, by token and by sequence number."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._by_token: dict[UUID, MessageLock] = {}
        self._by_number: dict[int, MessageLock] = {}

    def add(self, number: int, hold: Hold | None) -> MessageLock:
        """Lock a message that is not locked."""
        lock = MessageLock(uuid4(), number, hold)
        self._by_token[lock.token] = self._by_number[number] = lock
        if hold is not None:
            hold.numbers.add(number)
        return lock

    def holds(self, token: UUID) -> bool:
        """Whether the lock is still there."""
        return token in self._by_token

    def get(self, token: UUID) -> MessageLock:
        """The lock; `MessageLockLost` when there is none (any more)."""
        lock = self._by_token.get(token)
        if lock is None:
            raise MessageLockLost(
                f"{self._path} knows no lock {token}: it has expired, or the message was settled, or it is another's"
            )
        return lock

    def remove(self, lock: MessageLock) -> None:
        """End a lock."""
        del self._by_token[lock.token]
        del self._by_number[lock.number]
        if lock.hold is not None:
            lock.hold.numbers.discard(lock.number)

    def remove_number(self, number: int) -> None:
        """End the lock on a locked message."""
        self.remove(self._by_number[number])
