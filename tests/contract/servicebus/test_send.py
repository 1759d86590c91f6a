"""Sending: what was acknowledged is in the entity, whole; what was refused left nothing behind."""

from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusMessageState
from azure.servicebus.exceptions import MessageSizeExceededError, MessagingEntityNotFoundError, ServiceBusError

from tests.support.service_bus import (
    Bus,
    LocalNamespace,
    Namespace,
    body,
    nothing_comes,
    receive_one,
    take,
    take_one,
    with_both_clients,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")


@with_both_clients
async def test_a_message_that_was_acknowledged_is_received_with_its_body_and_system_properties(
    namespace: Namespace, bus: Bus
) -> None:
    before = datetime.now(UTC) - timedelta(minutes=5)
    async with bus.lane() as lane:
        await lane.sender.send_messages(ServiceBusMessage(b"hello", message_id="m-1"))
        message = await receive_one(lane.receiver)
        assert body(message) == b"hello"
        assert message.message_id == "m-1"
        assert message.delivery_count == 0
        assert isinstance(message.sequence_number, int)
        assert message.enqueued_sequence_number == message.sequence_number
        assert before < message.enqueued_time_utc < message.locked_until_utc
        assert message.lock_token is not None
        assert message.state is ServiceBusMessageState.ACTIVE
        await lane.receiver.complete_message(message)


@with_both_clients
async def test_messages_arrive_in_the_order_they_were_sent(namespace: Namespace, bus: Bus) -> None:
    async with bus.lane() as lane:
        for number in range(10):
            await lane.sender.send_messages(ServiceBusMessage(str(number)))
        assert [str(message) for message in await take(lane, 10)] == [str(number) for number in range(10)]


@with_both_clients
async def test_a_batch_is_split_into_its_messages(namespace: Namespace, bus: Bus) -> None:
    async with bus.lane() as lane:
        batch = await lane.sender.create_message_batch()
        for number in range(100):
            batch.add_message(ServiceBusMessage(f"{number}" * 10, message_id=f"id-{number}", subject="s"))
        await lane.sender.send_messages(batch)
        found = await take(lane, 100)
    assert [message.message_id for message in found] == [f"id-{number}" for number in range(100)]
    assert {message.subject for message in found} == {"s"}


@with_both_clients
async def test_a_batch_of_one_is_a_message_like_any_other(namespace: Namespace, bus: Bus) -> None:
    async with bus.lane() as lane:
        await lane.sender.send_messages([ServiceBusMessage("alone", application_properties={"a": 1})])
        message = await take_one(lane)
    assert (str(message), message.application_properties) == ("alone", {b"a": 1})


@with_both_clients
async def test_a_batch_with_one_message_that_is_refused_leaves_none_behind(namespace: Namespace, bus: Bus) -> None:
    queue = await namespace.queue(requires_session=True)
    async with bus.open(bus.sender(queue), bus.receiver(queue, session_id="s")) as (sender, receiver):
        with pytest.raises(ServiceBusError, match="session"):
            await sender.send_messages([ServiceBusMessage("a", session_id="s"), ServiceBusMessage("b")])
        await sender.send_messages(ServiceBusMessage("c", session_id="s"))
        assert [str(message) for message in await receiver.peek_messages(10)] == ["c"]


@with_both_clients
async def test_a_sender_whose_message_was_refused_can_send_the_next(namespace: Namespace, bus: Bus) -> None:
    async with bus.lane() as lane:
        with pytest.raises(MessageSizeExceededError):
            await lane.sender.send_messages(ServiceBusMessage(b"x" * 300_000))
        await lane.sender.send_messages(ServiceBusMessage("small"))
        assert str(await take_one(lane)) == "small"
        assert await nothing_comes(lane)


@with_both_clients
async def test_a_message_of_nearly_256_kilobytes_is_accepted(namespace: Namespace, bus: Bus) -> None:
    content = b"x" * (255 * 1024)
    async with bus.lane() as lane:
        await lane.sender.send_messages(ServiceBusMessage(content))
        assert body(await take_one(lane)) == content


@with_both_clients
async def test_a_client_learns_the_largest_batch_when_it_attaches(namespace: Namespace, bus: Bus) -> None:
    async with bus.lane() as lane:
        batch = await lane.sender.create_message_batch()
        assert batch.max_size_in_bytes == 256 * 1024


@with_both_clients
async def test_sending_to_an_entity_that_is_not_there_says_so(namespace: Namespace, bus: Bus) -> None:
    with pytest.raises(MessagingEntityNotFoundError):
        async with bus.open(bus.sender("no-such-queue")):
            pass


@with_both_clients
async def test_nothing_can_be_sent_to_a_dead_letter_queue(namespace: Namespace, bus: Bus) -> None:
    queue = await namespace.queue()
    with pytest.raises(ServiceBusError):
        async with bus.open(bus.sender(f"{queue}/$deadletterqueue")) as sender:
            await sender.send_messages(ServiceBusMessage("x"))


async def test_a_scheduled_message_is_not_received_before_its_time(local: LocalNamespace, bus: Bus) -> None:
    async with bus.lane() as lane:
        due = local.clock.now() + timedelta(minutes=5)
        (number,) = await lane.sender.schedule_messages(ServiceBusMessage("later"), due)
        assert await nothing_comes(lane)
        (peeked,) = await lane.receiver.peek_messages(1)
        assert (peeked.sequence_number, peeked.state) == (number, ServiceBusMessageState.SCHEDULED)
        assert abs(peeked.scheduled_enqueue_time_utc - due) < timedelta(milliseconds=1)
        local.advance(minutes=5)
        message = await take_one(lane)
        assert (str(message), message.state) == ("later", ServiceBusMessageState.ACTIVE)


async def test_a_message_sent_with_an_enqueue_time_waits_for_it(local: LocalNamespace, bus: Bus) -> None:
    due = local.clock.now() + timedelta(seconds=30)
    async with bus.lane() as lane:
        await lane.sender.send_messages(ServiceBusMessage("later", scheduled_enqueue_time_utc=due))
        assert await nothing_comes(lane)
        local.advance(seconds=31)
        assert str(await take_one(lane)) == "later"


@with_both_clients
async def test_a_scheduled_message_that_is_cancelled_never_comes(namespace: Namespace, bus: Bus) -> None:
    due = datetime.now(UTC) + timedelta(hours=1)
    async with bus.lane() as lane:
        numbers = await lane.sender.schedule_messages([ServiceBusMessage("a"), ServiceBusMessage("b")], due)
        assert len(set(numbers)) == 2
        await lane.sender.cancel_scheduled_messages(numbers[0])
        assert [str(message) for message in await lane.receiver.peek_messages(10)] == ["b"]
        await lane.sender.cancel_scheduled_messages(numbers[1])
        assert await lane.receiver.peek_messages(10) == []


@with_both_clients
async def test_cancelling_what_is_not_scheduled_is_an_error(namespace: Namespace, bus: Bus) -> None:
    async with bus.lane() as lane:
        with pytest.raises(ServiceBusError, match="message-not-found"):
            await lane.sender.cancel_scheduled_messages(12345)


@with_both_clients
async def test_the_same_message_id_within_the_window_is_stored_once(namespace: Namespace, bus: Bus) -> None:
    async with bus.lane(requires_duplicate_detection=True) as lane:
        await lane.sender.send_messages(ServiceBusMessage("first", message_id="same"))
        await lane.sender.send_messages(ServiceBusMessage("again", message_id="same"))
        await lane.sender.send_messages([ServiceBusMessage("again", message_id="same"), ServiceBusMessage("other")])
        assert [str(message) for message in await take(lane, 2)] == ["first", "other"]


async def test_after_the_window_the_same_message_id_is_a_new_message(local: LocalNamespace, bus: Bus) -> None:
    async with bus.lane(
        requires_duplicate_detection=True, duplicate_detection_history_time_window=timedelta(minutes=1)
    ) as lane:
        await lane.sender.send_messages(ServiceBusMessage("first", message_id="same"))
        local.advance(minutes=2)
        await lane.sender.send_messages(ServiceBusMessage("second", message_id="same"))
        assert [str(message) for message in await take(lane, 2)] == ["first", "second"]


async def test_an_expired_message_is_gone(local: LocalNamespace, bus: Bus) -> None:
    async with bus.lane() as lane:
        await lane.sender.send_messages(ServiceBusMessage("short", time_to_live=timedelta(seconds=10)))
        await lane.sender.send_messages(ServiceBusMessage("long", time_to_live=timedelta(seconds=100)))
        local.advance(seconds=11)
        assert str(await take_one(lane)) == "long"
        assert await nothing_comes(lane)


async def test_an_expired_message_is_dead_lettered_where_the_entity_says_so(local: LocalNamespace, bus: Bus) -> None:
    async with bus.lane(dead_lettering_on_message_expiration=True) as lane:
        await lane.sender.send_messages(ServiceBusMessage("short", time_to_live=timedelta(seconds=10)))
        local.advance(seconds=11)
        async with bus.open(bus.receiver(lane.queue, sub_queue="deadletter")) as dead:
            message = await receive_one(dead)
        assert (str(message), message.dead_letter_reason) == ("short", "TTLExpiredException")


@with_both_clients
async def test_the_entity_s_time_to_live_caps_the_message_s(namespace: Namespace, bus: Bus) -> None:
    async with bus.lane(default_message_time_to_live=timedelta(minutes=10)) as lane:
        await lane.sender.send_messages(ServiceBusMessage("long", time_to_live=timedelta(hours=1)))
        message = await take_one(lane)
        assert message.time_to_live == timedelta(minutes=10)
        assert message.expires_at_utc == message.enqueued_time_utc + timedelta(minutes=10)
