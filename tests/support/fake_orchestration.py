"""Drives a pattern's generator by hand: tasks complete when the test says so, and time passes when the test moves it.

The tasks are the SDK's own, so that `when_any` and failures behave as they do in a worker.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from durabletask.task import CancellableTask, CompletableTask, OrchestrationContext, RetryPolicy, Task, TimerTask

from tests.support.documents import NOW


@dataclass
class Activity:
    """An activity that was scheduled."""

    name: str
    input: Any
    retry: RetryPolicy | None
    task: CompletableTask[Any]


@dataclass
class SubOrchestration:
    """A sub-orchestration that was scheduled."""

    name: str
    input: Any
    instance_id: str
    task: CompletableTask[Any]
    version: str | None = None


class FakeContext:
    """The part of an orchestration's context that patterns use; it remembers what was asked of it."""

    def __init__(self, instance_id: str) -> None:
        self.instance_id = instance_id
        self.version: str | None = "1.0"
        self.now = NOW
        self.activities: list[Activity] = []
        self.events: dict[str, CancellableTask[Any]] = {}
        self.early: dict[str, list[Any]] = {}
        self.sub_orchestrations: list[SubOrchestration] = []
        self.timers: list[tuple[datetime, TimerTask]] = []
        self.custom_statuses: list[Any] = []

    @property
    def current_utc_datetime(self) -> datetime:
        """The orchestration's time, without a zone, as the SDK gives it."""
        return self.now.replace(tzinfo=None)

    def call_activity(self, name: str, *, input: Any = None, retry_policy: RetryPolicy | None = None) -> Task[Any]:  # noqa: A002
        """Schedule an activity."""
        task: CompletableTask[Any] = CompletableTask()
        self.activities.append(Activity(name, input, retry_policy, task))
        return task

    def wait_for_external_event(self, name: str) -> CancellableTask[Any]:
        """Wait for an event; one that came early is there at once, as the SDK has it."""
        self.events[name] = CancellableTask()
        if self.early.get(name):
            self.events[name].complete(self.early[name].pop(0))
        return self.events[name]

    def call_sub_orchestrator(
        self,
        name: str,
        *,
        input: Any = None,  # noqa: A002
        instance_id: str,
        version: str | None = None,
    ) -> Task[Any]:
        """Schedule a sub-orchestration."""
        task: CompletableTask[Any] = CompletableTask()
        self.sub_orchestrations.append(SubOrchestration(name, input, instance_id, task, version))
        return task

    def create_timer(self, fire_at: datetime | timedelta) -> TimerTask:
        """Set a timer."""
        timer = TimerTask()
        self.timers.append((self.now + fire_at if isinstance(fire_at, timedelta) else fire_at, timer))
        return timer

    def set_custom_status(self, status: Any) -> None:
        """Say how far it is."""
        self.custom_statuses.append(status)


class FakeOrchestration[R]:
    """One orchestration. `result` is what its generator returned, `error` what it raised; before that, both None."""

    def __init__(
        self, begin: Callable[[OrchestrationContext], Generator[Task[Any], Any, R]], instance_id: str = "run-1"
    ) -> None:
        self.ctx = FakeContext(instance_id)
        self.result: R | None = None
        self.error: Exception | None = None
        self.over = False
        self._generator = begin(cast(OrchestrationContext, self.ctx))
        self._waiting: Task[Any] | None = None
        self._advance(lambda: next(self._generator))

    def pending(self) -> list[Activity]:
        """The activities that have not completed, oldest first."""
        return [activity for activity in self.ctx.activities if not activity.task.is_complete]

    def next_activity(self, name: str) -> Activity:
        """The oldest pending activity, which must be called `name`."""
        activity = self.pending()[0]
        assert activity.name == name, f"the next activity is {activity.name}, not {name}"
        return activity

    def complete(self, name: str, result: Any = None) -> Any:
        """Complete the oldest pending activity, which must be called `name`; returns its input."""
        activity = self.next_activity(name)
        activity.task.complete(result)
        self.resume()
        return activity.input

    def fail(self, name: str, error: Exception) -> None:
        """Fail it for good, as after all its retries."""
        self.next_activity(name).task.fail(str(error), error)
        self.resume()

    def raise_event(self, name: str, data: Any) -> None:
        """Raise an external event; it is kept when nobody waits for it yet, or any more."""
        waiting = self.ctx.events.get(name)
        if waiting is None or waiting.is_complete:
            self.ctx.early.setdefault(name, []).append(data)
        else:
            waiting.complete(data)
        self.resume()

    def pass_time(self, by: timedelta) -> None:
        """Move the time and fire every timer that is due."""
        self.ctx.now += by
        for due, timer in self.ctx.timers:
            if due.astimezone(UTC) <= self.ctx.now and not timer.is_complete:
                timer.complete(None)
        self.resume()

    def stop(self) -> None:
        """End it from outside, as a termination does."""
        self._generator.close()
        self.over, self.error = True, RuntimeError("it was terminated")

    def open_timers(self) -> list[datetime]:
        """When the timers are due that have neither fired nor been cancelled."""
        return [due for due, timer in self.ctx.timers if not timer.is_complete]

    def resume(self) -> None:
        """Go on as far as what has completed allows."""
        while not self.over and self._waiting is not None and self._waiting.is_complete:
            waited = self._waiting
            if waited.is_failed:
                failure = waited.get_exception()
                self._advance(lambda failure=failure: self._generator.throw(failure))  # type: ignore[misc]
            else:
                value = waited.get_result()
                self._advance(lambda value=value: self._generator.send(value))  # type: ignore[misc]

    def _advance(self, step: Callable[[], Task[Any]]) -> None:
        try:
            self._waiting = step()
        except StopIteration as stop:
            self.over, self.result = True, stop.value
        except Exception as error:
            self.over, self.error = True, error
