"""Locks settled twice, by the wrong token, too late, or never: the right error, and no message lost or taken twice."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from devhost.amqp.values import Array
from devhost.broker.errors import SessionCannotBeLocked
from devhost.broker.model import ReceiveMode
from tests.support.amqp_ground import Ground
from tests.support.amqp_wire import (
    Code,
    Heard,
    Wire,
    accepted,
    attach_receiver,
    attach_sender,
    composite,
    disposition,
    flow,
    performative,
    rejected,
    request,
    transfer,
)
from tests.support.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOST = "com.microsoft:message-lock-lost"
SETTLE = "com.microsoft:update-disposition"
#: The `modified` outcome, by which a client gives a message back.
_MODIFIED = 0x27


async def consumer(ground: Ground, queue: str, credit: int) -> tuple[Wire, list[Heard]]:
    """A raw receiver that holds `credit` messages of a queue, and the frames they came in."""
    wire = await ground.open(attach_receiver(queue), flow(credit=credit))
    return wire, [await wire.hear(Code.TRANSFER) for _ in range(credit)]


def token_of(delivery: Heard) -> UUID:
    tag = delivery.field(2)
    assert isinstance(tag, bytes)
    return UUID(bytes_le=tag)


async def is_free(ground: Ground, queue: str, session: str) -> bool:
    """Whether a session can be accepted."""
    try:
        await ground.broker.release_session(await ground.broker.accept_session(queue, session))
    except SessionCannotBeLocked:
        return False
    return True


async def complete_by_request(wire: Wire, queue: str, token: UUID) -> None:
    """Settle by `$management`, on links of their own, and wait for the answer."""
    node = f"{queue}/$management"
    await wire.say(
        attach_receiver(node, handle=8, name="answers", to="replies"),
        flow(handle=8, credit=10),
        attach_sender(node, handle=9, name="requests"),
        transfer(request(SETTLE, {"disposition-status": "completed", "lock-tokens": Array("uuid", [token])}), handle=9),
    )
    await wire.hear(Code.TRANSFER)


async def test_settling_a_second_time_in_other_words_changes_nothing(ground: Ground) -> None:
    queue = await ground.namespace.queue()
    await ground.fill(queue, 1, 10)
    wire, _ = await consumer(ground, queue, 1)
    await wire.say(disposition(0, accepted()))
    assert (await wire.hear(Code.DISPOSITION)).outcome() == "accepted"
    await wire.say(disposition(0, rejected("later")), disposition(0, composite(_MODIFIED)), performative(Code.CLOSE))
    await wire.hear(Code.CLOSE)
    assert ground.broker.counts(queue).total == 0
    assert ground.broker.counts(f"{queue}/$deadletterqueue").total == 0


async def test_settling_on_the_link_what_a_request_has_settled_is_answered_with_a_lost_lock(ground: Ground) -> None:
    queue = await ground.namespace.queue()
    await ground.fill(queue, 1, 10)
    wire, (delivery,) = await consumer(ground, queue, 1)
    await complete_by_request(wire, queue, token_of(delivery))
    assert ground.broker.counts(queue).total == 0
    await wire.say(disposition(0, accepted()))
    assert (await wire.hear(Code.DISPOSITION)).field(1) == 0
    assert "knows no lock" in await ground.line()


async def test_settling_after_the_lock_has_expired_is_answered_with_a_lost_lock_and_the_message_comes_back(
    ground: Ground,
) -> None:
    queue = await ground.namespace.queue()
    await ground.fill(queue, 1, 10)
    wire, _ = await consumer(ground, queue, 1)
    ground.namespace.advance(seconds=61)
    await wire.say(disposition(0, accepted()))
    assert (await wire.hear(Code.DISPOSITION)).outcome() == LOST
    assert "knows no lock" in await ground.line()
    (again,) = await ground.broker.receive_now(queue, max_messages=10, mode=ReceiveMode.PEEK_LOCK)
    assert again.delivery_count == 1


async def test_settling_without_waiting_for_an_answer_after_the_lock_has_expired_is_logged(ground: Ground) -> None:
    queue = await ground.namespace.queue()
    await ground.fill(queue, 1, 10)
    wire, _ = await consumer(ground, queue, 1)
    ground.namespace.advance(seconds=61)
    await wire.say(disposition(0, accepted(), settled=True))
    assert "knows no lock" in await ground.line()
    assert ground.broker.counts(queue).total == 1


async def test_a_token_of_another_queue_settles_nothing(ground: Ground) -> None:
    mine, other = await ground.namespace.queue(), await ground.namespace.queue()
    await ground.fill(mine, 1, 10)
    await ground.fill(other, 1, 10)
    wire, (delivery,) = await consumer(ground, mine, 1)
    await complete_by_request(wire, other, token_of(delivery))
    assert "knows no lock" in await ground.line()
    assert (ground.broker.counts(mine).locked, ground.broker.counts(other).total) == (1, 1)


async def test_a_made_up_token_settles_nothing(ground: Ground) -> None:
    queue = await ground.namespace.queue()
    await ground.fill(queue, 1, 10)
    wire, _ = await consumer(ground, queue, 1)
    await complete_by_request(wire, queue, uuid4())
    assert "knows no lock" in await ground.line()
    assert ground.broker.counts(queue).locked == 1


async def test_a_range_of_settlements_that_ends_before_it_begins_closes_the_connection_and_settles_nothing(
    ground: Ground,
) -> None:
    queue = await ground.namespace.queue()
    await ground.fill(queue, 2, 10)
    wire, _ = await consumer(ground, queue, 2)
    await wire.say(disposition(0, accepted(), last=2**32 - 1))
    await wire.hear(Code.CLOSE)
    assert "illegal delivery range" in await ground.line()
    assert ground.broker.counts(queue).locked == 2


async def test_a_dead_lettering_with_properties_of_no_simple_type_is_refused_and_the_lock_holds(
    ground: Ground,
) -> None:
    queue = await ground.namespace.queue()
    await ground.fill(queue, 1, 10)
    wire, _ = await consumer(ground, queue, 1)
    await wire.say(disposition(0, rejected("com.microsoft:dead-letter", {"p": ["a", "list"]})))
    assert (await wire.hear(Code.DISPOSITION)).outcome() == "amqp:decode-error"
    assert "not settled" in await ground.line()
    assert ground.broker.counts(queue).locked == 1


async def test_the_messages_of_a_client_that_vanishes_stay_locked_and_come_back_when_the_locks_expire(
    ground: Ground,
) -> None:
    queue = await ground.namespace.queue(lock_duration=timedelta(seconds=30))
    await ground.fill(queue, 3, 10)
    wire, _ = await consumer(ground, queue, 3)
    wire.vanish()
    assert "ended" in await ground.line()
    ground.namespace.advance(seconds=29)
    assert await ground.broker.receive_now(queue, max_messages=10, mode=ReceiveMode.PEEK_LOCK) == []
    ground.namespace.advance(seconds=2)
    back = await ground.broker.receive_now(queue, max_messages=10, mode=ReceiveMode.PEEK_LOCK)
    assert [delivery.delivery_count for delivery in back] == [1, 1, 1]


async def test_the_session_of_a_client_that_vanishes_is_free_again(ground: Ground) -> None:
    queue = await ground.namespace.queue(requires_session=True)
    wire = await ground.open(attach_receiver(queue, session="s"))
    await wire.hear(Code.ATTACH)
    assert not await is_free(ground, queue, "s")
    wire.vanish()
    assert "ended" in await ground.line()
    await eventually(lambda: is_free(ground, queue, "s"))
