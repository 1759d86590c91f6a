"""The clock that tests move tells what it would be worth moving to."""

import asyncio
from datetime import UTC, datetime, timedelta

from devhost.clock import ManualClock

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


async def test_without_anybody_who_waits_nothing_is_due() -> None:
    assert ManualClock(START).next_due is None


async def test_the_earliest_wait_is_the_next_that_is_due_and_is_gone_once_it_is_over() -> None:
    clock = ManualClock(START)
    waits = [asyncio.create_task(clock.sleep_until(START + hours * HOUR)) for hours in (3, 1, 2)]
    await asyncio.sleep(0)
    assert clock.next_due == START + HOUR
    clock.move_to(START + HOUR)
    await waits[1]
    assert clock.next_due == START + 2 * HOUR
    clock.move_to(START + 3 * HOUR)
    await asyncio.gather(*waits)
    assert clock.next_due is None


async def test_a_wait_that_was_given_up_is_not_due() -> None:
    clock = ManualClock(START)
    given_up, kept = (asyncio.create_task(clock.sleep_until(START + hours * HOUR)) for hours in (1, 2))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.sleep(0)
    assert clock.next_due == START + 2 * HOUR
    clock.move_to(START + 2 * HOUR)
    await kept
