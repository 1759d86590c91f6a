"""Listing, counting, making, changing and removing entities, and that all of it survives a restart."""

from dataclasses import replace
from datetime import timedelta

import pytest

from devhost.broker.errors import (
    ArgumentError,
    EntityExists,
    EntityNotFound,
    FilterSyntaxError,
    InvalidOperation,
    MessageLockLost,
)
from devhost.broker.model import RuntimeCounts
from devhost.broker.topology import (
    EntityStatus,
    QueueOptions,
    Rule,
    SqlFilter,
    SubscriptionOptions,
    TopicOptions,
    Topology,
)
from tests.support.brokers import DEAD, Bench, bodies, message, shown, take, take_one, token


async def test_entities_are_listed_by_name_as_they_were_made(bench: Bench) -> None:
    broker = await bench.open(Topology())
    await broker.create_queue(QueueOptions("Beta", max_delivery_count=4))
    await broker.create_queue(QueueOptions("alpha"))
    subscriptions = (SubscriptionOptions("z"), SubscriptionOptions("Y", rules=(Rule("r", SqlFilter("a = 1")),)))
    await broker.create_topic(TopicOptions("Top", subscriptions=subscriptions))
    assert broker.queues() == [QueueOptions("alpha"), QueueOptions("Beta", max_delivery_count=4)]
    assert broker.topics() == [TopicOptions("Top", subscriptions=(subscriptions[1], subscriptions[0]))]
    assert broker.subscriptions("TOP") == [subscriptions[1], subscriptions[0]]
    assert broker.is_topic("top")
    assert not broker.is_topic("beta")


async def test_counts_tell_what_an_entity_holds(bench: Bench) -> None:
    broker = await bench.open()
    started = bench.clock.now()
    later = started + timedelta(hours=1)
    await broker.send("q", [message("1234567890") for _ in range(5)] + [message("s", scheduled_enqueue_time=later)])
    first, second, _ = await take(broker, count=3)
    await broker.defer("q", token(first))
    await broker.dead_letter("q", token(second))
    expected = RuntimeCounts(
        active=4,
        locked=1,
        deferred=1,
        scheduled=1,
        dead_letter=1,
        size_bytes=51,
        created_at=started,
        updated_at=started,
        accessed_at=started,
    )
    assert broker.counts("q") == expected
    assert expected.total == 6
    assert (broker.counts(DEAD).active, broker.counts(DEAD).size_bytes) == (1, 10)
    bench.advance(hours=1)
    counts = broker.counts("q")
    assert (counts.active, counts.locked, counts.scheduled) == (5, 0, 0)


async def test_counts_of_a_topic_tell_its_schedule_and_its_subscriptions(bench: Bench) -> None:
    broker = await bench.open(Topology(topics=(TopicOptions("t", subscriptions=(SubscriptionOptions("s"),)),)))
    later = bench.clock.now() + timedelta(hours=1)
    await broker.send("t", [message("abc"), message("de", scheduled_enqueue_time=later)])
    counts = broker.counts("t")
    assert (counts.scheduled, counts.subscriptions, counts.size_bytes, counts.active) == (1, 1, 5, 0)
    with pytest.raises(EntityNotFound):
        broker.counts("x")


async def test_times_tell_when_an_entity_was_made_changed_and_used(bench: Bench) -> None:
    broker = await bench.open(Topology())
    made = bench.clock.now()
    await broker.create_queue(QueueOptions("q"))
    bench.advance(minutes=1)
    changed = bench.clock.now()
    await broker.update_queue(QueueOptions("q", max_delivery_count=3))
    bench.advance(minutes=1)
    await broker.send("q", [message()])
    counts = broker.counts("q")
    assert (counts.created_at, counts.updated_at, counts.accessed_at) == (made, changed, bench.clock.now())


