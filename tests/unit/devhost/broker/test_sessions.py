"""Sessions: one holder at a time, in order, with a state that outlives everything."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from devhost.broker.broker import Broker
from devhost.broker.errors import (
    ArgumentError,
    InvalidOperation,
    MessageLockLost,
    MessageNotFound,
    SessionCannotBeLocked,
    SessionLockLost,
)
from devhost.broker.model import SessionLock
from devhost.broker.topology import QueueOptions, SubscriptionOptions, TopicOptions, Topology
from tests.support.brokers import DEAD, DELETE, LOCK, Bench, bodies, message, shown, take, take_one, token


async def talking(bench: Bench, **options: Any) -> Broker:
    return await bench.open(Topology((QueueOptions("q", requires_session=True, **options),)))


async def say(broker: Broker, *said: str) -> None:
    """`a1` is the message 1 of session a."""
    await broker.send("q", [message(text, session_id=text[0]) for text in said])


async def turns(count: int = 6) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


# -- holding --------------------------------------------------------------------------------------------------------


async def test_a_session_gives_its_own_messages_in_order(bench: Bench) -> None:
    broker = await talking(bench)
    await say(broker, "a1", "b1", "a2", "b2", "a3")
    session = await broker.accept_session("q", "a")
    assert (session.entity, session.session_id) == ("q", "a")
    assert session.locked_until == bench.clock.now() + timedelta(minutes=1)
    got = await take(broker, count=2, session=session) + await take(broker, count=5, session=session)
    assert bodies(got) == ["a1", "a2", "a3"]
    assert {one.locked_until for one in got} == {session.locked_until}
    for one in got:
        await broker.complete("q", token(one), session=session)
    assert bodies(await shown(broker)) == ["b1", "b2"]


async def test_a_session_has_one_holder(bench: Bench) -> None:
    broker = await talking(bench)
    await broker.accept_session("q", "a")
    with pytest.raises(SessionCannotBeLocked, match="session 'a' of q is held by another consumer"):
        await broker.accept_session("q", "a")
    await broker.accept_session("q", "b")


async def test_a_session_without_messages_can_be_accepted_by_name(bench: Bench) -> None:
    broker = await talking(bench)
    session = await broker.accept_session("q", "a")
    receiver = asyncio.create_task(broker.receive("q", max_messages=5, mode=LOCK, session=session))
    await turns()
    await say(broker, "b1", "a1")
    assert bodies(await receiver) == ["a1"]


async def test_the_next_session_is_the_one_that_has_been_waiting_longest(bench: Bench) -> None:
    broker = await talking(bench)
    await say(broker, "b1", "a1", "c1")
    names = [(await broker.accept_session("q", None)).session_id for _ in range(3)]
    assert names == ["b", "a", "c"]


async def test_who_asks_for_the_next_session_waits_for_one(bench: Bench) -> None:
    broker = await talking(bench)
    first, second = (asyncio.create_task(broker.accept_session("q", None)) for _ in range(2))
    await turns()
    assert not first.done()
    await say(broker, "x1", "x2")
    assert (await first).session_id == "x"
    await turns()
    assert not second.done()
    await say(broker, "y1")
    assert (await second).session_id == "y"


async def test_a_session_whose_messages_are_all_locked_deferred_or_gone_is_not_next(bench: Bench) -> None:
    broker = await talking(bench)
    await say(broker, "a1")
    session = await broker.accept_session("q", None)
    await broker.defer("q", token(await take_one(broker, session=session)))
    await broker.release_session(session)
    await say(broker, "b1")
    assert (await broker.accept_session("q", None)).session_id == "b"


async def test_a_session_whose_only_message_has_expired_is_not_next(bench: Bench) -> None:
    broker = await talking(bench)
    await broker.send("q", [message("a1", session_id="a", time_to_live=timedelta(seconds=5))])
    await say(broker, "b1")
    bench.advance(seconds=5)
    assert (await broker.accept_session("q", None)).session_id == "b"


async def test_a_renewed_session_keeps_its_locks(bench: Bench) -> None:
    broker = await talking(bench)
    await say(broker, "a1")
    session = await broker.accept_session("q", "a")
    taken = await take_one(broker, session=session)
    for _ in range(3):
        bench.advance(seconds=59)
        session = await broker.renew_session(session)
        assert session.locked_until == bench.clock.now() + timedelta(minutes=1)
    await broker.complete("q", token(taken), session=session)


async def test_a_message_lock_in_a_session_is_not_renewed_by_itself(bench: Bench) -> None:
    broker = await talking(bench)
    await say(broker, "a1")
    session = await broker.accept_session("q", "a")
    taken = await take_one(broker, session=session)
    with pytest.raises(InvalidOperation, match="the session's lock is renewed"):
        await broker.renew_lock("q", [token(taken)])


# -- letting go -----------------------------------------------------------------------------------------------------


async def test_a_released_session_gives_back_its_messages_and_does_not_count_the_delivery(bench: Bench) -> None:
    broker = await talking(bench, max_delivery_count=1)
    await say(broker, "a1", "a2")
    for _ in range(3):
        session = await broker.accept_session("q", None)
        got = await take(broker, count=2, session=session)
        assert [(one.message.content, one.delivery_count) for one in got] == [(b"a1", 0), (b"a2", 0)]
        await broker.release_session(session)
    await broker.close()
    assert [one.delivery_count for one in await shown(await bench.open())] == [0, 0]


async def test_a_session_lock_that_ends_counts_the_delivery(bench: Bench) -> None:
    broker = await talking(bench, max_delivery_count=2)
    await say(broker, "a1")
    for earlier in range(2):
        session = await broker.accept_session("q", "a")
        assert (await take_one(broker, session=session)).delivery_count == earlier
        bench.advance(minutes=1)
    assert await shown(broker) == []
    (dead,) = await shown(broker, DEAD)
    assert dead.dead_letter_reason == "MaxDeliveryCountExceeded"


async def test_an_abandoned_message_comes_back_first_in_its_session(bench: Bench) -> None:
    broker = await talking(bench)
    await say(broker, "a1", "a2")
    session = await broker.accept_session("q", "a")
    await broker.abandon("q", token(await take_one(broker, session=session)))
    got = await take(broker, count=2, session=session)
    assert [(one.message.content, one.delivery_count) for one in got] == [(b"a1", 1), (b"a2", 0)]


@pytest.mark.parametrize("end", ["release", "expire", "foreign"])
async def test_a_lost_session_can_do_nothing(bench: Bench, end: str) -> None:
    broker = await talking(bench)
    await say(broker, "a1", "a2")
    session = await broker.accept_session("q", "a")
    lock = token(await take_one(broker, session=session))
    if end == "release":
        await broker.release_session(session)
    elif end == "expire":
        bench.advance(minutes=1)
    else:
        session = SessionLock("q", "a", uuid4(), session.locked_until)
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: take(broker, session=session),
        lambda: broker.receive("q", max_messages=1, mode=LOCK, session=session),
        lambda: broker.receive_deferred("q", [1], LOCK, session),
        lambda: broker.complete("q", lock, session=session),
        lambda: broker.abandon("q", lock, session=session),
        lambda: broker.release("q", lock, session=session),
        lambda: broker.defer("q", lock, session=session),
        lambda: broker.dead_letter("q", lock, session=session),
        lambda: broker.renew_session(session),
        lambda: broker.release_session(session),
        lambda: broker.session_state(session),
        lambda: broker.set_session_state(session, b"x"),
    ]
    for call in calls:
        with pytest.raises(SessionLockLost, match="session 'a' of q"):
            await call()
    assert len(await shown(broker)) == 2


async def test_the_locks_of_a_lost_session_are_lost(bench: Bench) -> None:
    broker = await talking(bench)
    await say(broker, "a1")
    session = await broker.accept_session("q", "a")
    lock = token(await take_one(broker, session=session))
    await broker.release_session(session)
    with pytest.raises(MessageLockLost):
        await broker.complete("q", lock)


@pytest.mark.parametrize("end", ["release", "expire"])
async def test_who_waits_in_a_session_hears_of_its_loss(bench: Bench, end: str) -> None:
    broker = await talking(bench)
    session = await broker.accept_session("q", "a")
    receiver = asyncio.create_task(broker.receive("q", max_messages=1, mode=LOCK, session=session))
    await turns()
    if end == "release":
        await broker.release_session(session)
    else:
        bench.advance(minutes=1)
    with pytest.raises(SessionLockLost):
        await asyncio.wait_for(receiver, 5)


async def test_who_waits_for_the_next_session_gets_the_one_whose_lock_ends(bench: Bench) -> None:
    broker = await talking(bench)
    await say(broker, "a1")
    await broker.accept_session("q", "a")
    accepting = asyncio.create_task(broker.accept_session("q", None))
    await turns()
    bench.advance(minutes=1)
    assert (await asyncio.wait_for(accepting, 5)).session_id == "a"


async def test_a_cancelled_accept_holds_nothing(bench: Bench) -> None:
    broker = await talking(bench)
    waiting = asyncio.create_task(broker.accept_session("q", None))
    served = asyncio.create_task(broker.accept_session("q", None))
    await turns()
    waiting.cancel()
    await asyncio.wait([waiting])
    send = asyncio.create_task(say(broker, "a1"))
    await asyncio.sleep(0)
    served.cancel()
    await asyncio.wait([served, send])
    assert served.cancelled()
    assert (await broker.accept_session("q", "a")).session_id == "a"


async def test_a_cancelled_receive_in_a_session_has_taken_nothing(bench: Bench) -> None:
    broker = await talking(bench)
    await say(broker, "a1", "a2")
    session = await broker.accept_session("q", "a")
    for mode in (LOCK, DELETE):
        receiver = asyncio.create_task(broker.receive("q", max_messages=2, mode=mode, session=session))
        await asyncio.sleep(0)
        receiver.cancel()
        await asyncio.wait([receiver])
    got = await take(broker, count=2, session=session)
    assert [(one.message.content, one.delivery_count) for one in got] == [(b"a1", 0), (b"a2", 0)]


# -- deferred, peeked, dead -----------------------------------------------------------------------------------------


async def test_a_deferred_message_is_got_in_its_own_session_only(bench: Bench) -> None:
    broker = await talking(bench)
    await say(broker, "a1", "b1")
    a, b = await broker.accept_session("q", "a"), await broker.accept_session("q", "b")
    await broker.defer("q", token(await take_one(broker, session=a)))
    with pytest.raises(MessageNotFound):
        await broker.receive_deferred("q", [1], LOCK, b)
    with pytest.raises(InvalidOperation):
        await broker.receive_deferred("q", [1], LOCK)
    assert bodies(await broker.receive_deferred("q", [1], LOCK, a)) == ["a1"]


async def test_peeking_may_look_at_one_session(bench: Bench) -> None:
    broker = await talking(bench)
    await say(broker, "a1", "b1", "a2")
    assert bodies(await broker.peek("q", from_sequence_number=0, max_messages=9, session_id="a")) == ["a1", "a2"]
    assert bodies(await broker.peek("q", from_sequence_number=2, max_messages=9, session_id="a")) == ["a2"]
    assert await broker.peek("q", from_sequence_number=0, max_messages=9, session_id="z") == []


async def test_dead_letters_of_sessions_are_received_without_one(bench: Bench) -> None:
    broker = await talking(bench)
    await say(broker, "a1")
    session = await broker.accept_session("q", "a")
    await broker.dead_letter("q", token(await take_one(broker, session=session)), session=session)
    assert not broker.requires_session(DEAD)
    dead = await take_one(broker, DEAD)
    assert dead.message.session_id == "a"
    await broker.complete(DEAD, token(dead))


async def test_a_scheduled_message_comes_due_in_its_session(bench: Bench) -> None:
    broker = await talking(bench)
    await broker.send(
        "q", [message("a1", session_id="a", scheduled_enqueue_time=bench.clock.now() + timedelta(hours=1))]
    )
    accepting = asyncio.create_task(broker.accept_session("q", None))
    await turns()
    bench.advance(hours=1)
    session = await asyncio.wait_for(accepting, 5)
    assert bodies(await take(broker, session=session)) == ["a1"]


# -- state ----------------------------------------------------------------------------------------------------------


async def test_state_outlives_the_lock_the_messages_and_the_broker(bench: Bench) -> None:
    broker = await talking(bench)
    session = await broker.accept_session("q", "a")
    assert await broker.session_state(session) is None
    await broker.set_session_state(session, b"\x00half done")
    await broker.release_session(session)
    await broker.close()
    broker = await bench.open()
    session = await broker.accept_session("q", "a")
    assert await broker.session_state(session) == b"\x00half done"
    await broker.set_session_state(session, None)
    assert await broker.session_state(session) is None


async def test_sessions_are_listed_by_name_when_they_have_messages_or_state(bench: Bench) -> None:
    broker = await talking(bench)
    await say(broker, "c1", "a1")
    session = await broker.accept_session("q", "b")
    await broker.set_session_state(session, b"x")
    assert await broker.sessions("q") == ["a", "b", "c"]
    before = bench.clock.now()
    assert await broker.sessions("q", state_updated_after=before - timedelta(seconds=1)) == ["b"]
    assert await broker.sessions("q", state_updated_after=before) == []


# -- refusals -------------------------------------------------------------------------------------------------------


async def test_sessions_are_neither_missing_nor_superfluous(bench: Bench) -> None:
    broker = await bench.open(Topology((QueueOptions("q", requires_session=True), QueueOptions("plain"))))
    with pytest.raises(InvalidOperation, match="q has sessions: a message without a session id"):
        await broker.send("q", [message()])
    with pytest.raises(InvalidOperation, match="q has sessions: a session must be accepted"):
        await take(broker)
    with pytest.raises(InvalidOperation, match="plain does not have sessions"):
        await broker.accept_session("plain", "a")
    session = await broker.accept_session("q", "a")
    with pytest.raises(InvalidOperation, match="plain does not have sessions"):
        await take(broker, "plain", session=session)
    with pytest.raises(InvalidOperation, match="plain does not have sessions"):
        await broker.sessions("plain")
    assert (broker.requires_session("q"), broker.requires_session("plain")) == (True, False)


async def test_a_session_id_is_only_a_field_where_there_are_no_sessions(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message(session_id="a")])
    assert (await take_one(broker)).message.session_id == "a"


@pytest.mark.parametrize("name", ["x" * 129, "\ud800"])
async def test_a_session_name_the_service_does_not_take_is_refused(bench: Bench, name: str) -> None:
    broker = await talking(bench)
    with pytest.raises(ArgumentError, match="session_id"):
        await broker.accept_session("q", name)


async def test_a_subscription_with_sessions_turns_a_message_without_one_into_a_dead_letter(bench: Bench) -> None:
    subscription = SubscriptionOptions("s", requires_session=True)
    broker = await bench.open(Topology(topics=(TopicOptions("t", subscriptions=(subscription,)),)))
    await broker.send("t", [message("a1", session_id="a"), message("none")])
    assert bodies(await shown(broker, "t/subscriptions/s")) == ["a1"]
    (dead,) = await shown(broker, "t/subscriptions/s/$deadletterqueue")
    assert dead.dead_letter_reason == "Session ID is null."
