"""What a message bus guarantees: it has the messages when it returns, or says which kind of failure kept it from it."""

import asyncio
import uuid
from datetime import timedelta

import pytest

from shared.errors import InvalidMessage, MessageTooLarge, NotFound
from shared.messaging.bus import OutgoingMessage
from shared.names import MAX_MESSAGE_ID
from tests.contract.bus.conftest import DIM, LIT, OTHER, QUEUE, START, TOPIC, Bus

pytestmark = pytest.mark.asyncio(loop_scope="module")


def a_message(body: bytes = b"{}", **changes: object) -> OutgoingMessage:
    """A message under an id that no other bears."""
    fields: dict[str, object] = {"message_id": uuid.uuid4().hex, **changes}
    return OutgoingMessage(body=body, **fields)  # type: ignore[arg-type]


async def test_what_is_sent_is_on_the_queue_when_the_call_returns(bus: Bus) -> None:
    message = a_message(
        "Grüße 世界".encode(), correlation_id="run-1", traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    )
    await bus.bus.send(QUEUE, [message])
    assert list(await bus.taken(QUEUE)) == [message]


@pytest.mark.parametrize("body", [b"", b"x", bytes(range(256)), b"x" * 200_000])
async def test_bytes_of_every_kind_arrive_unchanged(bus: Bus, body: bytes) -> None:
    await bus.bus.send(QUEUE, [a_message(body)])
    assert [message.body for message in await bus.taken(QUEUE)] == [body]


async def test_messages_sent_together_arrive_in_order(bus: Bus) -> None:
    messages = [a_message(b"%d" % number) for number in range(100)]
    await bus.bus.send(QUEUE, messages)
    assert list(await bus.taken(QUEUE)) == messages


async def test_more_than_one_batch_can_hold_is_sent_in_several(bus: Bus) -> None:
    messages = [a_message(b"x" * 60_000) for _ in range(40)]
    await bus.bus.send(QUEUE, messages)
    assert [message.message_id for message in await bus.taken(QUEUE)] == [message.message_id for message in messages]


async def test_each_queue_gets_its_own(bus: Bus) -> None:
    here, there = a_message(), a_message()
    await bus.bus.send(QUEUE, [here])
    await bus.bus.send(OTHER, [there])
    assert list(await bus.taken(QUEUE)) == [here]
    assert list(await bus.taken(OTHER)) == [there]


async def test_a_message_sent_again_under_the_same_id_is_there_once(bus: Bus) -> None:
    message = a_message()
    await bus.bus.send(QUEUE, [message])
    await bus.bus.send(QUEUE, [message])
    await bus.bus.send(QUEUE, [message, message])
    assert len(await bus.taken(QUEUE)) == 1


async def test_the_same_id_on_two_queues_is_two_messages(bus: Bus) -> None:
    message = a_message()
    for queue in (QUEUE, OTHER):
        await bus.bus.send(queue, [message])
        assert list(await bus.taken(queue)) == [message]


async def test_a_message_with_a_time_is_held_until_then(bus: Bus) -> None:
    due = START + timedelta(days=365, milliseconds=250)
    message = a_message(enqueue_at=due)
    await bus.bus.send(QUEUE, [message, a_message()])
    held = [found for found in await bus.taken(QUEUE) if found.message_id == message.message_id]
    assert [found.enqueue_at for found in held] in ([due], []), "either it is shown with its time, or not shown yet"


async def test_nothing_to_send_is_done_at_once(bus: Bus) -> None:
    await bus.bus.send(QUEUE, [])
    assert list(await bus.taken(QUEUE)) == []


@pytest.mark.parametrize("size", [262_145, 2_000_000])
async def test_a_message_over_the_limit_is_refused_for_good(bus: Bus, size: int) -> None:
    with pytest.raises(MessageTooLarge):
        await bus.bus.send(QUEUE, [a_message(b"x" * size)])
    assert list(await bus.taken(QUEUE)) == []


async def test_after_a_refusal_the_bus_goes_on(bus: Bus) -> None:
    with pytest.raises(MessageTooLarge):
        await bus.bus.send(QUEUE, [a_message(), a_message(b"x" * 300_000)])
    await bus.taken(QUEUE)
    message = a_message()
    await bus.bus.send(QUEUE, [message])
    assert list(await bus.taken(QUEUE)) == [message]


async def test_a_queue_that_does_not_exist_is_not_found_by_name(bus: Bus) -> None:
    with pytest.raises(NotFound, match="ghost-tasks"):
        await bus.bus.send("ghost-tasks", [a_message()])


async def test_many_that_send_at_once_all_succeed(bus: Bus) -> None:
    messages = [a_message(b"%d" % number) for number in range(40)]
    await asyncio.gather(*(bus.bus.send(QUEUE, [message]) for message in messages))
    found = await bus.taken(QUEUE)
    assert sorted(message.message_id for message in found) == sorted(message.message_id for message in messages)


@pytest.mark.parametrize("message_id", ["", "x" * (MAX_MESSAGE_ID + 1)])
async def test_an_id_that_the_service_would_not_take_is_refused_before_anything_is_sent(message_id: str) -> None:
    with pytest.raises(InvalidMessage, match="message id"):
        a_message(message_id=message_id)


async def test_an_id_of_the_greatest_length_is_taken(bus: Bus) -> None:
    message = a_message(message_id=uuid.uuid4().hex.ljust(MAX_MESSAGE_ID, "x"))
    await bus.bus.send(QUEUE, [message])
    assert list(await bus.taken(QUEUE)) == [message]


# -- topics -----------------------------------------------------------------------------------------------------


async def test_a_subscription_gets_what_it_chooses_and_nothing_else(bus: Bus) -> None:
    lit = a_message(b"lit", label="Lit", to="agents", content_type="application/cloudevents+json")
    unlabelled, elsewhere = a_message(b"unlabelled", to="agents"), a_message(b"elsewhere", label="Lit", to="people")
    nobodys = a_message(b"nobody's")
    await bus.bus.publish(TOPIC, [lit, unlabelled, elsewhere, nobodys])
    assert list(await bus.taken(LIT)) == [lit]
    assert list(await bus.taken(DIM)) == [elsewhere, nobodys]


async def test_what_is_published_again_under_the_same_id_is_there_once(bus: Bus) -> None:
    message = a_message(label="Lit", to="agents")
    await bus.bus.publish(TOPIC, [message])
    await bus.bus.publish(TOPIC, [message, message])
    assert list(await bus.taken(LIT)) == [message]


async def test_a_topic_that_does_not_exist_is_not_found_by_name(bus: Bus) -> None:
    with pytest.raises(NotFound, match="ghosts"):
        await bus.bus.publish("ghosts", [a_message()])


async def test_an_event_over_the_limit_is_refused_for_good(bus: Bus) -> None:
    with pytest.raises(MessageTooLarge):
        await bus.bus.publish(TOPIC, [a_message(b"x" * 262_145, label="Lit", to="agents")])
    assert list(await bus.taken(LIT)) == []