async def test_names_are_taken_without_regard_to_case_and_kind(bench: Bench) -> None:
    broker = await bench.open()
    for call in (broker.create_queue(QueueOptions("Q")), broker.create_topic(TopicOptions("Q"))):
        with pytest.raises(EntityExists, match="there is an entity 'Q' already"):
            await call
    await broker.create_topic(TopicOptions("t", subscriptions=(SubscriptionOptions("s"),)))
    with pytest.raises(EntityExists, match="t has a subscription 'S' already"):
        await broker.create_subscription("T", SubscriptionOptions("S"))
    with pytest.raises(EntityExists, match="two subscriptions"):
        await broker.create_topic(TopicOptions("u", subscriptions=(SubscriptionOptions("a"), SubscriptionOptions("A"))))
    assert not broker.is_topic("u")


async def test_the_largest_message_of_an_entity_is_told_in_bytes(bench: Bench) -> None:
    broker = await bench.open(Topology((QueueOptions("q"),), (TopicOptions("t", max_message_size_in_kilobytes=1024),)))
    assert (broker.max_message_size("Q"), broker.max_message_size("t")) == (256 * 1024, 1024 * 1024)
    with pytest.raises(EntityNotFound):
        broker.max_message_size("x")


async def test_what_is_not_there_is_neither_changed_nor_removed(bench: Bench) -> None:
    broker = await bench.open(Topology(topics=(TopicOptions("t"),)))
    calls = [
        broker.update_queue(QueueOptions("q")),
        broker.delete_queue("t"),
        broker.update_topic(TopicOptions("x")),
        broker.delete_topic("x"),
        broker.create_subscription("x", SubscriptionOptions("s")),
        broker.update_subscription("t", SubscriptionOptions("s")),
        broker.delete_subscription("t", "s"),
        broker.add_rule("t/subscriptions/s", Rule("r")),
        broker.remove_rule("t", "r"),
    ]
    for call in calls:
        with pytest.raises(EntityNotFound):
            await call
    with pytest.raises(EntityNotFound):
        broker.rules("t/subscriptions/s")


async def test_changed_options_hold_for_what_comes_next_and_after_a_restart(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message("old")])
    changed = QueueOptions(
        "Q",
        lock_duration=timedelta(seconds=30),
        max_delivery_count=1,
        default_message_time_to_live=timedelta(minutes=2),
        dead_lettering_on_message_expiration=True,
    )
    await broker.update_queue(changed)
    await broker.send("q", [message("new")])
    await broker.close()
    broker = await bench.open()
    assert broker.queues() == [replace(changed, name="q")]
    old, new = await shown(broker)
    assert (old.expires_at, new.expires_at) == (None, bench.clock.now() + timedelta(minutes=2))
    await take_one(broker)
    bench.advance(seconds=30)
    assert bodies(await shown(broker, DEAD)) == ["old"]


async def test_what_is_fixed_at_creation_stays(bench: Bench) -> None:
    broker = await bench.open(
        Topology((QueueOptions("q"),), (TopicOptions("t", subscriptions=(SubscriptionOptions("s"),)),))
    )
    calls = {
        "requires_session": broker.update_queue(QueueOptions("q", requires_session=True)),
        "q: requires_duplicate_detection": broker.update_queue(QueueOptions("q", requires_duplicate_detection=True)),
        "t: requires_duplicate_detection": broker.update_topic(TopicOptions("t", requires_duplicate_detection=True)),
        "s: requires_session": broker.update_subscription("t", SubscriptionOptions("s", requires_session=True)),
    }
    for named, call in calls.items():
        with pytest.raises(InvalidOperation, match=f"{named} is fixed when the entity is created"):
            await call
    assert broker.queues() == [QueueOptions("q")]


async def test_bad_options_change_nothing(bench: Bench) -> None:
    broker = await bench.open(Topology())
    with pytest.raises(ArgumentError, match="lockDuration"):
        await broker.create_queue(QueueOptions("q", lock_duration=timedelta(hours=1)))
    bad_rule = SubscriptionOptions("s", rules=(Rule("r", SqlFilter("nonsense")),))
    with pytest.raises(FilterSyntaxError):
        await broker.create_topic(TopicOptions("t", subscriptions=(bad_rule,)))
    assert (broker.queues(), broker.topics()) == ([], [])


