"""Runs batches of operations: one at a time of each entity, so many at once over all, in the order they became ready.

A batch runs once its operations are on disk, and so are the effects of the batch before it. What a crash interrupts is
run again from the state that the file has.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.taskhub.engine.activities import RERUN_AFTER
from devhost.taskhub.engine.context import Context
from devhost.taskhub.engine.tracing import trace_of
from devhost.taskhub.entities.entity import Entity
from devhost.taskhub.entities.journal import EntityJournal
from devhost.taskhub.entities.mailbox import Batch
from devhost.taskhub.entities.outcome import batch_request
from devhost.taskhub.hub import WorkItemExecutor

_log = logging.getLogger(__name__)

MAX_OPERATIONS: Final = 5_000
"""How many operations a batch may have: the Durable extension's own `maxEntityOperationBatchSize`."""

type OnDone = Callable[[Entity, Batch, pb.EntityBatchResult], None]


class EntityBatches:
    """Takes batches from mailboxes and runs them. `on_done` applies what came of one, and must settle the mailbox."""

    def __init__(self, context: Context, journal: EntityJournal, on_done: OnDone, limit: int) -> None:
        self.executor: WorkItemExecutor | None = None
        self._context = context
        self._journal = journal
        self._on_done = on_done
        self._limit = limit
        # Dicts for their order: what waits for the commit, for a free slot, and for another attempt.
        self._waking: dict[Entity, None] = {}
        self._ready: dict[Entity, None] = {}
        self._resting: set[Entity] = set()
        self._running: set[asyncio.Task[None]] = set()

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """The batches that run."""
        return set(self._running)

    @property
    def busy(self) -> bool:
        """Whether one runs, or could."""
        return bool(self._running or self._ready or self._waking or self._resting)

    def wake(self, entity: Entity) -> None:
        """Look at the entity's mailbox once what has changed until now is on disk."""
        if entity not in self._waking:
            self._waking[entity] = None
            self._context.commits.after(partial(self._woken, entity))

    def begin(self) -> None:
        """Start as many as may run."""
        while self.executor is not None and self._ready and len(self._running) < self._limit:
            entity = next(iter(self._ready))
            del self._ready[entity]
            self._take(entity, self.executor)

    def _woken(self, entity: Entity) -> None:
        del self._waking[entity]
        self._ready[entity] = None
        self.begin()

    def _take(self, entity: Entity, executor: WorkItemExecutor) -> None:
        # What is under way or rests is looked at again when it ends.
        batch = None if entity in self._resting else entity.mailbox.take(MAX_OPERATIONS, self._journal.first_unwritten)
        if batch is None:
            return
        if not batch.operations:
            self._on_done(entity, batch, pb.EntityBatchResult())
            self.wake(entity)
            return
        task = asyncio.get_running_loop().create_task(self._run(entity, batch, executor))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._context.commits.check(task)
        self.begin()

    async def _run(self, entity: Entity, batch: Batch, executor: WorkItemExecutor) -> None:
        self._context.crash_points.reached("entity-batch-begins")
        messages = [each.event for each in batch.operations]
        request, tracing = batch_request(entity.id, entity.state, messages), self._context.tracing
        if tracing is not None:
            tracing.operations(request, messages, partial(trace_of, self._context.instances))
        try:
            result = await executor.entity(request)
        except Exception:
            _log.exception("operations of '%s' could not be run and are tried again in %s", entity.id, RERUN_AFTER)
            self._resting.add(entity)
            entity.mailbox.give_back()
            self._context.alarms.at(self._context.clock.now() + RERUN_AFTER, partial(self._try_again, entity))
            return
        self._context.crash_points.reached("entity-batch-ended")
        if self._context.commits.failed is None:
            self._on_done(entity, batch, result)
            self.wake(entity)

    def _try_again(self, entity: Entity) -> None:
        self._resting.discard(entity)
        self.wake(entity)
