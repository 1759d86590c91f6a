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
from devhost.taskhub.hub import WorkItemExecutor

_log = logging.getLogger(__name__)

RERUN_AFTER: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class _Work:
    instance_id: str
    execution_id: str
    event: pb.HistoryEvent

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

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """Those that run."""
        return set(self._running)

    @property
    def busy(self) -> bool:
        """Whether one runs, or could."""
        return bool(self._running or self._queue or self._again)

    def hand_out(self, instance: Instance, event: pb.HistoryEvent) -> None:
        """Run the activity that `event` asks for, once that is on disk."""
        work = _Work(instance.id, instance.execution_id, event)
        self._context.commits.after(partial(self._enqueue, work))

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
        instance = self._context.instances.active(work.instance_id)
        task_id = work.event.eventId
        if instance is None or instance.execution_id != work.execution_id or task_id not in instance.activities:
            return
        del instance.activities[task_id]
        ended = events.task_ended(self._context.timers.now(), task_id, response)
        self._context.instances.deliver(instance, ended)
