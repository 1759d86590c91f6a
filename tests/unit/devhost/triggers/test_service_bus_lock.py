import asyncio
import logging
from collections import deque
from datetime import datetime, timedelta

import pytest

from devhost.clock import ManualClock
from devhost.triggers.service_bus_lock import LockKeeper, kept
from devhost.triggers.service_bus_receiver import LockLost, ReceiverError

SECOND = timedelta(seconds=1)
LOCK = timedelta(minutes=1)


class Renewals:
    """A lock of one minute, renewed on request; `failures` come first."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.at: list[float] = []
        self.start = clock.now()
        self.failures: deque[ReceiverError] = deque()

    async def __call__(self) -> datetime:
        self.at.append((self.clock.now() - self.start).total_seconds())
        if self.failures:
            raise self.failures.popleft()
        return self.clock.now() + LOCK


def keeper(clock: ManualClock, renew: Renewals, longest: timedelta | None = timedelta(minutes=5)) -> LockKeeper:
    until = None if longest is None else clock.now() + longest
    return LockKeeper("message 1 of q", renew, clock.now() + LOCK, until, clock)


async def pass_time(clock: ManualClock, seconds: int) -> None:
    for _ in range(seconds):
        await settled()
        clock.advance(SECOND)
    await settled()


async def settled() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


async def test_a_lock_is_renewed_ten_seconds_before_it_ends() -> None:
    clock = ManualClock()
    renew = Renewals(clock)
    async with kept(keeper(clock, renew)):
        await pass_time(clock, 49)
        assert renew.at == []
        await pass_time(clock, 52)
    assert renew.at == [50, 100]


async def test_a_short_lock_is_renewed_at_half_its_time() -> None:
    clock = ManualClock()
    renew = Renewals(clock)
    short = LockKeeper("message 1 of q", renew, clock.now() + 8 * SECOND, None, clock)
    async with kept(short):
        await pass_time(clock, 5)
    assert renew.at == [4]


async def test_renewal_ends_after_its_longest_duration_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    renew = Renewals(clock)
    with caplog.at_level(logging.WARNING):
        async with kept(keeper(clock, renew, timedelta(seconds=130))):
            await pass_time(clock, 200)
    assert renew.at == [50, 100]
    assert "maxAutoLockRenewalDuration" in caplog.text


async def test_renewal_without_end_goes_on() -> None:
    clock = ManualClock()
    renew = Renewals(clock)
    async with kept(keeper(clock, renew, None)):
        await pass_time(clock, 1000)
    assert len(renew.at) == 20


async def test_a_lost_lock_is_known_and_no_longer_renewed() -> None:
    clock = ManualClock()
    renew = Renewals(clock)
    renew.failures.append(LockLost("gone"))
    kept_lock = keeper(clock, renew)
    async with kept(kept_lock):
        await pass_time(clock, 200)
        assert kept_lock.lost
    assert renew.at == [50]


async def test_a_failed_renewal_is_tried_again_while_the_lock_lasts() -> None:
    clock = ManualClock()
    renew = Renewals(clock)
    renew.failures.extend([ReceiverError("no connection")] * 3)
    kept_lock = keeper(clock, renew)
    async with kept(kept_lock):
        await pass_time(clock, 61)
        assert not kept_lock.lost
    assert renew.at == [50, 51, 52, 53]


async def test_a_lock_that_could_never_be_renewed_is_lost_when_it_ends() -> None:
    clock = ManualClock()
    renew = Renewals(clock)
    renew.failures.extend([ReceiverError("no connection")] * 1000)
    kept_lock = keeper(clock, renew)
    async with kept(kept_lock):
        await pass_time(clock, 70)
        assert kept_lock.lost
    assert len(renew.at) < 20


async def test_the_end_of_the_work_waits_for_a_renewal_under_way() -> None:
    clock = ManualClock()
    entered, release = asyncio.Event(), asyncio.Event()
    finished = []

    async def slow() -> datetime:
        entered.set()
        await release.wait()
        finished.append(1)
        return clock.now() + LOCK

    async def work() -> None:
        async with kept(LockKeeper("m", slow, clock.now() + LOCK, None, clock)):
            await entered.wait()

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    clock.advance(50 * SECOND)
    await entered.wait()
    await asyncio.sleep(0)
    assert not working.done()
    release.set()
    await working
    assert finished == [1]
