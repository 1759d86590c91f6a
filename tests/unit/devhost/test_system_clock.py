"""The machine's clock may be set, or stand still for the event loop while the machine sleeps."""

import asyncio
from datetime import UTC, datetime, timedelta

import time_machine

from devhost.clock import SystemClock

START = datetime(2026, 1, 1, tzinfo=UTC)


async def test_a_sleeper_wakes_soon_after_the_clock_has_jumped_past_its_time() -> None:
    clock = SystemClock(look_every=timedelta(milliseconds=1))
    with time_machine.travel(START, tick=False) as traveller:
        sleeping = asyncio.create_task(clock.sleep_until(START + timedelta(hours=8)))
        await asyncio.sleep(0)
        traveller.move_to(START + timedelta(hours=9))
        async with asyncio.timeout(5):
            await sleeping


async def test_a_sleeper_waits_on_when_the_clock_is_set_back() -> None:
    clock = SystemClock(look_every=timedelta(milliseconds=1))
    with time_machine.travel(START, tick=False) as traveller:
        sleeping = asyncio.create_task(clock.sleep_until(START + timedelta(minutes=1)))
        traveller.move_to(START - timedelta(hours=1))
        for _ in range(50):
            await asyncio.sleep(0)
        assert not sleeping.done()
        traveller.move_to(START + timedelta(minutes=1))
        async with asyncio.timeout(5):
            await sleeping
