"""Activities: handed to the app once the commit that asks for them is done, so many at a time, in the order they came.

What they return is taken in by the execution that asked for it. It may be over by then; nobody waits for the result of
such an activity, and it is dropped.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.taskhub.engine import events
from devhost.taskhub.engine.context import Context
from devhost.taskhub.engine.instance import Instance
from devhost.taskhub.engine.strays import Strays, TaskKey
from devhost.taskhub.hub import WorkItemExecutor

_log = logging.getLogger(__name__)

RERUN_AFTER: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    instance_id: str
    execution_id: str
    event: pb.HistoryEvent

    @property
    def task(self) -> TaskKey:
        return self.execution_id, self.event.eventId

    def request(self) -> pb.ActivityRequest:
        asked = self.event.taskScheduled
        return pb.ActivityRequest(
            name=asked.name,
            version=asked.version if asked.HasField("version") else None,
            input=asked.input if asked.HasField("input") else None,
            orchestrationInstance=pb.OrchestrationInstance(
                instanceId=self.instance_id, executionId=events.text(self.execution_id)
            ),
            taskId=self.event.eventId,
            parentTraceContext=asked.parentTraceContext if asked.HasField("parentTraceContext") else None,
            tags=asked.tags,
        )


class Activities:
    """Runs activities."""

    def __init__(self, context: Context, limit: int) -> None:
        self.executor: WorkItemExecutor | None = None
        self._context = context
        self._limit = limit
        self._queue: deque[_Work] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._again: set[_Work] = set()
        # All that were handed out and have not come back.
        self._under_way: dict[TaskKey, _Work] = {}
        self._strays = Strays(context.commits.connection, context.commits.changed)
        context.commits.add(self._strays)

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """Those that run."""
        return set(self._running)

    @property
    def busy(self) -> bool:
        """Whether one runs, or could."""
        return bool(self._running or self._queue or self._again)

    def hand_out(self, instance: Instance, event: pb.HistoryEvent) -> None:
        """Run the activity that `event` asks for, once that is on disk; one that is under way is not run twice."""
        work = _Work(instance.id, instance.execution_id, event)
        if work.task not in self._under_way:
            self._under_way[work.task] = work
            self._context.commits.after(partial(self._enqueue, work))

    def execution_ended(self, instance: Instance) -> None:
        """Nobody waits any more for the activities of the instance's execution; they run all the same."""
        for event in instance.activities.values():
            self._strays.add(instance.id, instance.execution_id, event)

    def recover_strays(self) -> int:
        """Run again what ran for executions that were over when the last process ended; returns how many."""
        found = [_Work(*stray) for stray in self._strays.load()]
        for work in found:
            self._under_way[work.task] = work
            self._enqueue(work)
        return len(found)

    def begin(self) -> None:
        """Start as many as may run."""
        while self.executor is not None and self._queue and len(self._running) < self._limit:
            task = asyncio.get_running_loop().create_task(self._run(self._queue.popleft(), self.executor))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _enqueue(self, work: _Work) -> None:
        self._queue.append(work)
        self.begin()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._context.commits.check(task)
        self.begin()

    async def _run(self, work: _Work, executor: WorkItemExecutor) -> None:
        self._context.crash_points.reached("activity-begins")
        try:
            response = await executor.activity(work.request())
        except Exception:
            _log.exception(
                "an activity of '%s' could not be run and is tried again in %s", work.instance_id, RERUN_AFTER
            )
            self._again.add(work)
            self._context.alarms.at(self._context.clock.now() + RERUN_AFTER, partial(self._try_again, work))
            return
        self._context.crash_points.reached("activity-ended")
        self._take_in(work, response)

    def _try_again(self, work: _Work) -> None:
        self._again.discard(work)
        self._enqueue(work)

    def _take_in(self, work: _Work, response: pb.ActivityResponse) -> None:
        self._under_way.pop(work.task, None)
        instance = self._waiting(work)
        self._strays.discard(work.task)
        if instance is not None:
            instance.activities.pop(work.event.eventId, None)
            ended = events.task_ended(self._context.timers.now(), work.event.eventId, response)
            self._context.instances.deliver(instance, ended)

    def _waiting(self, work: _Work) -> Instance | None:
        """Who wants the result: the execution that goes on, or one that failed and may be rewound."""
        instances, is_stray = self._context.instances, work.task in self._strays
        instance = instances.active(work.instance_id)
        if instance is None and is_stray:
            instance = instances.peek(work.instance_id)
        if instance is None or instance.execution_id != work.execution_id:
            return None
        if work.event.eventId in instance.activities:
            return instance
        if is_stray and instance.status == pb.ORCHESTRATION_STATUS_FAILED:
            return instances.find(work.instance_id)
        return None
