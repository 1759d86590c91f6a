"""Receiving: peek-lock, what a client can decide about a message, and what happens when it decides nothing."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusMessageState, ServiceBusReceiveMode
from azure.servicebus.exceptions import MessageLockLostError, MessagingEntityNotFoundError, ServiceBusError

from tests.support.service_bus import (
    PATIENCE,
    Bus,
    LocalNamespace,
    Namespace,
    body,
    nothing_comes,
    receive,
    receive_one,
    take,
    take_one,
    with_both_clients,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")


@with_both_clients
async def test_a_locked_message_is_not_received_again(bus: Bus) -> None:
    async with bus.lane() as lane:
        await lane.sender.send_messages(ServiceBusMessage("a"))
        message = await receive_one(lane.receiver)
        assert await nothing_comes(lane)
        await lane.receiver.complete_message(message)


@with_both_clients
async def test_a_completed_message_is_gone(bus: Bus) -> None:
    async with bus.lane() as lane:
        await lane.sender.send_messages(ServiceBusMessage("a"))
        await take_one(lane)
        assert await lane.receiver.peek_messages(1) == []


@with_both_clients
async def test_an_abandoned_message_comes_again_with_its_delivery_counted(bus: Bus) -> None:
    async with bus.lane() as lane:
        await lane.sender.send_messages(ServiceBusMessage("a"))
        for count in range(3):
            message = await receive_one(lane.receiver)
            assert message.delivery_count == count
            await lane.receiver.abandon_message(message)
        await take_one(lane)


@with_both_clients
async def test_a_message_whose_deliveries_are_used_up_is_dead_lettered(bus: Bus) -> None:
    async with bus.lane(max_delivery_count=2) as lane:
        await lane.sender.send_messages(ServiceBusMessage("a"))
        for _ in range(2):
            await lane.receiver.abandon_message(await receive_one(lane.receiver))
        async with bus.open(bus.receiver(lane.queue, sub_queue="deadletter")) as dead:
            message = await receive_one(dead)
            assert message.dead_letter_reason == "MaxDeliveryCountExceeded"
            assert message.dead_letter_source is None or lane.queue.lower() in message.dead_letter_source.lower()
            await dead.complete_message(message)


@with_both_clients
async def test_a_deferred_message_comes_only_to_whom_asks_for_its_number(bus: Bus) -> None:
    async with bus.lane() as lane:
        await lane.sender.send_messages([ServiceBusMessage("aside"), ServiceBusMessage("next")])
        message = await receive_one(lane.receiver)
        await lane.receiver.defer_message(message)
        assert str(await take_one(lane)) == "next"
        (peeked,) = await lane.receiver.peek_messages(1, sequence_number=message.sequence_number)
        assert peeked.state is ServiceBusMessageState.DEFERRED
        (deferred,) = await lane.receiver.receive_deferred_messages(message.sequence_number)
        assert (str(deferred), deferred.state) == ("aside", ServiceBusMessageState.DEFERRED)
        await lane.receiver.complete_message(deferred)
        assert await lane.receiver.peek_messages(1, sequence_number=1) == []


@pytest.mark.parametrize("decision", ["abandon", "defer"])
@with_both_clients
async def test_a_deferred_message_stays_deferred_until_it_is_completed(bus: Bus, decision: str) -> None:
    async with bus.lane() as lane:
        await lane.sender.send_messages(ServiceBusMessage("aside"))
        message = await receive_one(lane.receiver)
        await lane.receiver.defer_message(message)
        (deferred,) = await lane.receiver.receive_deferred_messages([message.sequence_number])
        decide = lane.receiver.abandon_message if decision == "abandon" else lane.receiver.defer_message
        await decide(deferred)
        (again,) = await lane.receiver.receive_deferred_messages([message.sequence_number])
        await lane.receiver.complete_message(again)


@with_both_clients
async def test_a_deferred_message_can_be_dead_lettered(bus: Bus) -> None:
    async with bus.lane() as lane:
        await lane.sender.send_messages(ServiceBusMessage("aside"))
        message = await receive_one(lane.receiver)
        await lane.receiver.defer_message(message)
        (deferred,) = await lane.receiver.receive_deferred_messages(message.sequence_number)
        await lane.receiver.dead_letter_message(deferred, reason="why", error_description="how")
        async with bus.open(bus.receiver(lane.queue, sub_queue="deadletter")) as dead:
            buried = await receive_one(dead)
            assert (buried.dead_letter_reason, buried.dead_letter_error_description) == ("why", "how")
            await dead.complete_message(buried)


@with_both_clients
async def test_asking_for_a_number_that_is_not_deferred_is_an_error(bus: Bus) -> None:
    async with bus.lane() as lane:
        lane.spoiled = True
        with pytest.raises(ServiceBusError, match="message-not-found"):
            await lane.receiver.receive_deferred_messages(987654)


@with_both_clients
async def test_a_dead_lettered_message_carries_its_reason_and_description(bus: Bus) -> None:
    async with bus.lane() as lane:
        await lane.sender.send_messages(ServiceBusMessage("bad", application_properties={"kept": 7}))
        message = await receive_one(lane.receiver)
        await lane.receiver.dead_letter_message(message, reason="Broken", error_description="it was broken")
        async with bus.open(bus.receiver(lane.queue, sub_queue="deadletter")) as dead:
            buried = await receive_one(dead)
            assert (buried.dead_letter_reason, buried.dead_letter_error_description) == ("Broken", "it was broken")
            assert buried.application_properties[b"kept"] == 7
            assert body(buried) == b"bad"
            await dead.complete_message(buried)


@with_both_clients
async def test_a_dead_letter_can_be_sent_again(bus: Bus) -> None:
    async with bus.lane() as lane:
        await lane.sender.send_messages(ServiceBusMessage("again", message_id="id", application_properties={"k": "v"}))
        await lane.receiver.dead_letter_message(await receive_one(lane.receiver), reason="r")
        async with bus.open(bus.receiver(lane.queue, sub_queue="deadletter")) as dead:
            buried = await receive_one(dead)
            properties = {key.decode(): value for key, value in buried.application_properties.items()}
            await lane.sender.send_messages(
                ServiceBusMessage(body(buried), message_id=buried.message_id, application_properties=properties)
            )
            await dead.complete_message(buried)
        message = await take_one(lane)
        assert (str(message), message.message_id, message.delivery_count) == ("again", "id", 0)


@with_both_clients
async def test_a_dead_letter_queue_is_found_by_its_path_in_any_case(bus: Bus) -> None:
    async with bus.lane() as lane:
        await lane.sender.send_messages(ServiceBusMessage("x"))
        await lane.receiver.dead_letter_message(await receive_one(lane.receiver))
        path = f"{lane.queue.upper()}/$DEADLETTERQUEUE"
        async with bus.open(bus.receiver(path)) as dead:
            await dead.complete_message(await receive_one(dead))


@with_both_clients
async def test_a_dead_letter_cannot_be_dead_lettered_again(bus: Bus) -> None:
    async with bus.lane() as lane:
        await lane.sender.send_messages(ServiceBusMessage("x"))
        await lane.receiver.dead_letter_message(await receive_one(lane.receiver))
        async with bus.open(bus.receiver(lane.queue, sub_queue="deadletter")) as dead:
            buried = await receive_one(dead)
            with pytest.raises(ServiceBusError):
                await dead.dead_letter_message(buried)


@with_both_clients
async def test_a_message_received_and_deleted_is_gone_at_once(bus: Bus) -> None:
    async with bus.lane() as lane:
        await lane.sender.send_messages([ServiceBusMessage(str(number)) for number in range(5)])
        async with bus.open(
            bus.receiver(lane.queue, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE)
        ) as receiver:
            found = await receive(receiver, 5)
            assert [str(message) for message in found] == list("01234")
            assert found[0].lock_token is None
            assert await receiver.peek_messages(1) == []


async def test_a_renewed_lock_ends_later(local: LocalNamespace, bus: Bus) -> None:
    async with bus.lane(lock_duration=timedelta(seconds=30)) as lane:
        await lane.sender.send_messages(ServiceBusMessage("a"))
        message = await receive_one(lane.receiver)
        until = message.locked_until_utc
        local.advance(seconds=20)
        assert await lane.receiver.renew_message_lock(message) >= until + timedelta(seconds=19)
        local.advance(seconds=20)
        await lane.receiver.complete_message(message)


async def test_a_lock_that_expired_is_lost_and_the_message_comes_again(local: LocalNamespace, bus: Bus) -> None:
    async with bus.lane(lock_duration=timedelta(seconds=30)) as lane:
        await lane.sender.send_messages(ServiceBusMessage("a"))
        message = await receive_one(lane.receiver)
        local.advance(seconds=31)
        with pytest.raises(MessageLockLostError):
            await lane.receiver.complete_message(message)
        again = await take_one(lane)
        assert (str(again), again.delivery_count) == ("a", 1)


@pytest.mark.parametrize("operation", ["abandon_message", "defer_message", "dead_letter_message", "renew_message_lock"])
async def test_nothing_can_be_done_with_a_lock_that_expired(local: LocalNamespace, bus: Bus, operation: str) -> None:
    async with bus.lane(lock_duration=timedelta(seconds=30)) as lane:
        await lane.sender.send_messages(ServiceBusMessage("a"))
        message = await receive_one(lane.receiver)
        local.advance(seconds=31)
        with pytest.raises(MessageLockLostError):
            await getattr(lane.receiver, operation)(message)
        await take_one(lane)


@with_both_clients
async def test_a_lock_token_that_is_not_known_is_a_lost_lock(bus: Bus) -> None:
    async with bus.lane() as lane:
        await lane.sender.send_messages(ServiceBusMessage("a"))
        message = await receive_one(lane.receiver)
        # Such a message is settled by request, with whatever token it carries.
        message._is_deferred_message, message._received_lock_token = True, uuid4()
        with pytest.raises(MessageLockLostError):
            await lane.receiver.complete_message(message)
        lane.spoiled = True


@with_both_clients
async def test_peeking_takes_nothing_and_goes_on_from_a_number(bus: Bus) -> None:
    async with bus.lane() as lane:
        await lane.sender.send_messages([ServiceBusMessage(str(number)) for number in range(5)])
        first = await lane.receiver.peek_messages(2, sequence_number=1)
        rest = await lane.receiver.peek_messages(10, sequence_number=first[-1].sequence_number + 1)
        assert [str(message) for message in first + rest] == list("01234")
        assert len(await take(lane, 5)) == 5


@with_both_clients
async def test_peeking_shows_locked_messages_too(bus: Bus) -> None:
    async with bus.lane() as lane:
        await lane.sender.send_messages(ServiceBusMessage("a"))
        message = await receive_one(lane.receiver)
        assert [str(peeked) for peeked in await lane.receiver.peek_messages(5, sequence_number=1)] == ["a"]
        await lane.receiver.complete_message(message)


@with_both_clients
async def test_a_receiver_waits_for_the_message_that_is_to_come(bus: Bus) -> None:
    async with bus.lane() as lane:
        waiting = asyncio.create_task(lane.receiver.receive_messages(max_wait_time=PATIENCE))
        await asyncio.sleep(0)
        await lane.sender.send_messages(ServiceBusMessage("at last"))
        (message,) = await waiting
        assert str(message) == "at last"
        await lane.receiver.complete_message(message)


@with_both_clients
async def test_messages_go_to_one_of_several_receivers_each(bus: Bus) -> None:
    async with bus.lane() as lane, bus.open(bus.receiver(lane.queue)) as other:
        await lane.sender.send_messages([ServiceBusMessage(str(number)) for number in range(20)])
        first, second = await asyncio.gather(receive(lane.receiver, 10), receive(other, 10))
        assert {str(message) for message in first + second} == {str(number) for number in range(20)}
        lane.spoiled = True


@with_both_clients
async def test_a_prefetching_receiver_gets_every_message_once(bus: Bus) -> None:
    async with bus.lane() as lane, bus.open(bus.receiver(lane.queue, prefetch_count=20)) as receiver:
        await lane.sender.send_messages([ServiceBusMessage(str(number)) for number in range(100)])
        found: list[str] = []
        while len(found) < 100:
            messages = await receive(receiver, min(30, 100 - len(found)))
            for message in messages:
                await receiver.complete_message(message)
            found += [str(message) for message in messages]
        assert found == [str(number) for number in range(100)]


@with_both_clients
async def test_what_a_closed_receiver_had_fetched_but_not_returned_comes_again_uncounted(bus: Bus) -> None:
    async with bus.lane() as lane:
        await lane.sender.send_messages([ServiceBusMessage(str(number)) for number in range(10)])
        async with bus.receiver(lane.queue, prefetch_count=10) as receiver:
            await receiver.complete_message(await receive_one(receiver))
        found = await take(lane, 9)
        assert sorted(str(message) for message in found) == [str(number) for number in range(1, 10)]
        assert {message.delivery_count for message in found} == {0}


async def test_a_message_a_client_left_unsettled_stays_locked_until_its_lock_ends(
    local: LocalNamespace, bus: Bus
) -> None:
    async with bus.lane(lock_duration=timedelta(seconds=30)) as lane:
        await lane.sender.send_messages(ServiceBusMessage("a"))
        async with bus.receiver(lane.queue) as receiver:
            await receive_one(receiver)
        assert await nothing_comes(lane)
        local.advance(seconds=31)
        assert (await take_one(lane)).delivery_count == 1


@with_both_clients
async def test_a_message_can_be_settled_after_its_receiver_was_opened_again(bus: Bus) -> None:
    async with bus.lane() as lane:
        await lane.sender.send_messages(ServiceBusMessage("a"))
        message = await receive_one(lane.receiver)
        # As the client does when its link was lost: by request instead of by disposition.
        message._is_deferred_message = True
        await lane.receiver.complete_message(message)
        assert await lane.receiver.peek_messages(1, sequence_number=1) == []


@with_both_clients
async def test_receiving_from_an_entity_that_is_not_there_says_so(bus: Bus) -> None:
    with pytest.raises(MessagingEntityNotFoundError):
        async with bus.open(bus.receiver("no-such-queue")):
            pass


async def test_a_receiver_can_be_iterated(namespace: Namespace) -> None:
    bus = Bus(namespace, blocking=False)
    queue = await namespace.queue()
    async with bus.sender(queue) as sender, bus.receiver(queue, max_wait_time=1) as receiver:
        await sender.send_messages([ServiceBusMessage(str(number)) for number in range(3)])
        found = []
        async for message in receiver:
            found.append(str(message))
            await receiver.complete_message(message)
        assert found == list("012")
    await bus.close()
