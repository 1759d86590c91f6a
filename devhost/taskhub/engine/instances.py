"""The instances that are active, in memory with their histories; the others are on disk and come when needed.

An instance stays as long as something of it runs or is about to. One that only waits stays while there is room, and one
that has finished leaves with the commit that says so.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.taskhub.engine.instance import Instance, Pending
from devhost.taskhub.engine.journal import Journal
from devhost.taskhub.engine.outstanding import outstanding

# Events of histories that may stay in memory although nothing of their instances runs.
_ROOM: Final = 20_000
# What concerns the orchestration itself and not a task of its present execution.
_OF_ANY_EXECUTION: Final = frozenset({"eventRaised", "executionTerminated", "executionSuspended", "executionResumed"})


class Instances:
    """All orchestrations, by id."""

    def __init__(self, journal: Journal, now: Callable[[], int]) -> None:
        self.journal = journal
        journal.on_written = self._written
        #: Called for an instance that has something to take in.
        self.on_event: Callable[[Instance], None] = lambda _: None
        self._now = now
        self._active: dict[str, Instance] = {}
        # Those of the active ones of which nothing runs, the one that was used last at the end.
        # With the size of the history that each had then.
        self._idle: dict[Instance, int] = {}
        self._idle_events = 0
        self._waiters: dict[str, list[tuple[bool, asyncio.Future[None]]]] = {}

    def __len__(self) -> int:
        """How many are in memory."""
        return len(self._active)

    def active(self, instance_id: str) -> Instance | None:
        """The instance, if it is in memory."""
        return self._active.get(instance_id)

    def all_active(self) -> Iterable[Instance]:
        """Those in memory; must not be changed meanwhile."""
        return self._active.values()

    def peek(self, instance_id: str) -> Instance | None:
        """The instance; one that is not in memory is read without its history, and is not to be changed."""
        return self._active.get(instance_id) or self.journal.find(instance_id)

    def find(self, instance_id: str) -> Instance | None:
        """The instance with its history, which may then be changed."""
        instance = self._active.get(instance_id)
        if instance is None:
            instance = self.journal.find(instance_id)
            if instance is not None:
                self.journal.load(instance)
                instance.children = outstanding(instance.history).children
                self._active[instance_id] = instance
                self._rest(instance)
        return instance

    def add(self, instance: Instance) -> None:
        """Take in an instance that is new, or that recovery has put together."""
        self._active[instance.id] = instance
        if not instance.is_new and not instance.in_use:
            self._rest(instance)

    def remove(self, instance: Instance) -> None:
        """Forget an instance of which nothing runs, here and in the file."""
        self._leave_idle(instance)
        self._active.pop(instance.id, None)
        instance.removed = True
        self.journal.remove(instance)

    def touch(self, instance: Instance) -> None:
        """The instance has changed and must be written."""
        instance.updated_at = self._now()
        self._leave_idle(instance)
        self.journal.touch(instance)

    def deliver(self, instance: Instance, event: pb.HistoryEvent) -> None:
        """Have the instance take in `event`. One that has finished takes nothing in.

        What comes after a failure is kept in the history: a rewound orchestration will want it.
        """
        if not instance.finished:
            instance.inbox.append(Pending(event))
            self.touch(instance)
            self.on_event(instance)
        elif (
            instance.status == pb.ORCHESTRATION_STATUS_FAILED and event.WhichOneof("eventType") not in _OF_ANY_EXECUTION
        ):
            instance.history.append(event)
            self.touch(instance)

    @staticmethod
    def outlives_execution(event: pb.HistoryEvent) -> bool:
        """Whether the next execution of an instance takes in what this one did not come to."""
        return event.WhichOneof("eventType") in _OF_ANY_EXECUTION

    def _written(self, instances: Iterable[Instance]) -> None:
        """These are on disk as they are in memory: tell who waited for that, and let go what is not needed."""
        for instance in instances:
            self._tell(instance)
            if self._active.get(instance.id) is not instance or instance.in_use or self.journal.is_dirty(instance):
                continue
            if instance.finished:
                self._leave_idle(instance)
                del self._active[instance.id]
            else:
                self._rest(instance)

    async def wait(self, instance_id: str, *, finished: bool) -> None:
        """Return once there is such an instance on disk that has started, or finished. Raises what `end_waits` got."""
        while not self._has_come(self.journal.find(instance_id), finished=finished):
            waiter = (finished, asyncio.get_running_loop().create_future())
            waiters = self._waiters.setdefault(instance_id, [])
            waiters.append(waiter)
            try:
                await waiter[1]
            finally:
                waiters.remove(waiter)
                if not waiters:
                    self._waiters.pop(instance_id, None)

    def end_waits(self, error: Exception) -> None:
        """Turn down all who wait."""
        for waiter in self._all_waiters():
            if not waiter.done():
                waiter.set_exception(error)

    def _all_waiters(self) -> Iterator[asyncio.Future[None]]:
        for waiters in self._waiters.values():
            yield from (waiter for _, waiter in waiters)

    def _tell(self, instance: Instance) -> None:
        for finished, waiter in self._waiters.get(instance.id, ()):
            if not waiter.done() and self._has_come(instance, finished=finished):
                waiter.set_result(None)

    @staticmethod
    def _has_come(instance: Instance | None, *, finished: bool) -> bool:
        if instance is None:
            return False
        return instance.finished if finished else instance.status != pb.ORCHESTRATION_STATUS_PENDING

    def _rest(self, instance: Instance) -> None:
        self._leave_idle(instance)
        self._idle[instance] = len(instance.history)
        self._idle_events += len(instance.history)
        while self._idle_events > _ROOM and len(self._idle) > 1:
            oldest = next(iter(self._idle))
            self._leave_idle(oldest)
            if not oldest.in_use and not self.journal.is_dirty(oldest):
                self._active.pop(oldest.id, None)

    def _leave_idle(self, instance: Instance) -> None:
        self._idle_events -= self._idle.pop(instance, 0)