async def test_a_deleted_queue_takes_everything_with_it(bench: Bench) -> None:
    broker = await bench.open(Topology())
    await broker.create_queue(QueueOptions("q", requires_duplicate_detection=True))
    await broker.send("q", [message(message_id="a"), message("dead", message_id="b")])
    first, second = await take(broker, count=2)
    await broker.dead_letter("q", token(second))
    await broker.delete_queue("Q")
    for path in ("q", DEAD):
        with pytest.raises(EntityNotFound):
            broker.require(path)
    await broker.create_queue(QueueOptions("q", requires_duplicate_detection=True))
    with pytest.raises(MessageLockLost):
        await broker.complete("q", token(first))
    await broker.send("q", [message("new", message_id="a")])
    await broker.close()
    broker = await bench.open(Topology())
    assert [(one.message.content, one.sequence_number) for one in await shown(broker)] == [(b"new", 1)]
    assert await shown(broker, DEAD) == []


async def test_what_was_due_in_a_deleted_queue_does_not_happen(bench: Bench) -> None:
    broker = await bench.open(Topology((), (TopicOptions("t", subscriptions=(SubscriptionOptions("s"),)),)))
    await broker.create_queue(QueueOptions("q"))
    later = bench.clock.now() + timedelta(minutes=1)
    for path in ("q", "t"):
        await broker.send(path, [message(time_to_live=timedelta(seconds=5)), message(scheduled_enqueue_time=later)])
    await broker.delete_queue("q")
    await broker.delete_topic("t")
    bench.advance(hours=1)
    await broker.create_queue(QueueOptions("q"))
    assert await shown(broker) == []
    await broker.close()
    assert (await bench.open(Topology())).recovered.messages == 0


async def test_a_subscription_gets_what_is_sent_after_its_making(bench: Bench) -> None:
    broker = await bench.open(Topology(topics=(TopicOptions("t"),)))
    await broker.send("t", [message("before")])
    await broker.create_subscription("t", SubscriptionOptions("s"))
    await broker.send("t", [message("after")])
    assert bodies(await shown(broker, "t/subscriptions/s")) == ["after"]
    await broker.delete_subscription("t", "S")
    await broker.create_subscription("t", SubscriptionOptions("s"))
    assert await shown(broker, "t/subscriptions/s") == []


async def test_rules_added_and_removed_count_from_then_on_and_after_a_restart(bench: Bench) -> None:
    path = "t/subscriptions/s"
    broker = await bench.open(Topology(topics=(TopicOptions("t", subscriptions=(SubscriptionOptions("s"),)),)))
    assert broker.rules(path) == [Rule("$Default")]
    await broker.remove_rule(path, "$default")
    await broker.send("t", [message("nobody")])
    await broker.add_rule(path, Rule("odd", SqlFilter("n % 2 = @r", {"r": 1})))
    with pytest.raises(EntityExists):
        await broker.add_rule(path, Rule("ODD"))
    await broker.send("t", [message(str(n), properties={"n": n}) for n in (1, 2)])
    await broker.close()
    broker = await bench.open()
    assert broker.rules(path) == [Rule("odd", SqlFilter("n % 2 = @r", {"r": 1}))]
    await broker.send("t", [message(str(n), properties={"n": n}) for n in (3, 4)])
    assert bodies(await shown(broker, path)) == ["1", "3"]


async def test_changing_a_subscription_leaves_its_rules(bench: Bench) -> None:
    broker = await bench.open(Topology(topics=(TopicOptions("t", subscriptions=(SubscriptionOptions("s"),)),)))
    await broker.add_rule("t/subscriptions/s", Rule("r", SqlFilter("a = 1")))
    await broker.update_subscription("t", SubscriptionOptions("s", max_delivery_count=2, status=EntityStatus.ACTIVE))
    (options,) = broker.subscriptions("t")
    assert (options.max_delivery_count, [rule.name for rule in options.rules]) == (2, ["$Default", "r"])


async def test_changing_a_topic_leaves_its_subscriptions(bench: Bench) -> None:
    broker = await bench.open(Topology(topics=(TopicOptions("t", subscriptions=(SubscriptionOptions("s"),)),)))
    await broker.update_topic(TopicOptions("t", max_size_in_megabytes=5))
    assert broker.topics() == [TopicOptions("t", max_size_in_megabytes=5, subscriptions=(SubscriptionOptions("s"),))]
