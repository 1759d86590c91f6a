"""What happens to messages by themselves: lives and locks that end, schedules that come due."""

from datetime import timedelta

import pytest

from devhost.broker.errors import MessageLockLost, MessageNotFound
from devhost.broker.model import MessageState
from tests.support.brokers import DEAD, LOCK, Bench, bodies, message, shown, take, take_one, token


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


# -- locks ----------------------------------------------------------------------------------------------------------


async def test_a_lock_ends_exactly_at_its_time(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message()])
    await take_one(broker)
    bench.advance(seconds=59.999999)
    assert await take(broker) == []
    bench.advance(seconds=0.000001)
    assert (await take_one(broker)).delivery_count == 1


async def test_a_message_whose_locks_keep_ending_becomes_a_dead_letter(bench: Bench) -> None:
    broker = await bench.queue(max_delivery_count=3)
    await broker.send("q", [message()])
    for earlier in range(3):
        assert (await take_one(broker)).delivery_count == earlier
        bench.advance(minutes=1)
    assert await take(broker) == []
    (dead,) = await shown(broker, DEAD)
    assert (dead.dead_letter_reason, dead.delivery_count) == ("MaxDeliveryCountExceeded", 3)


async def test_a_deferred_message_uses_up_its_deliveries_too(bench: Bench) -> None:
    broker = await bench.queue(max_delivery_count=2)
    await broker.send("q", [message()])
    await broker.defer("q", token(await take_one(broker)))
    await broker.receive_deferred("q", [1], LOCK)
    bench.advance(minutes=1)
    assert len(await shown(broker, DEAD)) == 1


# -- time to live ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "entitys", "expected"),
    [(None, None, None), (seconds(10), None, 10), (None, seconds(20), 20), (seconds(30), seconds(20), 20)],
)
async def test_the_shorter_time_to_live_counts(
    bench: Bench, own: timedelta | None, entitys: timedelta | None, expected: int | None
) -> None:
    broker = await bench.queue(default_message_time_to_live=entitys)
    await broker.send("q", [message(time_to_live=own)])
    (seen,) = await shown(broker)
    assert seen.expires_at == (None if expected is None else bench.clock.now() + seconds(expected))


async def test_an_expired_message_is_dropped_unless_the_entity_says_otherwise(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message(time_to_live=seconds(10))])
    bench.advance(seconds=10)
    assert await take(broker) == []
    assert broker.counts("q").total == 0


async def test_an_expired_message_becomes_a_dead_letter_when_the_entity_says_so(bench: Bench) -> None:
    broker = await bench.queue(dead_lettering_on_message_expiration=True)
    await broker.send("q", [message("a", time_to_live=seconds(20)), message("b", time_to_live=seconds(10))])
    bench.advance(days=400)
    dead = await shown(broker, DEAD)
    assert bodies(dead) == ["b", "a"]
    assert {one.dead_letter_reason for one in dead} == {"TTLExpiredException"}
    assert {one.dead_letter_description for one in dead} == {"The message expired and was dead lettered."}


async def test_dead_letters_do_not_expire(bench: Bench) -> None:
    broker = await bench.queue(default_message_time_to_live=seconds(10), dead_lettering_on_message_expiration=True)
    await broker.send("q", [message()])
    bench.advance(days=1)
    (dead,) = await shown(broker, DEAD)
    assert dead.expires_at is None
    bench.advance(days=3650)
    assert len(await take(broker, DEAD)) == 1


async def test_a_locked_message_can_be_completed_after_its_life(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message(time_to_live=seconds(10))])
    lock = token(await take_one(broker))
    bench.advance(seconds=30)
    await broker.complete("q", lock)


@pytest.mark.parametrize("end", ["abandon", "lock"])
async def test_a_message_whose_life_ended_under_a_lock_does_not_come_back(bench: Bench, end: str) -> None:
    broker = await bench.queue(dead_lettering_on_message_expiration=True)
    await broker.send("q", [message(time_to_live=seconds(10))])
    lock = token(await take_one(broker))
    bench.advance(seconds=30)
    if end == "abandon":
        await broker.abandon("q", lock)
    else:
        bench.advance(seconds=30)
    assert await take(broker) == []
    (dead,) = await shown(broker, DEAD)
    assert dead.dead_letter_reason == "TTLExpiredException"


async def test_a_delivery_taken_back_is_not_counted_even_when_the_messages_life_is_over(bench: Bench) -> None:
    broker = await bench.queue(dead_lettering_on_message_expiration=True)
    await broker.send("q", [message(time_to_live=seconds(10))])
    lock = token(await take_one(broker))
    bench.advance(seconds=30)
    await broker.release("q", lock)
    await broker.close()
    (dead,) = await shown(await bench.open(), DEAD)
    assert (dead.dead_letter_reason, dead.delivery_count) == ("TTLExpiredException", 0)


