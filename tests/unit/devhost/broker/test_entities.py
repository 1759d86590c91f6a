"""Topics and subscriptions: who gets a copy, and what of it is the copy's own."""

from datetime import timedelta

import pytest

from devhost.broker.broker import Broker
from devhost.broker.errors import EntityNotFound, InvalidOperation, MessageNotFound
from devhost.broker.topology import (
    CorrelationFilter,
    FalseFilter,
    Rule,
    SqlFilter,
    SubscriptionOptions,
    TopicOptions,
    Topology,
)
from tests.support.brokers import Bench, bodies, message, shown, take_one, token

SUB = "t/subscriptions/{}"


async def topic(bench: Bench, *subscriptions: SubscriptionOptions, **options: object) -> Broker:
    made = TopicOptions("t", subscriptions=subscriptions, **options)  # type: ignore[arg-type]
    return await bench.open(Topology(topics=(made,)))


async def got(broker: Broker, name: str) -> list[str]:
    return bodies(await shown(broker, SUB.format(name)))


async def test_every_subscription_gets_its_own_copy(bench: Bench) -> None:
    broker = await topic(bench, SubscriptionOptions("a"), SubscriptionOptions("b"))
    await broker.send("t", [message("m", properties={"x": 1})])
    await broker.complete(SUB.format("a"), token(await take_one(broker, SUB.format("a"))))
    assert await got(broker, "a") == []
    copy = await take_one(broker, SUB.format("b"))
    assert (copy.message.properties, copy.delivery_count) == ({"x": 1}, 0)


async def test_a_topic_without_subscriptions_accepts_and_drops(bench: Bench) -> None:
    broker = await topic(bench)
    await broker.send("t", [message()])
    assert broker.counts("t").size_bytes == 0


async def test_rules_decide_who_gets_what(bench: Bench) -> None:
    broker = await topic(
        bench,
        SubscriptionOptions("all"),
        SubscriptionOptions("none", rules=(Rule("$Default", FalseFilter()),)),
        SubscriptionOptions("big", rules=(Rule("$Default", SqlFilter("n > 2")),)),
        SubscriptionOptions("red", rules=(Rule("r", CorrelationFilter(properties={"color": "red"})),)),
        SubscriptionOptions("two", rules=(Rule("x", SqlFilter("n = 1")), Rule("y", SqlFilter("n = 1 OR n = 3")))),
    )
    for n, color in ((1, "red"), (2, "blue"), (3, "red")):
        await broker.send("t", [message(str(n), properties={"n": n, "color": color})])
    expected = {"all": ["1", "2", "3"], "none": [], "big": ["3"], "red": ["1", "3"], "two": ["1", "3"]}
    assert {name: await got(broker, name) for name in expected} == expected


async def test_copies_have_numbers_of_their_own_and_the_topics_too(bench: Bench) -> None:
    broker = await topic(bench, SubscriptionOptions("big", rules=(Rule("r", SqlFilter("n > 2")),)))
    await broker.send("t", [message(properties={"n": n}) for n in (1, 5, 2, 6)])
    copies = await shown(broker, SUB.format("big"))
    assert [(one.sequence_number, one.enqueued_sequence_number) for one in copies] == [(1, 2), (2, 4)]


@pytest.mark.parametrize(
    ("own", "topics", "subs", "expected"), [(9, 5, 7, 5), (9, 7, 5, 5), (3, 5, 7, 3), (None, None, 4, 4)]
)
async def test_the_shortest_of_three_lives_counts(
    bench: Bench, own: int | None, topics: int | None, subs: int | None, expected: int
) -> None:
    own_life, topics_life, subs_life = (None if s is None else timedelta(seconds=s) for s in (own, topics, subs))
    subscription = SubscriptionOptions("a", default_message_time_to_live=subs_life)
    broker = await topic(bench, subscription, default_message_time_to_live=topics_life)
    await broker.send("t", [message(time_to_live=own_life)])
    (copy,) = await shown(broker, SUB.format("a"))
    assert copy.expires_at == bench.clock.now() + timedelta(seconds=expected)


async def test_duplicates_are_found_by_the_topic(bench: Bench) -> None:
    broker = await topic(bench, SubscriptionOptions("a"), requires_duplicate_detection=True)
    await broker.send("t", [message("one", message_id="x"), message("two", message_id="x")])
    await broker.close()
    broker = await bench.open()
    await broker.send("t", [message("three", message_id="x"), message("four", message_id="y")])
    assert await got(broker, "a") == ["one", "four"]


