"""Sessions: one receiver at a time, messages in order, and a state that outlives the receiver."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusMessage
from azure.servicebus.exceptions import (
    OperationTimeoutError,
    ServiceBusError,
    SessionCannotBeLockedError,
    SessionLockLostError,
)

from tests.support.service_bus import Bus, LocalNamespace, Namespace, receive, receive_one, with_both_clients

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def filled(namespace: Namespace, bus: Bus, *sessions: str, **options: Any) -> str:
    """A queue with one message for each of `sessions`."""
    queue = await namespace.queue(requires_session=True, **options)
    async with bus.open(bus.sender(queue)) as sender:
        await fill(sender, *sessions)
    return queue


async def fill(sender: Any, *sessions: str) -> None:
    for session in sessions:
        await sender.send_messages(ServiceBusMessage(f"for {session}", session_id=session))


@asynccontextmanager
async def holding(namespace: Namespace, bus: Bus, session: str, *sessions: str, **options: Any) -> AsyncIterator[Any]:
    """A queue with one message for each of `sessions`, and a receiver that holds the one called `session`."""
    queue = await namespace.queue(requires_session=True, **options)
    async with bus.open(bus.sender(queue), bus.receiver(queue, session_id=session)) as (sender, receiver):
        await fill(sender, *sessions)
        yield queue, receiver


@with_both_clients
async def test_a_receiver_of_a_session_gets_that_session_s_messages_in_order(namespace: Namespace, bus: Bus) -> None:
    async with holding(namespace, bus, "a", "a", "b", "a", "b", "a") as (_, receiver):
        found = await receive(receiver, 3)
        assert [(str(message), message.session_id) for message in found] == [("for a", "a")] * 3
        assert [message.sequence_number for message in found] == sorted(message.sequence_number for message in found)
        for message in found:
            await receiver.complete_message(message)


@with_both_clients
async def test_a_receiver_of_the_next_session_gets_one_that_has_messages(namespace: Namespace, bus: Bus) -> None:
    queue = await filled(namespace, bus, "only")
    async with bus.open(bus.receiver(queue, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=5)) as receiver:
        assert receiver.session.session_id == "only"
        assert receiver.session.locked_until_utc is not None
        assert (await receive_one(receiver)).session_id == "only"


@with_both_clients
async def test_receivers_of_the_next_session_get_different_ones(namespace: Namespace, bus: Bus) -> None:
    queue = await filled(namespace, bus, "a", "b")
    options: dict[str, Any] = {"session_id": NEXT_AVAILABLE_SESSION, "max_wait_time": 5}
    async with bus.open(bus.receiver(queue, **options), bus.receiver(queue, **options)) as (first, second):
        assert {first.session.session_id, second.session.session_id} == {"a", "b"}


@with_both_clients
async def test_a_receiver_of_the_next_session_waits_for_one(namespace: Namespace, bus: Bus) -> None:
    queue = await namespace.queue(requires_session=True)
    waiting = bus.receiver(queue, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=10)
    opening = asyncio.create_task(waiting.__aenter__())
    async with bus.open(bus.sender(queue)) as sender:
        await sender.send_messages(ServiceBusMessage("x", session_id="late"))
        await opening
        assert waiting.session.session_id == "late"
    await waiting.__aexit__(None, None, None)


@with_both_clients
async def test_waiting_for_any_session_ends_when_the_client_said(namespace: Namespace, bus: Bus) -> None:
    queue = await namespace.queue(requires_session=True)
    with pytest.raises(OperationTimeoutError):
        async with bus.open(bus.receiver(queue, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=1)):
            pass


@with_both_clients
async def test_a_session_that_is_held_cannot_be_locked(namespace: Namespace, bus: Bus) -> None:
    async with holding(namespace, bus, "a") as (queue, _):
        with pytest.raises(SessionCannotBeLockedError):
            async with bus.open(bus.receiver(queue, session_id="a")):
                pass


@with_both_clients
async def test_a_session_given_back_can_be_taken_with_its_messages_uncounted(namespace: Namespace, bus: Bus) -> None:
    queue = await filled(namespace, bus, "a")
    async with bus.receiver(queue, session_id="a") as receiver:
        await receive_one(receiver)
    async with bus.open(bus.receiver(queue, session_id="a")) as receiver:
        assert (await receive_one(receiver)).delivery_count == 0


@with_both_clients
async def test_a_session_may_be_held_before_it_has_messages(namespace: Namespace, bus: Bus) -> None:
    queue = await namespace.queue(requires_session=True)
    async with bus.open(bus.receiver(queue, session_id="new"), bus.sender(queue)) as (receiver, sender):
        await sender.send_messages(ServiceBusMessage("x", session_id="new"))
        assert str(await receive_one(receiver)) == "x"


@with_both_clients
async def test_a_session_s_state_outlives_its_receiver(namespace: Namespace, bus: Bus) -> None:
    queue = await filled(namespace, bus, "a")
    async with bus.receiver(queue, session_id="a") as receiver:
        assert await receiver.session.get_state() is None
        await receiver.session.set_state(b"\x00\x01state")
        assert await receiver.session.get_state() == b"\x00\x01state"
    async with bus.open(bus.receiver(queue, session_id="a")) as receiver:
        assert await receiver.session.get_state() == b"\x00\x01state"
        await receiver.session.set_state(None)
        assert await receiver.session.get_state() is None


async def test_a_renewed_session_lock_ends_later(local: LocalNamespace, bus: Bus) -> None:
    async with holding(local, bus, "a", "a", lock_duration=timedelta(seconds=30)) as (_, receiver):
        message = await receive_one(receiver)
        until = receiver.session.locked_until_utc
        local.advance(seconds=20)
        assert await receiver.session.renew_lock() >= until + timedelta(seconds=19)
        local.advance(seconds=20)
        await receiver.complete_message(message)


async def test_a_session_lock_that_expired_is_lost_and_another_receiver_gets_the_session(
    local: LocalNamespace, bus: Bus
) -> None:
    async with holding(local, bus, "a", "a", lock_duration=timedelta(seconds=30)) as (queue, receiver):
        message = await receive_one(receiver)
        local.advance(seconds=31)
        with pytest.raises(SessionLockLostError):
            await receiver.complete_message(message)
        async with bus.open(bus.receiver(queue, session_id="a")) as other:
            assert (await receive_one(other)).delivery_count == 1


@with_both_clients
async def test_a_session_receiver_settles_and_defers_within_its_session(namespace: Namespace, bus: Bus) -> None:
    async with holding(namespace, bus, "a", "a", "a", "a", "a") as (_, receiver):
        first, second, third, fourth = await receive(receiver, 4)
        await receiver.complete_message(first)
        await receiver.abandon_message(second)
        await receiver.dead_letter_message(third, reason="r")
        await receiver.defer_message(fourth)
        (deferred,) = await receiver.receive_deferred_messages(fourth.sequence_number)
        await receiver.complete_message(deferred)
        again = await receive_one(receiver)
        assert (again.sequence_number, again.delivery_count) == (second.sequence_number, 1)


@with_both_clients
async def test_peeking_in_a_session_shows_only_its_messages(namespace: Namespace, bus: Bus) -> None:
    async with holding(namespace, bus, "a", "a", "b", "a") as (_, receiver):
        assert {message.session_id for message in await receiver.peek_messages(10)} == {"a"}


@with_both_clients
async def test_an_entity_with_sessions_refuses_a_receiver_without_one(namespace: Namespace, bus: Bus) -> None:
    queue = await namespace.queue(requires_session=True)
    with pytest.raises(ServiceBusError, match="not-allowed"):
        async with bus.open(bus.receiver(queue)):
            pass


@with_both_clients
async def test_an_entity_without_sessions_refuses_a_receiver_with_one(namespace: Namespace, bus: Bus) -> None:
    queue = await namespace.queue()
    with pytest.raises(ServiceBusError):
        async with bus.open(bus.receiver(queue, session_id="a")):
            pass


@with_both_clients
async def test_the_dead_letters_of_an_entity_with_sessions_need_none(namespace: Namespace, bus: Bus) -> None:
    async with holding(namespace, bus, "a", "a") as (queue, receiver):
        await receiver.dead_letter_message(await receive_one(receiver), reason="r")
    async with bus.open(bus.receiver(queue, sub_queue="deadletter")) as dead:
        assert (await receive_one(dead)).session_id == "a"


@with_both_clients
async def test_sessions_are_listed_with_their_messages_or_by_when_their_state_was_set(
    namespace: Namespace, bus: Bus
) -> None:
    async with holding(namespace, bus, "b", "b", "a") as (queue, receiver):
        assert await bus.sessions(queue) == ["a", "b"]
        before = datetime.now(UTC) - timedelta(days=1)
        assert await bus.sessions(queue, state_updated_after=before) == []
        await receiver.session.set_state(b"state")
        assert await bus.sessions(queue, state_updated_after=before) == ["b"]