async def test_a_deferred_message_expires_when_it_is_asked_for(bench: Bench) -> None:
    broker = await bench.queue(dead_lettering_on_message_expiration=True)
    await broker.send("q", [message(time_to_live=seconds(10))])
    await broker.defer("q", token(await take_one(broker)))
    bench.advance(hours=1)
    assert len(await shown(broker)) == 1
    with pytest.raises(MessageNotFound):
        await broker.receive_deferred("q", [1], LOCK)
    assert await shown(broker) == []
    (dead,) = await shown(broker, DEAD)
    assert dead.dead_letter_reason == "TTLExpiredException"


# -- schedules ------------------------------------------------------------------------------------------------------


async def test_a_scheduled_message_is_there_exactly_at_its_time(bench: Bench) -> None:
    broker = await bench.open()
    due = bench.clock.now() + seconds(30)
    assert await broker.schedule("q", [message(scheduled_enqueue_time=due)]) == [1]
    bench.advance(seconds=29.999999)
    assert await take(broker) == []
    bench.advance(hours=1)
    got = await take_one(broker)
    assert (got.enqueued_time, got.state) == (due, MessageState.ACTIVE)


async def test_a_message_gets_a_new_number_when_it_comes_due(bench: Bench) -> None:
    broker = await bench.open()
    due = bench.clock.now() + seconds(30)
    await broker.send("q", [message("later", scheduled_enqueue_time=due), message("now")])
    bench.advance(seconds=30)
    await broker.send("q", [message("last")])
    got = await take(broker, count=5)
    assert [(one.message.content, one.sequence_number) for one in got] == [(b"now", 2), (b"later", 3), (b"last", 4)]
    assert got[1].enqueued_sequence_number == 1


async def test_messages_come_due_in_the_order_of_their_times(bench: Bench) -> None:
    broker = await bench.open()
    now = bench.clock.now()
    await broker.send("q", [message(str(s), scheduled_enqueue_time=now + seconds(s)) for s in (30, 10, 20, 10)])
    bench.advance(minutes=5)
    assert bodies(await take(broker, count=9)) == ["10", "10", "20", "30"]


async def test_a_schedule_in_the_past_is_no_schedule(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message(scheduled_enqueue_time=bench.clock.now())])
    assert (await take_one(broker)).sequence_number == 1


async def test_the_life_of_a_scheduled_message_begins_when_it_is_due(bench: Bench) -> None:
    broker = await bench.open()
    due = bench.clock.now() + seconds(60)
    await broker.send("q", [message(scheduled_enqueue_time=due, time_to_live=seconds(10))])
    bench.advance(seconds=69)
    assert (await take_one(broker)).expires_at == due + seconds(10)


async def test_a_message_due_and_expired_in_one_leap_is_expired(bench: Bench) -> None:
    broker = await bench.queue(dead_lettering_on_message_expiration=True)
    due = bench.clock.now() + seconds(60)
    await broker.send("q", [message(scheduled_enqueue_time=due, time_to_live=seconds(10))])
    bench.advance(seconds=70)
    assert await take(broker) == []
    assert len(await shown(broker, DEAD)) == 1


async def test_a_cancelled_schedule_never_happens(bench: Bench) -> None:
    broker = await bench.open()
    due = bench.clock.now() + seconds(60)
    numbers = await broker.schedule("q", [message(name, scheduled_enqueue_time=due) for name in "abc"])
    await broker.cancel_scheduled("q", [numbers[0], numbers[2], numbers[0]])
    bench.advance(minutes=5)
    assert bodies(await take(broker, count=5)) == ["b"]


async def test_schedules_are_cancelled_all_or_none(bench: Bench) -> None:
    broker = await bench.open()
    due = bench.clock.now() + seconds(60)
    (number,) = await broker.schedule("q", [message(scheduled_enqueue_time=due)])
    await broker.send("q", [message("there already")])
    for others in ([number, 2], [number, 99], [-1], [0]):
        with pytest.raises(MessageNotFound, match=r"^q has no scheduled message"):
            await broker.cancel_scheduled("q", others)
    bench.advance(seconds=60)
    with pytest.raises(MessageNotFound):
        await broker.cancel_scheduled("q", [number])
    assert len(await take(broker, count=5)) == 2


async def test_what_happens_late_has_its_late_consequences_in_order_of_time(bench: Bench) -> None:
    """In one leap: a lock ends, its message and one that was scheduled expire, each at its own time."""
    broker = await bench.queue(dead_lettering_on_message_expiration=True)
    now = bench.clock.now()
    await broker.send("q", [message("locked", time_to_live=seconds(90))])
    lock = token(await take_one(broker))
    await broker.send("q", [message("late", scheduled_enqueue_time=now + seconds(50), time_to_live=seconds(20))])
    bench.advance(hours=1)
    assert bodies(await shown(broker, DEAD)) == ["late", "locked"]
    with pytest.raises(MessageLockLost):
        await broker.complete("q", lock)