async def test_a_dead_letter_of_a_subscription_tells_its_path(bench: Bench) -> None:
    broker = await bench.open(Topology(topics=(TopicOptions("Top", subscriptions=(SubscriptionOptions("Sub"),)),)))
    await broker.send("top", [message()])
    await broker.dead_letter("top/subscriptions/sub", token(await take_one(broker, "TOP/Subscriptions/SUB")))
    (dead,) = await shown(broker, "top/subscriptions/sub/$DeadLetterQueue")
    assert dead.dead_letter_source == "Top/subscriptions/Sub"


async def test_nothing_is_sent_to_a_subscription(bench: Bench) -> None:
    broker = await topic(bench, SubscriptionOptions("a"))
    with pytest.raises(InvalidOperation, match="queues and topics only"):
        await broker.send(SUB.format("a"), [message()])


async def test_a_topics_dead_letter_queue_does_not_exist(bench: Bench) -> None:
    broker = await topic(bench)
    with pytest.raises(InvalidOperation):
        await shown(broker, "t/$deadletterqueue")
    with pytest.raises(EntityNotFound):
        broker.require("t/subscriptions/missing")


# -- schedules ------------------------------------------------------------------------------------------------------


async def test_a_topics_scheduled_message_reaches_the_subscriptions_of_its_due_time(bench: Bench) -> None:
    broker = await topic(bench, SubscriptionOptions("old"))
    due = bench.clock.now() + timedelta(hours=1)
    numbers = await broker.schedule("t", [message("m", scheduled_enqueue_time=due, properties={"n": 1})])
    assert (numbers, broker.counts("t").scheduled) == ([1], 1)
    await broker.create_subscription("t", SubscriptionOptions("new", rules=(Rule("r", SqlFilter("n = 1")),)))
    await broker.delete_subscription("t", "old")
    bench.advance(hours=2)
    (copy,) = await shown(broker, SUB.format("new"))
    assert (copy.message.content, copy.enqueued_time, copy.enqueued_sequence_number) == (b"m", due, 1)
    assert broker.counts("t").scheduled == 0


async def test_a_topics_schedule_survives_a_restart_with_its_body(bench: Bench) -> None:
    broker = await topic(bench, SubscriptionOptions("a", rules=(Rule("r", SqlFilter("n = 1 AND sys.Label = 'l'")),)))
    due = bench.clock.now() + timedelta(hours=1)
    await broker.send("t", [message("body", scheduled_enqueue_time=due, properties={"n": 1}, subject="l")])
    await broker.close()
    bench.advance(hours=1)
    broker = await bench.open()
    assert await got(broker, "a") == ["body"]
    await broker.close()
    assert await got(await bench.open(), "a") == ["body"]


async def test_a_topics_schedules_are_cancelled_all_or_none(bench: Bench) -> None:
    broker = await topic(bench, SubscriptionOptions("a"))
    due = bench.clock.now() + timedelta(hours=1)
    numbers = await broker.schedule("t", [message(name, scheduled_enqueue_time=due) for name in "xyz"])
    with pytest.raises(MessageNotFound, match=r"^t has no scheduled message 99"):
        await broker.cancel_scheduled("t", [numbers[0], 99])
    await broker.cancel_scheduled("t", numbers[:2])
    bench.advance(hours=1)
    assert await got(broker, "a") == ["z"]
    with pytest.raises(MessageNotFound):
        await broker.cancel_scheduled("t", [numbers[2]])


async def test_what_is_due_reaches_a_subscription_before_what_happens_there_later(bench: Bench) -> None:
    """In one leap: the first copy expires between the two due times."""
    subscription = SubscriptionOptions("a", dead_lettering_on_message_expiration=True)
    broker = await topic(bench, subscription)
    now = bench.clock.now()
    life = timedelta(seconds=10)
    for seconds in (60, 90):
        due = now + timedelta(seconds=seconds)
        await broker.send("t", [message(str(seconds), scheduled_enqueue_time=due, time_to_live=life)])
    bench.advance(hours=1)
    dead = await shown(broker, "t/subscriptions/a/$deadletterqueue")
    assert [(one.message.content, one.enqueued_time - now) for one in dead] == [
        (b"60", timedelta(seconds=60)),
        (b"90", timedelta(seconds=90)),
    ]
