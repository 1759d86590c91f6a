"""Starting again: what was acknowledged is there, what was locked is free, and the topology is followed."""

import asyncio
from datetime import timedelta

import pytest

from devhost.broker.broker import Broker
from devhost.broker.errors import EntityExists, StoreInUse, TopologyError
from devhost.broker.model import MessageState, Recovered
from devhost.broker.topology import QueueOptions, Rule, SqlFilter, SubscriptionOptions, TopicOptions, Topology
from devhost.clock import SystemClock
from tests.support.brokers import DEAD, DELETE, LOCK, Bench, bodies, message, shown, take, take_one, token

STOPS = pytest.mark.parametrize("stop", ["close", "abort"])


async def again(bench: Bench, broker: Broker, stop: str, topology: Topology | None = None) -> Broker:
    await getattr(broker, stop)()
    return await bench.open(topology)


@STOPS
async def test_everything_is_as_it_was_after_a_stop(bench: Bench, stop: str) -> None:
    topology = Topology(
        (QueueOptions("q"), QueueOptions("s", requires_session=True)),
        (TopicOptions("t", subscriptions=(SubscriptionOptions("a"),)),),
    )
    broker = await bench.open(topology)
    later = bench.clock.now() + timedelta(days=1)
    await broker.send("q", [message(name, properties={"n": 1}) for name in "abcde"])
    await broker.send(
        "q", [message("later", scheduled_enqueue_time=later), message("mortal", time_to_live=timedelta(1))]
    )
    await broker.send("s", [message("in session", session_id="x")])
    await broker.send("t", [message("copy"), message("later", scheduled_enqueue_time=later)])
    first, second, third = await take(broker, count=3)
    await broker.complete("q", token(first))
    await broker.defer("q", token(second), {"m": 2})
    await broker.dead_letter("q", token(third), reason="r", description="d")
    paths = ["q", DEAD, "s", "t/subscriptions/a"]
    before = {path: await shown(broker, path) for path in paths}
    counts = {path: broker.counts(path) for path in [*paths, "t"]}
    broker = await again(bench, broker, stop)
    assert {path: await shown(broker, path) for path in paths} == before
    assert {path: broker.counts(path) for path in counts} == counts
    assert broker.recovered == Recovered(entities=4, messages=9)
    await broker.send("q", [message("f")])
    assert [one.sequence_number for one in await shown(broker)][-1] == 8


@STOPS
async def test_what_was_locked_is_free_again_with_its_delivery_counted(bench: Bench, stop: str) -> None:
    broker = await bench.open()
    await broker.send("q", [message("a"), message("b")])
    await broker.defer("q", token(await take_one(broker)))
    await broker.receive_deferred("q", [1], LOCK)
    await take_one(broker)
    broker = await again(bench, broker, stop)
    assert [(one.delivery_count, one.state) for one in await shown(broker)] == [
        (2, MessageState.DEFERRED),
        (1, MessageState.ACTIVE),
    ]
    assert bodies(await take(broker, count=5)) == ["b"]


@STOPS
async def test_a_message_that_stops_the_process_each_time_becomes_a_dead_letter(bench: Bench, stop: str) -> None:
    broker = await bench.queue(max_delivery_count=2)
    await broker.send("q", [message()])
    for earlier in range(2):
        assert (await take_one(broker)).delivery_count == earlier
        broker = await again(bench, broker, stop)
    assert broker.recovered.dead_lettered == 1
    (dead,) = await shown(broker, DEAD)
    assert dead.dead_letter_reason == "MaxDeliveryCountExceeded"


async def test_what_fell_due_while_nothing_ran_has_happened(bench: Bench) -> None:
    broker = await bench.queue(dead_lettering_on_message_expiration=True)
    later = bench.clock.now() + timedelta(hours=1)
    await broker.send(
        "q", [message("dies", time_to_live=timedelta(minutes=5)), message("due", scheduled_enqueue_time=later)]
    )
    await broker.close()
    bench.advance(hours=2)
    broker = await bench.open()
    assert bodies(await shown(broker, DEAD)) == ["dies"]
    assert bodies(await take(broker, count=5)) == ["due"]


async def test_sequence_numbers_are_never_given_twice(bench: Bench) -> None:
    broker = await bench.open()
    for expected in range(1, 4):
        await broker.send("q", [message()])
        (got,) = await broker.receive_now("q", max_messages=1, mode=DELETE)
        assert got.sequence_number == expected
        broker = await again(bench, broker, "abort")


async def test_what_was_not_acknowledged_when_the_process_died_is_there_wholly_or_not_at_all(bench: Bench) -> None:
    broker = await bench.open()
    send = asyncio.create_task(broker.send("q", [message("a"), message("b")]))
    await asyncio.sleep(0)
    broker = await again(bench, broker, "abort")
    with pytest.raises(Exception, match="closed"):
        await send
    assert bodies(await shown(broker)) in ([], ["a", "b"])


