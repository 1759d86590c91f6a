import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.functions.timer import TimerRequest, TimerRequestConverter

from devhost.clock import ManualClock
from devhost.errors import StartError
from devhost.triggers.timer import STATE_FILE, build_timer_triggers
from tests.support.eventually import eventually
from tests.support.fake_invoke import Call, FakeInvoke, trigger_function

START = datetime(2026, 1, 1, 10, 2, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def decoded(call: Call) -> TimerRequest:
    request = TimerRequestConverter.decode(call.trigger, trigger_metadata={})
    assert isinstance(request, TimerRequest)
    return request


@asynccontextmanager
async def running(
    state_dir: Path, clock: ManualClock, invoke: FakeInvoke, retry: dict[str, Any] | None = None, **properties: Any
) -> AsyncIterator[None]:
    function = trigger_function("tick", "timerTrigger", retry, **properties)
    (trigger,) = build_timer_triggers([function], {"EVERY_FIVE": "0 */5 * * * *"}, state_dir, invoke, clock)
    await trigger.start()
    try:
        await settled()
        yield
    finally:
        await trigger.stop()


async def settled() -> None:
    """Let every task that can run do so; nothing here waits for real time."""
    for _ in range(20):
        await asyncio.sleep(0)


async def move(clock: ManualClock, by: timedelta) -> None:
    clock.advance(by)
    await settled()


async def test_a_timer_fires_at_each_occurrence_and_not_before(tmp_path: Path) -> None:
    clock, invoke = ManualClock(START), FakeInvoke()
    async with running(tmp_path, clock, invoke, schedule="0 */5 * * * *"):
        await move(clock, MINUTE * 2.9)
        assert not invoke.calls
        await move(clock, MINUTE * 0.1)
        assert len(invoke.calls) == 1
        await move(clock, MINUTE * 5)
        assert [call.reason for call in invoke.calls] == [
            "timer due at 2026-01-01T10:05:00Z",
            "timer due at 2026-01-01T10:10:00Z",
        ]


async def test_the_function_receives_what_the_functions_host_sends(tmp_path: Path) -> None:
    clock, invoke = ManualClock(START), FakeInvoke()
    async with running(tmp_path, clock, invoke, schedule="0 */5 * * * *"):
        await move(clock, MINUTE * 3)
        await move(clock, MINUTE * 5)
    first, second = map(decoded, invoke.calls)
    assert not first.past_due
    assert first.schedule == {"AdjustForDST": True}
    assert first.schedule_status == {
        "Last": "0001-01-01T00:00:00",
        "LastUpdated": "2026-01-01T10:02:00+00:00",
        "Next": "2026-01-01T10:05:00+00:00",
    }
    assert second.schedule_status["Last"] == "2026-01-01T10:05:00+00:00"
    assert second.schedule_status["Next"] == "2026-01-01T10:10:00+00:00"


async def test_the_schedule_may_come_from_a_setting(tmp_path: Path) -> None:
    clock, invoke = ManualClock(START), FakeInvoke()
    async with running(tmp_path, clock, invoke, schedule="%EVERY_FIVE%"):
        await move(clock, MINUTE * 3)
    assert len(invoke.calls) == 1


async def test_a_period_counts_from_the_start(tmp_path: Path) -> None:
    clock, invoke = ManualClock(START), FakeInvoke()
    async with running(tmp_path, clock, invoke, schedule="00:05:00"):
        await move(clock, MINUTE * 4.9)
        assert not invoke.calls
        await move(clock, MINUTE * 0.1)
    assert decoded(invoke.calls[0]).schedule == {"AdjustForDST": False}


async def test_a_run_on_startup_comes_at_once_and_the_schedule_goes_on(tmp_path: Path) -> None:
    clock, invoke = ManualClock(START), FakeInvoke()
    async with running(tmp_path, clock, invoke, schedule="0 */5 * * * *", runOnStartup=True):
        assert [call.reason for call in invoke.calls] == ["timer, run on startup"]
        assert not decoded(invoke.calls[0]).past_due
        await move(clock, MINUTE * 3)
    assert len(invoke.calls) == 2


async def test_a_run_longer_than_the_period_is_never_doubled_and_is_followed_by_one_run_at_once(tmp_path: Path) -> None:
    clock, release = ManualClock(START), asyncio.Event()

    async def slow(_: Call) -> None:
        await release.wait()

    invoke = FakeInvoke(slow)
    async with running(tmp_path, clock, invoke, schedule="0 */5 * * * *"):
        await move(clock, MINUTE * 3)
        await move(clock, MINUTE * 17)
        assert len(invoke.calls) == 1
        release.set()
        await settled()
        assert len(invoke.calls) == 2
        await move(clock, MINUTE * 2)
    assert len(invoke.calls) == 2
    assert invoke.most_at_once == 1


async def test_a_missed_occurrence_runs_once_after_a_restart_marked_past_due(tmp_path: Path) -> None:
    clock, invoke = ManualClock(START), FakeInvoke()
    async with running(tmp_path, clock, invoke, schedule="0 */5 * * * *"):
        await move(clock, MINUTE * 3)
    clock.advance(MINUTE * 20)
    async with running(tmp_path, clock, invoke, schedule="0 */5 * * * *"):
        assert len(invoke.calls) == 2
        assert decoded(invoke.calls[1]).past_due
        assert decoded(invoke.calls[1]).schedule_status["Last"] == "2026-01-01T10:05:00+00:00"
        await move(clock, MINUTE * 5)
        assert not decoded(invoke.calls[2]).past_due


async def test_a_first_occurrence_missed_while_the_host_was_down_is_past_due_too(tmp_path: Path) -> None:
    clock, invoke = ManualClock(START), FakeInvoke()
    async with running(tmp_path, clock, invoke, schedule="0 */5 * * * *"):
        pass
    clock.advance(MINUTE * 20)
    async with running(tmp_path, clock, invoke, schedule="0 */5 * * * *"):
        assert decoded(invoke.calls[0]).past_due


async def test_a_restart_in_time_runs_nothing_early(tmp_path: Path) -> None:
    clock, invoke = ManualClock(START), FakeInvoke()
    for _ in range(3):
        async with running(tmp_path, clock, invoke, schedule="0 */5 * * * *"):
            await move(clock, MINUTE * 0.9)
    assert not invoke.calls


async def test_a_changed_schedule_starts_afresh_instead_of_being_past_due(tmp_path: Path) -> None:
    clock, invoke = ManualClock(START), FakeInvoke()
    async with running(tmp_path, clock, invoke, schedule="0 */5 * * * *"):
        await move(clock, MINUTE * 3)
    clock.advance(MINUTE * 20)
    async with running(tmp_path, clock, invoke, schedule="0 0 * * * *"):
        assert len(invoke.calls) == 1


@pytest.mark.parametrize(
    "properties", [{"useMonitor": False, "schedule": "0 */5 * * * *"}, {"schedule": "*/20 * * * * *"}]
)
async def test_an_unmonitored_timer_has_no_status_and_is_never_past_due(
    tmp_path: Path, properties: dict[str, Any]
) -> None:
    clock, invoke = ManualClock(START), FakeInvoke()
    async with running(tmp_path, clock, invoke, **properties):
        await move(clock, MINUTE * 3)
    count = len(invoke.calls)
    assert decoded(invoke.calls[0]).schedule_status == {}
    clock.advance(MINUTE * 20)
    async with running(tmp_path, clock, invoke, **properties):
        assert len(invoke.calls) == count
    assert not (tmp_path / STATE_FILE).exists()


async def test_a_failing_function_does_not_stop_its_schedule(tmp_path: Path) -> None:
    async def fail(_: Call) -> None:
        raise RuntimeError("no")

    clock, invoke = ManualClock(START), FakeInvoke(fail)
    async with running(tmp_path, clock, invoke, schedule="0 */5 * * * *"):
        await move(clock, MINUTE * 3)
        await move(clock, MINUTE * 5)
    assert len(invoke.calls) == 2


async def test_a_fixed_delay_policy_repeats_a_failed_run(tmp_path: Path) -> None:
    async def fail(_: Call) -> None:
        raise RuntimeError("no")

    clock, invoke = ManualClock(START), FakeInvoke(fail)
    retry = {"max_retry_count": 2, "retry_strategy": "fixed_delay", "delay_interval": timedelta(seconds=10)}
    async with running(tmp_path, clock, invoke, retry, schedule="0 */5 * * * *"):
        await move(clock, MINUTE * 3)
        await move(clock, timedelta(seconds=9))
        assert len(invoke.calls) == 1
        await move(clock, timedelta(seconds=1))
        await move(clock, timedelta(seconds=10))
        await move(clock, timedelta(seconds=10))
        assert len(invoke.calls) == 3


async def test_a_stop_ends_repetitions_and_waits_for_the_run_in_progress(tmp_path: Path) -> None:
    release, done = asyncio.Event(), []

    async def slow_then_fail(_: Call) -> None:
        await release.wait()
        done.append(1)
        raise RuntimeError("no")

    clock, invoke = ManualClock(START), FakeInvoke(slow_then_fail)
    retry = {"max_retry_count": -1, "retry_strategy": "fixed_delay", "delay_interval": timedelta(seconds=10)}
    function = trigger_function("tick", "timerTrigger", retry, schedule="0 */5 * * * *")
    (trigger,) = build_timer_triggers([function], {}, tmp_path, invoke, clock)
    await trigger.start()
    await settled()
    await move(clock, MINUTE * 3)
    stopping = asyncio.create_task(trigger.stop())
    await settled()
    assert not stopping.done()
    release.set()
    await eventually(stopping.done)
    assert done == [1]
    await move(clock, MINUTE * 30)
    assert len(invoke.calls) == 1


async def test_an_unreadable_state_file_is_named_and_timers_start_afresh(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / STATE_FILE).write_text('{"tick": {"last": ', encoding="utf-8")
    clock, invoke = ManualClock(START), FakeInvoke()
    with caplog.at_level(logging.WARNING):
        async with running(tmp_path, clock, invoke, schedule="0 */5 * * * *"):
            await move(clock, MINUTE * 3)
    assert len(invoke.calls) == 1
    assert str(tmp_path / STATE_FILE) in caplog.text
    assert "tick" in json.loads((tmp_path / STATE_FILE).read_text(encoding="utf-8"))


def test_every_malformed_timer_is_named_at_start(tmp_path: Path) -> None:
    functions = [
        trigger_function("bad", "timerTrigger", schedule="0 99 * * * *"),
        trigger_function("unset", "timerTrigger", schedule="%NO_SUCH%"),
        trigger_function("absent", "timerTrigger"),
        trigger_function("odd", "timerTrigger", schedule="0 */5 * * * *", runOnStartup="perhaps"),
        trigger_function("good", "timerTrigger", schedule="0 */5 * * * *"),
        trigger_function("retried", "timerTrigger", {"retry_strategy": "hope"}, schedule="0 */5 * * * *"),
    ]
    with pytest.raises(StartError) as refused:
        build_timer_triggers(functions, {}, tmp_path, FakeInvoke(), ManualClock(START))
    lines = str(refused.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "function 'bad'",
        "function 'unset'",
        "function 'absent'",
        "function 'odd'",
        "function 'retried'",
    ]
    assert "NO_SUCH" in lines[1]
    assert "runOnStartup" in lines[3]


def test_other_triggers_are_left_alone(tmp_path: Path) -> None:
    functions = [trigger_function("web", "httpTrigger", route="x")]
    assert build_timer_triggers(functions, {}, tmp_path, FakeInvoke(), ManualClock(START)) == []
