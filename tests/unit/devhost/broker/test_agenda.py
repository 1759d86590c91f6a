"""The agenda: order across items, and an alarm instead of polling."""

import asyncio
from datetime import timedelta

from devhost.broker.agenda import Agenda
from devhost.broker.instants import NEVER, to_instant
from devhost.broker.topology import QueueOptions, SubscriptionOptions, TopicOptions, Topology
from devhost.clock import ManualClock
from tests.support.brokers import Bench, message, take_one, token

SECOND = 1_000_000


class Item:
    """Has things due at given times; tells when they were dealt with."""

    def __init__(self, name: str, told: list[tuple[str, int]], *dues: int) -> None:
        self.name, self.told, self.dues = name, told, sorted(dues)

    def earliest(self) -> int:
        return self.dues[0] if self.dues else NEVER

    def run_due(self, until: int) -> None:
        while self.dues and self.dues[0] <= until:
            self.told.append((self.name, self.dues.pop(0)))


class CountingClock(ManualClock):
    """Counts how often somebody sets out to sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.sleeps = 0

    async def sleep_until(self, when: object) -> None:
        self.sleeps += 1
        await super().sleep_until(when)  # type: ignore[arg-type]


async def test_what_is_due_is_dealt_with_in_order_of_time_across_items() -> None:
    agenda, told = Agenda(ManualClock(), lambda: None), list[tuple[str, int]]()
    for item in (Item("a", told, 1, 5, 9), Item("b", told, 2, 6), Item("c", told, 99)):
        agenda.note(item, item.earliest())
    agenda.run(10)
    agenda.cancel()
    assert told == [("a", 1), ("b", 2), ("a", 5), ("b", 6), ("a", 9)]


async def test_what_is_forgotten_does_not_happen() -> None:
    agenda, told = Agenda(ManualClock(), lambda: None), list[tuple[str, int]]()
    item = Item("a", told, 1)
    agenda.note(item, 1)
    agenda.forget(item)
    agenda.run(10)
    assert told == []


async def test_the_alarm_goes_off_at_the_earliest_time_and_once() -> None:
    clock, rings = ManualClock(), list[int]()
    agenda = Agenda(clock, lambda: rings.append(agenda.now()))
    now = to_instant(clock.now())
    late, early = Item("late", [], now + 60 * SECOND), Item("early", [], now + 30 * SECOND)
    for item in (late, early):
        agenda.note(item, item.earliest())
        agenda.set_alarm()
    await asyncio.sleep(0)
    for seconds in (29, 1, 1):
        clock.advance(timedelta(seconds=seconds))
        for _ in range(3):
            await asyncio.sleep(0)
    agenda.cancel()
    assert rings == [now + 30 * SECOND]


async def test_a_broker_with_nothing_due_has_no_alarm(bench: Bench) -> None:
    broker = await bench.open()
    before = len(asyncio.all_tasks())
    await broker.send("q", [message() for _ in range(10)])
    assert len(asyncio.all_tasks()) == before


async def test_a_busy_broker_sleeps_once_for_many_locks(bench: Bench) -> None:
    bench.clock = clock = CountingClock()
    broker = await bench.open()
    for _ in range(50):
        await broker.send("q", [message()])
        await broker.complete("q", token(await take_one(broker)))
        clock.advance(timedelta(seconds=1))
    await asyncio.sleep(0)
    assert clock.sleeps == 1


async def test_an_idle_broker_with_a_backlog_only_sleeps(bench: Bench) -> None:
    bench.clock = clock = CountingClock()
    topic = TopicOptions("t", subscriptions=(SubscriptionOptions("s"),))
    queue = QueueOptions("q", default_message_time_to_live=timedelta(days=14))
    broker = await bench.open(Topology((queue,), (topic,)))
    await broker.send("q", [message() for _ in range(100)])
    for _ in range(24):
        clock.advance(timedelta(hours=1))
        await asyncio.sleep(0)
    assert clock.sleeps == 1
