"""Timer triggers: fire a function at the occurrences of its schedule, never two at once.

Wiring: schedule -> wait on the clock -> invoke (with the function's retry policy) -> record. The order of events and
the value the function receives are those of the Functions timer extension: a run that lasts past the next occurrence
is followed by one run at once, and a monitored timer that missed an occurrence while the host was down runs at the
start, marked past due.
"""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from azure_functions_runtime.bindings.datumdef import Datum

from devhost.clock import Clock
from devhost.errors import StartError
from devhost.telemetry.spans import Kind, NoSpans, Spans
from devhost.triggers.ncrontab import Schedule, parse_schedule
from devhost.triggers.retry import RetryPolicy, retry_policy, with_retries
from devhost.triggers.setting_names import flag_property, text_property
from devhost.triggers.stop_signal import StopSignal
from devhost.triggers.timer_status import TimerStatus, TimerStore, resume
from devhost.triggers.timespan import write_datetime
from devhost.triggers.trigger import Trigger
from devhost.worker.model import FunctionMetadata, InvocationResult, Invoke

_log = logging.getLogger(__name__)

TRIGGER: Final = "timerTrigger"
STATE_FILE: Final = "timers.json"
_NEVER: Final = "0001-01-01T00:00:00"


class TimerTrigger:
    """Fires one function. With a `store` the timer is monitored: its status outlives the host."""

    def __init__(
        self,
        function: FunctionMetadata,
        schedule: Schedule,
        invoke: Invoke,
        clock: Clock,
        *,
        run_on_startup: bool = False,
        store: TimerStore | None = None,
        retry: RetryPolicy | None = None,
        spans: Spans | None = None,
    ) -> None:
        self._function = function
        self._schedule = schedule
        self._invoke = invoke
        self._clock = clock
        self._run_on_startup = run_on_startup
        self._store = store
        self._retry = retry or retry_policy(function)
        self._spans = spans or NoSpans()
        self._stop = StopSignal()
        self._task: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """The function's name."""
        return self._function.name

    async def start(self) -> None:
        """Begin to wait for the first occurrence; a past-due or start-up run begins in the background."""
        self._task = asyncio.create_task(self._run(), name=f"timer {self.name}")

    async def stop(self) -> None:
        """Fire no more and wait for a run in progress; its retries end."""
        self._stop.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        now = self._clock.now()
        status = resume(self._store.get(self.name) if self._store else None, self._schedule, now)
        self._record(status)
        if self._store and status.next < now:
            status = await self._fire(status, past_due=True, reason=f"timer past due since {_short(status.next)}")
        elif self._run_on_startup:
            status = await self._fire(status, unscheduled=True, reason="timer, run on startup")
        while await self._stop.sleep_until(self._clock, status.next):
            status = await self._fire(status, reason=f"timer due at {_short(status.next)}")

    async def _fire(
        self, status: TimerStatus, *, reason: str, past_due: bool = False, unscheduled: bool = False
    ) -> TimerStatus:
        invoked = self._clock.now()
        datum = timer_datum(is_cron=self._schedule.is_cron, status=status if self._store else None, past_due=past_due)

        async def call() -> InvocationResult:
            span = self._spans.begin(
                self.name, Kind.INTERNAL, attributes={"faas.name": self.name, "faas.trigger": "timer"}
            )
            error: str | None = "not run"
            try:
                result = await self._invoke(self._function, datum, trace_parent=span.traceparent, reason=reason)
                error = None if result.error is None else result.error.type
            finally:
                span.end(error=error)
            return result

        async def wait(delay: timedelta) -> bool:
            return await self._stop.sleep_until(self._clock, self._clock.now() + delay)

        try:
            await with_retries(call, self._retry, wait)
        except Exception:
            _log.exception("timer %s: the host failed to run it; the schedule goes on", self.name)
        # A clock set back while waiting must not make one occurrence count twice.
        early = not past_due and not unscheduled and status.next > invoked
        ran = status.next if early else invoked
        fired = TimerStatus(ran, self._schedule.next_after(ran), ran)
        self._record(fired)
        return fired

    def _record(self, status: TimerStatus) -> None:
        if self._store is not None:
            self._store.put(self.name, status)


def timer_datum(*, is_cron: bool, status: TimerStatus | None, past_due: bool) -> Datum:
    """The trigger's value as the Functions host serialises its TimerInfo (read by `azure/functions/timer.py`)."""
    info: dict[str, object] = {"Schedule": {"AdjustForDST": is_cron}, "ScheduleStatus": None}
    if status is not None:
        info["ScheduleStatus"] = {
            "Last": write_datetime(status.last) if status.last else _NEVER,
            "LastUpdated": write_datetime(status.updated),
            "Next": write_datetime(status.next),
        }
    return Datum(json.dumps(info | {"IsPastDue": past_due}), "json")


def build_timer_triggers(
    functions: Sequence[FunctionMetadata],
    settings: Mapping[str, str],
    state_dir: Path,
    invoke: Invoke,
    clock: Clock,
    spans: Spans | None = None,
) -> list[Trigger]:
    """A trigger for every function with a `timerTrigger`.

    Raises `StartError`, with a line for each function, when a schedule is malformed or names a setting that does not
    exist.
    """
    timers = [function for function in functions if function.trigger.type == TRIGGER]
    if not timers:
        return []
    store = TimerStore(state_dir / STATE_FILE)
    built: list[Trigger] = []
    problems: list[str] = []
    for function in timers:
        try:
            built.append(_timer(function, settings, store, invoke, clock, spans))
        except StartError as refused:
            problems.append(str(refused))
    if problems:
        raise StartError("\n".join(problems))
    return built


def _timer(
    function: FunctionMetadata,
    settings: Mapping[str, str],
    store: TimerStore,
    invoke: Invoke,
    clock: Clock,
    spans: Spans | None,
) -> TimerTrigger:
    try:
        schedule = parse_schedule(text_property(function, "schedule", settings), clock.now())
    except ValueError as malformed:
        raise StartError(f"function '{function.name}': the schedule {malformed}") from malformed
    monitored = flag_property(function, "useMonitor", default=True)
    if monitored and schedule.fires_within_a_minute(clock.now()):
        _log.debug("timer %s fires too often to be monitored", function.name)
        monitored = False
    return TimerTrigger(
        function,
        schedule,
        invoke,
        clock,
        run_on_startup=flag_property(function, "runOnStartup", default=False),
        store=store if monitored else None,
        retry=retry_policy(function),
        spans=spans,
    )


def _short(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