async def test_commits_in_a_thread_keep_the_same_promises(bench: Bench) -> None:
    broker = await Broker.open(bench.path, bench.topology, SystemClock())
    with pytest.raises(StoreInUse):
        await Broker.open(bench.path, bench.topology, SystemClock())
    await asyncio.gather(*(broker.send("q", [message(str(number))]) for number in range(200)))
    got = await broker.receive("q", max_messages=50, mode=LOCK)
    await asyncio.gather(*(broker.complete("q", token(one)) for one in got))
    await broker.abort()
    assert len(await shown(await bench.open())) == 150


# -- following the topology -----------------------------------------------------------------------------------------


async def test_new_entities_of_the_topology_are_made_and_old_ones_kept(bench: Bench) -> None:
    broker = await bench.queue()
    await broker.send("q", [message()])
    broker = await again(bench, broker, "close", Topology((QueueOptions("new"),)))
    assert [options.name for options in broker.queues()] == ["new", "q"]
    assert broker.recovered.left_over == ("q",)
    assert len(await shown(broker)) == 1


async def test_a_changed_declaration_is_followed(bench: Bench) -> None:
    old = SubscriptionOptions("s", rules=(Rule("$Default", SqlFilter("a = 1")),))
    broker = await bench.open(Topology((QueueOptions("q"),), (TopicOptions("t", subscriptions=(old,)),)))
    queue = QueueOptions("q", max_delivery_count=7)
    subscription = SubscriptionOptions("s", max_delivery_count=8, rules=(Rule("$Default", SqlFilter("a = 2")),))
    topic = TopicOptions("t", default_message_time_to_live=timedelta(days=1), subscriptions=(subscription,))
    broker = await again(bench, broker, "close", Topology((queue,), (topic,)))
    assert (broker.queues(), broker.topics()) == ([queue], [topic])
    broker = await again(bench, broker, "close")
    assert (broker.queues(), broker.topics()) == ([queue], [topic])


async def test_what_administration_changed_stays_while_the_declaration_stays(bench: Bench) -> None:
    broker = await bench.queue(max_delivery_count=5)
    await broker.update_queue(QueueOptions("q", max_delivery_count=9))
    await broker.create_queue(QueueOptions("made"))
    broker = await again(bench, broker, "close")
    assert [(one.name, one.max_delivery_count) for one in broker.queues()] == [("made", 10), ("q", 9)]
    assert broker.recovered.left_over == ()
    broker = await again(bench, broker, "close", Topology((QueueOptions("q", max_delivery_count=6),)))
    assert broker.queues()[1].max_delivery_count == 6


async def test_an_entity_made_by_hand_and_declared_later_is_the_topologys(bench: Bench) -> None:
    broker = await bench.open(Topology())
    await broker.create_queue(QueueOptions("q", max_delivery_count=3))
    await broker.send("q", [message()])
    broker = await again(bench, broker, "close", Topology((QueueOptions("Q", max_delivery_count=4),)))
    assert [options.max_delivery_count for options in broker.queues()] == [4]
    assert len(await shown(broker)) == 1


async def test_sessions_are_switched_only_on_an_empty_entity(bench: Bench) -> None:
    broker = await bench.queue()
    await broker.send("q", [message("kept")])
    with pytest.raises(TopologyError, match="requiresSession cannot change while the entity holds messages; empty or"):
        await again(bench, broker, "close", Topology((QueueOptions("q", requires_session=True),)))
    broker = await bench.open(Topology((QueueOptions("q"),)))
    await broker.complete("q", token(await take_one(broker)))
    broker = await again(bench, broker, "close", Topology((QueueOptions("q", requires_session=True),)))
    await broker.send("q", [message(session_id="a")])
    session = await broker.accept_session("q", None)
    assert len(await take(broker, session=session)) == 1


async def test_a_topology_that_names_an_entity_twice_is_refused(bench: Bench) -> None:
    for topology in (
        Topology((QueueOptions("q"), QueueOptions("Q"))),
        Topology(topics=(TopicOptions("t", subscriptions=(SubscriptionOptions("s"), SubscriptionOptions("S"))),)),
    ):
        with pytest.raises(TopologyError, match="twice"):
            await bench.open(topology)
    with pytest.raises((TopologyError, EntityExists)):
        await bench.open(Topology((QueueOptions("x"),), (TopicOptions("X"),)))
    await bench.open(Topology((QueueOptions("q"),)))


async def test_a_refused_topology_has_changed_nothing(bench: Bench) -> None:
    with pytest.raises(TopologyError):
        await bench.open(Topology((QueueOptions("a"), QueueOptions("q"), QueueOptions("q"))))
    broker = await bench.open(Topology((QueueOptions("q"),)))
    assert [options.name for options in broker.queues()] == ["q"]
