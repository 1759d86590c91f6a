"""What waits at one entity: operations, lock requests, and the order in which they may be taken.

The rules are those of DurableTask.Core's `TaskEntityDispatcher`: messages are taken in the order of their arrival, as
many operations at a time as fit into a batch. A lock request ends a batch and is granted once the operations before it
are done. While an entity is locked only operations called by the lock's owner are taken; everything else, signals
included, waits behind the lock.

One thing differs: an owner that lets go of a lock it has not got yet withdraws its request. In DurableTask.Core such a
request is granted later, to nobody.

Nothing here is kept on disk or runs anything.
"""

import itertools
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from durabletask.internal import orchestrator_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class EntityMessage:
    """An operation (`entityOperationCalled` or `...Signaled`) or an `entityLockRequested`.

    `number` orders messages by arrival, over all entities.
    """

    number: int
    event: pb.HistoryEvent

    @property
    def caller(self) -> str | None:
        """The orchestration that waits for the answer; signals have none."""
        if self.event.HasField("entityOperationCalled"):
            return str(self.event.entityOperationCalled.parentInstanceId.value)
        if self.event.HasField("entityLockRequested"):
            return str(self.event.entityLockRequested.parentInstanceId.value)
        return None

    @property
    def lock(self) -> "Lock | None":
        """The lock this message asks for, if it does."""
        if not self.event.HasField("entityLockRequested"):
            return None
        request = self.event.entityLockRequested
        return Lock(request.criticalSectionId, request.parentInstanceId.value)


@dataclass(frozen=True, slots=True)
class Lock:
    """A critical section and the orchestration that is in it."""

    section: str
    owner: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What is done at an entity in one go: operations, then at most one lock request."""

    operations: tuple[EntityMessage, ...]
    lock_request: EntityMessage | None = None


@dataclass(frozen=True, slots=True)
class Released:
    """What letting go of a lock did: `unlocked` the entity, `withdrew` requests for the lock (their numbers)."""

    unlocked: bool = False
    withdrew: tuple[int, ...] = ()


class EntityMailbox:
    """The messages of one entity and its lock. At most one batch is out at a time; what is out still counts as here."""

    def __init__(self, messages: Iterable[EntityMessage] = (), lock: Lock | None = None) -> None:
        self.lock = lock
        self._waiting: OrderedDict[int, EntityMessage] = OrderedDict()
        self._of_owner: OrderedDict[int, EntityMessage] = OrderedDict()
        # The number of each critical section's request, so that letting go need not search a long queue.
        self._requests: dict[str, int] = {}
        self._out: Batch | None = None
        for message in messages:
            self.put(message)

    @property
    def backlog(self) -> int:
        """How many operations and lock requests are not done."""
        return len(self._waiting) + len(self._of_owner)

    def put(self, message: EntityMessage) -> None:
        """Add what has arrived."""
        of_owner = self.lock is not None and message.caller == self.lock.owner
        (self._of_owner if of_owner else self._waiting)[message.number] = message
        if message.lock is not None:
            self._requests[message.lock.section] = message.number

    def take(self, limit: int, before: int) -> Batch | None:
        """The next batch: at most `limit` operations, up to the first message whose number is not below `before`.

        None when one is out, or nothing may be taken.
        """
        queue = self._waiting if self.lock is None else self._of_owner
        if self._out is not None:
            return None
        operations: list[EntityMessage] = []
        lock_request: EntityMessage | None = None
        for message in itertools.islice(queue.values(), limit):
            if message.number >= before:
                break
            if message.lock is not None:
                lock_request = message
                break
            operations.append(message)
        if operations or lock_request:
            self._out = Batch(tuple(operations), lock_request)
        return self._out

    def settle(self, done: int) -> EntityMessage | None:
        """End the batch that is out, of which the first `done` operations are done; the others wait on.

        When all are, the batch's lock request is granted, unless it was withdrawn: it is returned, and the entity is
        locked from now on. Raises `RuntimeError` when no batch is out.
        """
        if self._out is None:
            raise RuntimeError("no batch is out")
        batch, self._out = self._out, None
        for message in batch.operations[:done]:
            self._remove(message.number)
        if done < len(batch.operations) or batch.lock_request is None:
            return None
        granted = self._remove(batch.lock_request.number)
        if granted is not None:
            self.lock = granted.lock
        return granted

    def give_back(self) -> None:
        """End the batch that is out, of which nothing is done. Raises `RuntimeError` when none is."""
        if self._out is None:
            raise RuntimeError("no batch is out")
        self._out = None

    def release(self, section: str) -> Released:
        """Unlock the entity, when it is this critical section that has locked it, and withdraw its lock requests."""
        request = self._requests.get(section)
        withdrew = () if request is None else (request,)
        for number in withdrew:
            self._remove(number)
        if self.lock is None or self.lock.section != section:
            return Released(unlocked=False, withdrew=withdrew)
        self.lock = None
        for number in reversed(self._of_owner):
            self._waiting[number] = self._of_owner[number]
            self._waiting.move_to_end(number, last=False)
        self._of_owner.clear()
        return Released(unlocked=True, withdrew=withdrew)

    def _remove(self, number: int) -> EntityMessage | None:
        message = self._waiting.pop(number, None) or self._of_owner.pop(number, None)
        if message is not None and message.lock is not None:
            self._requests.pop(message.lock.section, None)
        return message
