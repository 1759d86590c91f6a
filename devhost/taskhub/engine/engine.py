"""The engine: its parts put together over one file, and what a client may ask of an orchestration."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from devhost.clock import Clock
from devhost.taskhub.alarms import Alarms
from devhost.taskhub.concurrency import Concurrency
from devhost.taskhub.engine import events
from devhost.taskhub.engine.actions import Actions
from devhost.taskhub.engine.activities import Activities
from devhost.taskhub.engine.commits import Commits, StoreFailed
from devhost.taskhub.engine.context import Context
from devhost.taskhub.engine.crash_points import CrashPoints, NoCrashPoints
from devhost.taskhub.engine.identifiers import Ids
from devhost.taskhub.engine.instance import Instance
from devhost.taskhub.engine.instances import Instances
from devhost.taskhub.engine.journal import Journal
from devhost.taskhub.engine.lifecycle import AlreadyExists, Beginning, Lifecycle
from devhost.taskhub.engine.pulse import Pulse
from devhost.taskhub.engine.recovery import recover
from devhost.taskhub.engine.schema import life_of, open_file
from devhost.taskhub.engine.timers import Timers
from devhost.taskhub.engine.tracing import Tracing
from devhost.taskhub.engine.turns import Turns
from devhost.taskhub.entities.entities import Entities
from devhost.taskhub.hub import WorkItemExecutor
from devhost.taskhub.versioning import Versioning

_log = logging.getLogger(__name__)


class Engine:
    """Keeps orchestrations in the file at `path`. Made on the event loop that it then works on.

    The calls change memory at once; `await settled()` before telling anybody that it happened.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        concurrency: Concurrency | None = None,
        *,
        ids: Ids | None = None,
        crash_points: CrashPoints | None = None,
        versioning: Versioning | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        """Open or create the file. Raises `StartError`."""
        limits = concurrency or Concurrency()
        self._path = path
        with ExitStack() as unusable:
            connection = open_file(path)
            unusable.callback(connection.close)
            self.context = context = _context(
                connection, clock, ids or Ids(), crash_points or NoCrashPoints(), versioning or Versioning(), tracing
            )
            self.lifecycle = Lifecycle(context)
            self.activities = Activities(context, limits.activities)
            self.actions = Actions(context, self.lifecycle, self.activities)
            self.turns = Turns(context, self.actions, limits.orchestrators)
            self.entities = self.actions.entities = Entities(context, self.lifecycle, limits.entities)
            unusable.pop_all()
        self.lifecycle.on_execution_ended = self._execution_ended
        context.commits.may_grow = lambda: self.turns.may_change_soon
        context.commits.on_failure = self._failed
        #: Called once when a write has failed: nothing can go on before the next start.
        self.on_failure: Callable[[StoreFailed], None] = lambda _: None
        self._executor: WorkItemExecutor | None = None

    @property
    def commits(self) -> int:
        """How many transactions were committed since the start."""
        return self.context.commits.count

    @property
    def idle(self) -> bool:
        """Whether nothing runs, nothing can run before `next_due`, and everything is on disk."""
        due = self.next_due
        if due is not None and due <= self.context.clock.now():
            return False
        busy = self.turns.busy or self.activities.busy or self.entities.batches.busy
        return not (busy or self.context.commits.pending)

    @property
    def next_due(self) -> datetime | None:
        """The next instant at which something happens by itself; None when nothing will."""
        return self.context.alarms.earliest

    def start(self, executor: WorkItemExecutor) -> None:
        """Take up what the file holds and begin to hand out work."""
        recovered = recover(self.context, self.lifecycle, self.actions, self.activities)
        recovered.operations, recovered.signals = self.entities.recover()
        _log.info("task hub %s: %s", self._path, recovered)
        self._executor = executor
        self._hand_out_to(executor)
        self.context.pulse.ring()
        self.activities.begin()
        self.entities.batches.begin()

    async def settled(self) -> None:
        """Return once everything that has changed until now is on disk. Raises `StoreFailed`."""
        await self.context.commits.settled()

    def begin(self, beginning: Beginning, replaceable: Iterable[int] | None = None) -> Instance:
        """Start an orchestration; see `Lifecycle.begin`. Raises `StoreFailed` too."""
        self.context.commits.require_open()
        self.context.crash_points.reached("call-received")
        tracing = self.context.tracing
        if tracing is None:
            return self.lifecycle.begin(beginning, replaceable)
        version = self.context.versioning.of_new(beginning.version)
        creation = tracing.creation(beginning.name, version, beginning.trace_context)
        try:
            instance = self.lifecycle.begin(replace(beginning, trace_context=creation.trace_context), replaceable)
        except AlreadyExists:
            creation.refused(AlreadyExists.__name__)
            raise
        self.context.commits.after(partial(creation.done, instance.id))
        return instance

    def raise_event(self, instance: Instance, name: str, data: str | None) -> None:
        """Have the instance take in an external event with JSON text or nothing."""
        self.context.crash_points.reached("call-received")
        self.context.instances.deliver(instance, events.event_raised(self.context.timers.now(), name, data))

    def terminate(self, instance: Instance, output: str | None, *, recursive: bool) -> None:
        """Have the instance end, and what it waits for too when `recursive`."""
        self.context.crash_points.reached("call-received")
        self.lifecycle.terminate(instance, output, recursive=recursive)

    def suspend(self, instance: Instance, reason: str | None) -> None:
        """Have the instance take in nothing until it is resumed; one that does already goes on doing so."""
        if not instance.will_be_suspended:
            now = self.context.timers.now()
            self.context.instances.deliver(instance, events.execution_suspended(now, reason))

    def resume(self, instance: Instance, reason: str | None) -> None:
        """Have the instance go on; one that does already goes on doing so: the SDK fails at such an event."""
        if instance.will_be_suspended:
            now = self.context.timers.now()
            self.context.instances.deliver(instance, events.execution_resumed(now, reason))

    async def stop(self, within: timedelta) -> None:
        """Hand out nothing more, let running work end within the limit, cancel the rest, write, close the file."""
        self._hand_out_to(None)
        await self._drain(within)
        tasks = self._tasks()
        if tasks:
            _log.warning("%d work items were still running and are run again after the next start", len(tasks))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.context.commits.commit()
        self.die()
        await self.context.alarms.stop()

    def die(self) -> None:
        """Do nothing more, as if the process had ended: what is not on disk is gone."""
        self._hand_out_to(None)
        self.context.pulse.stop()
        self.context.commits.abort()

    async def _drain(self, within: timedelta) -> None:
        tasks = self._tasks()
        if not tasks:
            return
        clock = self.context.clock
        limit = asyncio.create_task(clock.sleep_until(clock.now() + within))
        ended = asyncio.create_task(asyncio.wait(tasks))
        waits: set[asyncio.Task[Any]] = {limit, ended}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            limit.cancel()
            ended.cancel()

    def _hand_out_to(self, executor: WorkItemExecutor | None) -> None:
        self.turns.executor = self.activities.executor = self.entities.batches.executor = executor

    def _tasks(self) -> set[asyncio.Task[None]]:
        return self.turns.tasks | self.activities.tasks | self.entities.batches.tasks

    def _failed(self, error: StoreFailed) -> None:
        self._hand_out_to(None)
        self.context.instances.end_waits(error)
        if error.__cause__ is not None:
            self.on_failure(error)

    def _execution_ended(self, instance: Instance) -> None:
        if self._executor is not None:
            try:
                self._executor.forget(instance.id, instance.execution_id)
            except Exception:
                _log.exception("the executor could not forget an execution of '%s'", instance.id)
        self.activities.execution_ended(instance)
        self.entities.execution_ended(instance)


def _context(
    connection: sqlite3.Connection,
    clock: Clock,
    ids: Ids,
    crash_points: CrashPoints,
    versioning: Versioning,
    tracing: Tracing | None,
) -> Context:
    pulse, alarms = Pulse(), Alarms(clock)
    timers = Timers(clock, alarms)
    ids.begin_life(life_of(connection))
    commits = Commits(connection, pulse, crash_points)
    journal = Journal(commits.connection, commits.changed)
    commits.add(journal)
    instances = Instances(journal, timers.now)
    return Context(clock, ids, crash_points, pulse, alarms, timers, commits, journal, instances, versioning, tracing)
