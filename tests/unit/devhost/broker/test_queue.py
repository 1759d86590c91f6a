"""A queue's messages as consumers deal with them: receiving, settling, deferring, dead-lettering, peeking."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from devhost.broker.broker import Broker
from devhost.broker.errors import EntityNotFound, InvalidOperation, MessageLockLost, MessageNotFound
from devhost.broker.model import Message, MessageState
from tests.support.brokers import DEAD, DELETE, LOCK, Bench, bodies, message, shown, take, take_one, token

FULL = Message(
    content=b"\x00\xffsections",
    size=100,
    message_id="id",
    session_id="session",
    correlation_id="correlation",
    subject="subject",
    to="to",
    reply_to="reply",
    reply_to_session_id="reply-session",
    content_type="text/plain",
    partition_key="session",
    time_to_live=timedelta(hours=1),
    properties={"a": 1, "b": b"x"},
)


async def test_a_message_is_handed_back_as_it_was_sent(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [FULL])
    delivery = await take_one(broker)
    now = bench.clock.now()
    assert delivery.message == FULL
    assert (delivery.sequence_number, delivery.enqueued_sequence_number) == (1, 1)
    assert (delivery.enqueued_time, delivery.expires_at) == (now, now + timedelta(hours=1))
    assert (delivery.delivery_count, delivery.state) == (0, MessageState.ACTIVE)
    assert delivery.locked_until == now + timedelta(minutes=1)
    assert delivery.dead_letter_source is delivery.dead_letter_reason is delivery.dead_letter_description is None


async def test_messages_come_in_the_order_of_their_sending_and_numbers_have_no_gaps(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message("a"), message("b")])
    await broker.send("q", [message("c")])
    got = await take(broker, count=10)
    assert bodies(got) == ["a", "b", "c"]
    assert [one.sequence_number for one in got] == [1, 2, 3]


async def test_an_empty_batch_is_accepted_and_does_nothing(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [])
    assert await take(broker) == []


async def test_paths_are_found_without_regard_to_case(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("Q", [message()])
    taken = await take_one(broker, "/q")
    await broker.dead_letter("Q", token(taken))
    assert len(await shown(broker, "q/$DeadLetterQueue")) == 1


async def test_a_locked_message_is_nobody_elses(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message("a"), message("b")])
    assert bodies(await take(broker)) == ["a"]
    assert bodies(await take(broker, count=5)) == ["b"]
    assert await take(broker) == []


async def test_a_completed_message_is_gone(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message()])
    await broker.complete("q", token(await take_one(broker)))
    bench.advance(hours=1)
    assert await shown(broker) == []


async def test_received_and_deleted_is_gone_at_once_and_has_no_lock(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message("a"), message("b")])
    (delivery,) = await broker.receive("q", max_messages=1, mode=DELETE)
    assert (delivery.lock_token, delivery.locked_until, delivery.delivery_count) == (None, None, 0)
    assert bodies(await shown(broker)) == ["b"]


async def test_an_abandoned_message_comes_back_in_its_place_with_its_delivery_counted(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message("a"), message("b"), message("c")])
    first, second = await take(broker, count=2)
    await broker.abandon("q", token(second))
    await broker.abandon("q", token(first))
    got = await take(broker, count=3)
    assert bodies(got) == ["a", "b", "c"]
    assert [one.delivery_count for one in got] == [1, 1, 0]


async def test_abandoning_may_change_properties(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message(properties={"a": 1, "b": 2})])
    await broker.abandon("q", token(await take_one(broker)), {"b": b"new", "c": None})
    assert (await take_one(broker)).message.properties == {"a": 1, "b": b"new", "c": None}


async def test_the_last_delivery_abandoned_is_a_dead_letter(bench: Bench) -> None:
    broker = await bench.queue(max_delivery_count=2)
    await broker.send("q", [message(properties={"a": 1})])
    await broker.abandon("q", token(await take_one(broker)))
    await broker.abandon("q", token(await take_one(broker)), {"b": 2})
    assert await shown(broker) == []
    (dead,) = await shown(broker, DEAD)
    assert dead.dead_letter_reason == "MaxDeliveryCountExceeded"
    assert dead.dead_letter_description == "Message could not be consumed after 2 delivery attempts."
    assert (dead.dead_letter_source, dead.delivery_count) == ("q", 2)
    assert dead.message.properties == {"a": 1, "b": 2}


async def test_a_released_message_comes_back_as_if_it_had_not_been_handed_out(bench: Bench) -> None:
    broker = await bench.queue(max_delivery_count=1)
    await broker.send("q", [message("a"), message("b")])
    for _ in range(3):
        got = await take_one(broker)
        assert (got.message.content, got.delivery_count) == (b"a", 0)
        await broker.release("q", token(got))
    with pytest.raises(MessageLockLost):
        await broker.release("q", token(got))
    await broker.abort()
    assert [one.delivery_count for one in await shown(await bench.open())] == [0, 0]


async def test_a_released_deferred_message_stays_deferred(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message()])
    await broker.defer("q", token(await take_one(broker)))
    (deferred,) = await broker.receive_deferred("q", [1], LOCK)
    await broker.release("q", token(deferred))
    (again,) = await broker.receive_deferred("q", [1], LOCK)
    assert again.delivery_count == 1


async def test_messages_are_deleted_oldest_first_up_to_a_time_and_a_number(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message(name) for name in "abcd"])
    bench.advance(seconds=10)
    between = bench.clock.now()
    await broker.send("q", [message("late")])
    await take_one(broker)
    assert await broker.delete_messages("q", max_messages=2, enqueued_before=between) == 2
    assert bodies(await shown(broker)) == ["a", "d", "late"]
    assert await broker.delete_messages("q", max_messages=99, enqueued_before=between) == 1
    assert await broker.delete_messages("q", max_messages=99, enqueued_before=between) == 0
    assert await broker.delete_messages("q", max_messages=99) == 1
    assert bodies(await shown(broker)) == ["a"]


# -- tokens ---------------------------------------------------------------------------------------------------------


async def settle(broker: Broker, how: str, lock: object) -> None:
    if how == "renew":
        await broker.renew_lock("q", [lock])  # type: ignore[list-item]
    else:
        await getattr(broker, how)("q", lock)


HOW = ["complete", "abandon", "release", "defer", "dead_letter", "renew"]


@pytest.mark.parametrize("how", HOW)
async def test_a_foreign_token_settles_nothing(bench: Bench, how: str) -> None:
    broker = await bench.open()
    await broker.send("q", [message()])
    with pytest.raises(MessageLockLost, match=r"^q knows no lock"):
        await settle(broker, how, uuid4())
    assert len(await take(broker)) == 1


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("before", ["complete", "abandon", "defer", "dead_letter"])
async def test_a_message_is_settled_once(bench: Bench, before: str, how: str) -> None:
    broker = await bench.open()
    await broker.send("q", [message()])
    lock = token(await take_one(broker))
    await settle(broker, before, lock)
    with pytest.raises(MessageLockLost):
        await settle(broker, how, lock)


@pytest.mark.parametrize("how", HOW)
async def test_a_lock_that_has_ended_settles_nothing(bench: Bench, how: str) -> None:
    broker = await bench.open()
    await broker.send("q", [message()])
    lock = token(await take_one(broker))
    bench.advance(minutes=1)
    with pytest.raises(MessageLockLost):
        await settle(broker, how, lock)
    assert (await take_one(broker)).delivery_count == 1


async def test_a_token_is_good_for_its_own_entity_only(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message()])
    lock = token(await take_one(broker))
    with pytest.raises(MessageLockLost):
        await broker.complete(DEAD, lock)
    await broker.complete("q", lock)


# -- renewal --------------------------------------------------------------------------------------------------------


async def test_a_renewed_lock_lasts_a_whole_duration_from_now(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message()])
    lock = token(await take_one(broker))
    for _ in range(5):
        bench.advance(seconds=59)
        assert await broker.renew_lock("q", [lock]) == [bench.clock.now() + timedelta(minutes=1)]
    await broker.complete("q", lock)


async def test_locks_are_renewed_all_or_none(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message()])
    lock = token(await take_one(broker))
    bench.advance(seconds=30)
    with pytest.raises(MessageLockLost):
        await broker.renew_lock("q", [lock, uuid4()])
    bench.advance(seconds=30)
    with pytest.raises(MessageLockLost):
        await broker.complete("q", lock)


# -- deferring ------------------------------------------------------------------------------------------------------


async def test_a_deferred_message_is_got_by_its_number_only(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message("a"), message("b")])
    await broker.defer("q", token(await take_one(broker)), {"why": "later"})
    assert bodies(await take(broker, count=5)) == ["b"]
    (deferred,) = await broker.receive_deferred("q", [1], LOCK)
    assert (deferred.state, deferred.delivery_count) == (MessageState.DEFERRED, 1)
    assert deferred.message.properties == {"why": "later"}
    await broker.complete("q", token(deferred))
    with pytest.raises(MessageNotFound):
        await broker.receive_deferred("q", [1], LOCK)


async def test_deferred_messages_are_got_all_or_none(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message("a"), message("b")])
    await broker.defer("q", token(await take_one(broker)))
    for numbers in ([1, 2], [1, 99], [-1], [2**70]):
        with pytest.raises(MessageNotFound, match=r"^q has no deferred message"):
            await broker.receive_deferred("q", numbers, LOCK)
    assert bodies(await broker.receive_deferred("q", [1, 1], LOCK)) == ["a"]


@pytest.mark.parametrize("end", ["abandon", "expire"])
async def test_a_deferred_message_stays_deferred_when_its_lock_ends(bench: Bench, end: str) -> None:
    broker = await bench.open()
    await broker.send("q", [message()])
    await broker.defer("q", token(await take_one(broker)))
    (deferred,) = await broker.receive_deferred("q", [1], LOCK)
    with pytest.raises(MessageNotFound):
        await broker.receive_deferred("q", [1], LOCK)
    if end == "abandon":
        await broker.abandon("q", token(deferred))
    else:
        bench.advance(minutes=1)
    assert await take(broker) == []
    (again,) = await broker.receive_deferred("q", [1], LOCK)
    assert again.delivery_count == 2


async def test_a_deferred_message_can_be_deferred_again_or_deleted(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message()])
    await broker.defer("q", token(await take_one(broker)))
    (deferred,) = await broker.receive_deferred("q", [1], LOCK)
    await broker.defer("q", token(deferred))
    assert bodies(await broker.receive_deferred("q", [1], DELETE)) == ["m"]
    assert await shown(broker) == []


async def test_asking_for_no_deferred_messages_gets_none(bench: Bench) -> None:
    broker = await bench.open()
    assert await broker.receive_deferred("q", [], LOCK) == []


# -- dead letters ---------------------------------------------------------------------------------------------------


async def test_a_dead_letter_tells_why_and_from_where(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [FULL, FULL])
    first, second = await take(broker, count=2)
    await broker.dead_letter("q", token(second), reason="bad", description="very bad", properties={"c": 3})
    await broker.dead_letter("q", token(first))
    told, untold = await take(broker, DEAD, count=2)
    assert (told.dead_letter_source, told.dead_letter_reason, told.dead_letter_description) == ("q", "bad", "very bad")
    assert (untold.dead_letter_source, untold.dead_letter_reason, untold.dead_letter_description) == ("q", None, None)
    assert told.message.properties == {**FULL.properties, "c": 3}
    assert untold.message == FULL
    assert (told.sequence_number, told.enqueued_sequence_number) == (1, 2)


async def test_a_dead_letter_is_received_and_completed_like_any_message(bench: Bench) -> None:
    broker = await bench.queue(max_delivery_count=1)
    await broker.send("q", [message()])
    await broker.abandon("q", token(await take_one(broker)))
    for earlier in range(1, 6):
        dead = await take_one(broker, DEAD)
        assert dead.delivery_count == earlier
        await broker.abandon(DEAD, token(dead))
    await broker.complete(DEAD, token(await take_one(broker, DEAD)))
    assert await shown(broker, DEAD) == []


async def test_a_dead_letter_is_not_dead_lettered_again(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message()])
    await broker.dead_letter("q", token(await take_one(broker)))
    dead = await take_one(broker, DEAD)
    with pytest.raises(InvalidOperation, match=r"q/.deadletterqueue is a dead-letter queue"):
        await broker.dead_letter(DEAD, token(dead))
    await broker.complete(DEAD, token(dead))


async def test_nothing_can_be_sent_to_a_dead_letter_queue(bench: Bench) -> None:
    broker = await bench.open()
    with pytest.raises(InvalidOperation, match="queues and topics only"):
        await broker.send(DEAD, [message()])


async def test_a_dead_letter_can_be_deferred(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message()])
    await broker.dead_letter("q", token(await take_one(broker)))
    await broker.defer(DEAD, token(await take_one(broker, DEAD)))
    assert len(await broker.receive_deferred(DEAD, [1], LOCK)) == 1


# -- peeking --------------------------------------------------------------------------------------------------------


async def test_peeking_shows_everything_in_order_and_takes_nothing(bench: Bench) -> None:
    broker = await bench.open()
    later = bench.clock.now() + timedelta(hours=1)
    await broker.send("q", [message("a"), message("b"), message("c", scheduled_enqueue_time=later), message("d")])
    first, _ = await take(broker, count=2)
    await broker.defer("q", token(first))
    seen = await shown(broker)
    assert bodies(seen) == ["a", "b", "c", "d"]
    active, deferred, scheduled = MessageState.ACTIVE, MessageState.DEFERRED, MessageState.SCHEDULED
    assert [one.state for one in seen] == [deferred, active, scheduled, active]
    assert [one.delivery_count for one in seen] == [1, 1, 0, 0]
    assert all(one.lock_token is None and one.locked_until is None for one in seen)
    assert await shown(broker) == seen


async def test_peeking_goes_on_from_a_number(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message(str(number)) for number in range(1, 7)])
    got = await broker.peek("q", from_sequence_number=3, max_messages=2)
    assert bodies(got) == ["3", "4"]
    for start, expected in ((-7, ["1"]), (6, ["6"]), (7, []), (2**70, [])):
        assert bodies(await broker.peek("q", from_sequence_number=start, max_messages=1)) == expected


async def test_an_answer_is_bounded_in_bytes_however_many_messages_were_asked_for(bench: Bench) -> None:
    broker = await bench.open()
    for _ in range(10):
        await broker.send("q", [message("x" * 256 * 1024) for _ in range(5)])
    assert len(await shown(broker)) == 32
    assert len(await take(broker, count=10_000)) == 32
    assert len(await take(broker, count=10_000)) == 18


# -- unknown entities -----------------------------------------------------------------------------------------------


async def test_an_unknown_entity_is_named(bench: Bench) -> None:
    broker = await bench.open()
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: broker.send("x", [message()]),
        lambda: broker.receive_now("x", max_messages=1, mode=LOCK),
        lambda: broker.peek("x/$deadletterqueue", from_sequence_number=0, max_messages=1),
        lambda: broker.complete("q/subscriptions/s", uuid4()),
        lambda: broker.cancel_scheduled("", [1]),
    ]
    for call in calls:
        with pytest.raises(EntityNotFound, match="there is no entity"):
            await call()
    with pytest.raises(EntityNotFound):
        broker.require("q/$deadletterqueue/$deadletterqueue")
    broker.require("q/$deadletterqueue")
