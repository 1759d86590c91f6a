import asyncio
from datetime import timedelta
from functools import partial

from devhost.clock import ManualClock, SystemClock
from devhost.taskhub.alarms import Alarms
from tests.support.eventually import eventually

SECOND = timedelta(seconds=1)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_alarms_ring_in_the_order_of_their_times_and_only_once_the_clock_has_reached_them() -> None:
    clock = ManualClock()
    alarms, rung = Alarms(clock), list[str]()
    alarms.at(clock.now() + 3 * SECOND, partial(rung.append, "third"))
    alarms.at(clock.now() + 1 * SECOND, partial(rung.append, "first"))
    alarms.at(clock.now() + 2 * SECOND, partial(rung.append, "second"))
    await settle()
    assert rung == []
    clock.advance(2 * SECOND)
    await settle()
    assert rung == ["first", "second"]
    clock.advance(SECOND)
    await settle()
    assert rung == ["first", "second", "third"]
    await alarms.stop()


async def test_equal_times_ring_in_the_order_they_were_set() -> None:
    clock = ManualClock()
    alarms, rung = Alarms(clock), list[int]()
    for number in range(20):
        alarms.at(clock.now() + SECOND, partial(rung.append, number))
    await settle()
    clock.advance(SECOND)
    await settle()
    assert rung == list(range(20))
    await alarms.stop()


async def test_an_alarm_in_the_past_rings_at_once() -> None:
    clock = ManualClock()
    alarms, rung = Alarms(clock), list[str]()
    alarms.at(clock.now() - SECOND, partial(rung.append, "late"))
    await settle()
    assert rung == ["late"]
    await alarms.stop()


async def test_an_alarm_may_set_another_one() -> None:
    clock = ManualClock()
    alarms, rung = Alarms(clock), list[str]()

    def first() -> None:
        rung.append("first")
        alarms.at(clock.now() + SECOND, partial(rung.append, "second"))

    alarms.at(clock.now() + SECOND, first)
    await settle()
    clock.advance(SECOND)
    await settle()
    clock.advance(SECOND)
    await settle()
    assert rung == ["first", "second"]
    await alarms.stop()


async def test_an_alarm_that_fails_does_not_keep_the_others_from_ringing() -> None:
    clock = ManualClock()
    alarms, rung = Alarms(clock), list[str]()

    def broken() -> None:
        raise RuntimeError("broken")

    alarms.at(clock.now() + SECOND, broken)
    alarms.at(clock.now() + SECOND, partial(rung.append, "next"))
    alarms.at(clock.now() + 2 * SECOND, partial(rung.append, "later"))
    await settle()
    clock.advance(2 * SECOND)
    await settle()
    assert rung == ["next", "later"]
    await alarms.stop()


async def test_stopped_alarms_never_ring() -> None:
    clock = ManualClock()
    alarms, rung = Alarms(clock), list[str]()
    alarms.at(clock.now() + SECOND, partial(rung.append, "before"))
    await settle()
    await alarms.stop()
    alarms.at(clock.now(), partial(rung.append, "after"))
    clock.advance(SECOND)
    await settle()
    assert rung == []


async def test_alarms_follow_the_system_clock() -> None:
    clock = SystemClock()
    alarms, rung = Alarms(clock), list[str]()
    alarms.at(clock.now() + timedelta(milliseconds=5), partial(rung.append, "rung"))
    await eventually(lambda: rung)
    await alarms.stop()
