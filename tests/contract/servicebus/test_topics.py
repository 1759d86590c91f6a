"""Topics: every subscription gets its own copy of the messages its rules want."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.exceptions import MessagingEntityNotFoundError, ServiceBusError

from devhost.broker.topology import CorrelationFilter, SqlFilter
from tests.support.service_bus import Bus, Namespace, receive, receive_one, with_both_clients

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def published(namespace: Namespace, bus: Bus, *messages: ServiceBusMessage, **rules: Any) -> AsyncIterator[Any]:
    """Receivers of a topic's subscriptions, one for each of `rules` (None: everything), after `messages` were sent."""
    topic = await namespace.topic()
    for name, rule_filter in rules.items():
        await namespace.subscription(topic, name, rules=None if rule_filter is None else {"only": rule_filter})
    receivers = [bus.receiver(topic, name) for name in rules]
    async with bus.open(bus.sender(topic, topic=True), *receivers) as (sender, *opened):
        await sender.send_messages(list(messages))
        yield opened


@with_both_clients
async def test_every_subscription_gets_its_own_copy(namespace: Namespace, bus: Bus) -> None:
    news = ServiceBusMessage("news", message_id="m")
    async with published(namespace, bus, news, first=None, second=None) as (first, second):
        one, other = await receive_one(first), await receive_one(second)
        assert (str(one), str(other), one.message_id) == ("news", "news", other.message_id)
        await first.complete_message(one)
        await second.abandon_message(other)
        assert (await receive_one(second)).delivery_count == 1


@with_both_clients
async def test_a_correlation_filter_takes_only_what_is_equal(namespace: Namespace, bus: Bus) -> None:
    messages = (
        ServiceBusMessage("no", subject="other"),
        ServiceBusMessage("no", subject="wanted", application_properties={"kind": "b"}),
        ServiceBusMessage("yes", subject="wanted", application_properties={"kind": "a", "more": 1}),
    )
    wanted = CorrelationFilter(label="wanted", properties={"kind": "a"})
    async with published(namespace, bus, *messages, picky=wanted, everything=None) as (picky, everything):
        assert len(await receive(everything, 3)) == 3
        assert [str(message) for message in await picky.peek_messages(10)] == ["yes"]


@with_both_clients
async def test_a_sql_filter_sees_system_and_application_properties_with_their_types(
    namespace: Namespace, bus: Bus
) -> None:
    messages = (
        ServiceBusMessage("no", subject="x", application_properties={"price": 3}),
        ServiceBusMessage("no", subject="y", application_properties={"price": 30}),
        ServiceBusMessage("yes", subject="x", application_properties={"price": 30.5}),
    )
    wanted = SqlFilter("sys.Label = 'x' AND price > 10")
    async with published(namespace, bus, *messages, dear=wanted, everything=None) as (dear, everything):
        assert len(await receive(everything, 3)) == 3
        assert [str(message) for message in await dear.peek_messages(10)] == ["yes"]


@with_both_clients
async def test_a_subscription_has_a_dead_letter_queue_of_its_own(namespace: Namespace, bus: Bus) -> None:
    topic = await namespace.topic()
    await namespace.subscription(topic, "sub")
    handlers = (
        bus.sender(topic, topic=True),
        bus.receiver(topic, "sub"),
        bus.receiver(topic, "sub", sub_queue="deadletter"),
    )
    async with bus.open(*handlers) as (sender, receiver, dead):
        await sender.send_messages(ServiceBusMessage("bad"))
        await receiver.dead_letter_message(await receive_one(receiver), reason="r", error_description="d")
        message = await receive_one(dead)
        assert (message.dead_letter_reason, message.dead_letter_error_description) == ("r", "d")


@with_both_clients
async def test_a_subscription_is_found_in_any_case(namespace: Namespace, bus: Bus) -> None:
    topic = await namespace.topic()
    await namespace.subscription(topic, "sub")
    handlers = bus.sender(topic.lower(), topic=True), bus.receiver(topic.upper(), "SUB")
    async with bus.open(*handlers) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("x"))
        assert str(await receive_one(receiver)) == "x"


@with_both_clients
async def test_a_subscription_may_have_sessions(namespace: Namespace, bus: Bus) -> None:
    topic = await namespace.topic()
    await namespace.subscription(topic, "sub", requires_session=True)
    async with bus.open(bus.sender(topic, topic=True), bus.receiver(topic, "sub", session_id="s")) as (
        sender,
        receiver,
    ):
        await sender.send_messages(ServiceBusMessage("x", session_id="s"))
        assert str(await receive_one(receiver)) == "x"
        await receiver.session.set_state("kept")
        assert await receiver.session.get_state() == b"kept"


@with_both_clients
async def test_nothing_can_be_received_from_a_topic_itself(namespace: Namespace, bus: Bus) -> None:
    topic = await namespace.topic()
    with pytest.raises(ServiceBusError):
        async with bus.open(bus.receiver(topic)):
            pass


@with_both_clients
async def test_a_subscription_that_is_not_there_says_so(namespace: Namespace, bus: Bus) -> None:
    topic = await namespace.topic()
    with pytest.raises(MessagingEntityNotFoundError):
        async with bus.open(bus.receiver(topic, "nobody")):
            pass
