"""Waiting is by the time that goes by, whatever is done to the clock meanwhile."""

import asyncio
from datetime import UTC, datetime, timedelta

import time_machine

from shared.clock import SystemClock

START = datetime(2026, 1, 1, tzinfo=UTC)


async def test_a_clock_that_is_set_back_holds_up_nobody_who_waits() -> None:
    """A claim would not be renewed, nor an agent stopped whose run is cancelled, until the clock has caught up."""
    with time_machine.travel(START, tick=False) as traveller:
        waiting = asyncio.create_task(SystemClock().sleep_until(START + timedelta(milliseconds=20)))
        await asyncio.sleep(0)
        traveller.move_to(START - timedelta(hours=1))
        async with asyncio.timeout(10):
            await waiting


async def test_a_clock_that_is_set_forward_ends_no_wait_early() -> None:
    with time_machine.travel(START, tick=False) as traveller:
        waiting = asyncio.create_task(SystemClock().sleep_until(START + timedelta(hours=1)))
        await asyncio.sleep(0)
        traveller.move_to(START + timedelta(hours=2))
        for _ in range(50):
            await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()


async def test_what_has_come_is_not_waited_for() -> None:
    with time_machine.travel(START, tick=False):
        await SystemClock().sleep_until(START)
