"""Administration: the stock client lists, counts, makes, changes and removes entities and rules."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio.management import ServiceBusAdministrationClient as AsyncAdministrationClient
from azure.servicebus.management import (
    CorrelationRuleFilter,
    FalseRuleFilter,
    ServiceBusAdministrationClient,
    SqlRuleAction,
    SqlRuleFilter,
)

from devhost.administration.server import AdministrationServer
from tests.support.service_bus import Bus, LocalNamespace, connection_string, receive_one

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    # The client asks an XML element whether it is true.
    pytest.mark.filterwarnings("ignore:Testing an element's truth value:DeprecationWarning"),
]


class Blocking:
    """The blocking client, called in threads; its listings come as lists."""

    def __init__(self, client: ServiceBusAdministrationClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        async def call(*args: Any, **options: Any) -> Any:
            return await asyncio.to_thread(lambda: listed(method(*args, **options)))

        return call


class Asynchronous:
    """The asynchronous client; its listings come as lists."""

    def __init__(self, client: AsyncAdministrationClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        async def call(*args: Any, **options: Any) -> Any:
            answer = method(*args, **options)
            return [item async for item in answer] if hasattr(answer, "__aiter__") else await answer

        return call


def listed(answer: Any) -> Any:
    return list(answer) if hasattr(answer, "by_page") else answer


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(namespace: Any) -> AsyncIterator[AdministrationServer]:
    if not isinstance(namespace, LocalNamespace):
        pytest.skip("the administration of another namespace makes this suite's entities; that is its test")
    made = AdministrationServer(namespace.broker, namespace.clock, port=0)
    await made.start()
    yield made
    await made.stop()


@pytest_asyncio.fixture(loop_scope="session", params=["async", "sync"])
async def admin(server: AdministrationServer, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    connection, trust = connection_string(server.port), {"connection_verify": str(server.certificate)}
    options: dict[str, Any] = {**trust, "retry_total": 0}
    if request.param == "sync":
        blocking = ServiceBusAdministrationClient.from_connection_string(connection, **options)
        yield Blocking(blocking)
        await asyncio.to_thread(blocking.close)
    else:
        client = AsyncAdministrationClient.from_connection_string(connection, **options)
        yield Asynchronous(client)
        await client.close()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name of the test's own."""
    return f"e-{abs(hash(request.node.name)):x}"


async def test_a_queue_is_made_with_what_was_asked_for_and_defaults_for_the_rest(admin: Any, name: str) -> None:
    made = await admin.create_queue(
        name,
        lock_duration=timedelta(seconds=45),
        max_delivery_count=3,
        requires_session=True,
        requires_duplicate_detection=True,
        duplicate_detection_history_time_window="PT5M",
        default_message_time_to_live=timedelta(hours=2),
        dead_lettering_on_message_expiration=True,
        user_metadata="mine <&>",
    )
    for queue in (made, await admin.get_queue(name)):
        assert queue.name == name
        assert queue.lock_duration == timedelta(seconds=45)
        assert (queue.max_delivery_count, queue.requires_session, queue.requires_duplicate_detection) == (3, True, True)
        assert queue.duplicate_detection_history_time_window == timedelta(minutes=5)
        assert queue.default_message_time_to_live == timedelta(hours=2)
        assert queue.dead_lettering_on_message_expiration is True
        assert queue.user_metadata == "mine <&>"
        assert (queue.max_size_in_megabytes, queue.status) == (1024, "Active")


async def test_a_queue_that_is_there_cannot_be_made_again(admin: Any, name: str) -> None:
    await admin.create_queue(name)
    with pytest.raises(ResourceExistsError):
        await admin.create_queue(name.upper())


async def test_what_is_not_there_is_not_found(admin: Any, name: str) -> None:
    asked = {
        "get_queue": (name,),
        "get_topic": (name,),
        "get_subscription": (name, "s"),
        "get_rule": (name, "s", "r"),
        "delete_queue": (name,),
    }
    for operation, names in asked.items():
        with pytest.raises(ResourceNotFoundError):
            await getattr(admin, operation)(*names)


async def test_a_changed_queue_keeps_what_was_not_changed(admin: Any, name: str) -> None:
    queue = await admin.create_queue(name, max_delivery_count=3, user_metadata="kept")
    queue.lock_duration = timedelta(seconds=20)
    await admin.update_queue(queue)
    changed = await admin.get_queue(name)
    assert (changed.lock_duration, changed.max_delivery_count) == (timedelta(seconds=20), 3)
    assert changed.user_metadata == "kept"


async def test_a_queue_that_is_not_there_cannot_be_changed(admin: Any, name: str) -> None:
    queue = await admin.create_queue(name)
    await admin.delete_queue(name)
    with pytest.raises(ResourceNotFoundError):
        await admin.update_queue(queue)


async def test_queues_and_topics_are_listed_each_by_themselves_and_in_pages(admin: Any, name: str) -> None:
    for number in range(3):
        await admin.create_queue(f"{name}-q{number}")
        await admin.create_topic(f"{name}-t{number}")
    queues = [queue.name for queue in await admin.list_queues(max_page_size=2) if queue.name.startswith(name)]
    topics = [topic.name for topic in await admin.list_topics(max_page_size=2) if topic.name.startswith(name)]
    assert queues == [f"{name}-q{number}" for number in range(3)]
    assert topics == [f"{name}-t{number}" for number in range(3)]


async def test_counts_say_what_a_queue_holds(admin: Any, name: str, buses: tuple[Bus, Bus]) -> None:
    bus = buses[0]
    await admin.create_queue(name)
    later = datetime.now(UTC) + timedelta(days=1)
    async with bus.open(bus.sender(name), bus.receiver(name)) as (sender, receiver):
        await sender.send_messages([ServiceBusMessage(str(number)) for number in range(4)])
        await sender.schedule_messages([ServiceBusMessage("a"), ServiceBusMessage("b")], later)
        await receiver.dead_letter_message(await receive_one(receiver))
        counted = await admin.get_queue_runtime_properties(name)
    assert counted.active_message_count == 3
    assert counted.scheduled_message_count == 2
    assert counted.dead_letter_message_count == 1
    assert counted.total_message_count == 6
    assert counted.size_in_bytes > 0
    assert counted.created_at_utc.year >= 2026


async def test_counts_say_what_a_subscription_holds(admin: Any, name: str, buses: tuple[Bus, Bus]) -> None:
    bus = buses[0]
    await admin.create_topic(name)
    await admin.create_subscription(name, "sub")
    async with bus.open(bus.sender(name, topic=True)) as sender:
        await sender.send_messages([ServiceBusMessage("a"), ServiceBusMessage("b")])
    counted = await admin.get_subscription_runtime_properties(name, "sub")
    assert (counted.active_message_count, counted.dead_letter_message_count) == (2, 0)
    assert (await admin.get_topic_runtime_properties(name)).subscription_count == 1
    (listing,) = await admin.list_subscriptions_runtime_properties(name)
    assert listing.active_message_count == 2


async def test_subscriptions_are_made_listed_changed_and_removed(admin: Any, name: str) -> None:
    await admin.create_topic(name)
    made = await admin.create_subscription(name, "Sub", lock_duration="PT30S", max_delivery_count=4)
    assert (made.name, made.lock_duration, made.max_delivery_count) == ("Sub", timedelta(seconds=30), 4)
    made.max_delivery_count = 5
    await admin.update_subscription(name, made)
    (listing,) = await admin.list_subscriptions(name)
    assert (listing.name, listing.max_delivery_count) == ("Sub", 5)
    await admin.delete_subscription(name, "sub")
    assert await admin.list_subscriptions(name) == []


async def test_a_new_subscription_has_the_default_rule(admin: Any, name: str) -> None:
    await admin.create_topic(name)
    await admin.create_subscription(name, "sub")
    (rule,) = await admin.list_rules(name, "sub")
    assert (rule.name, rule.filter.sql_expression) == ("$Default", "1=1")


async def test_a_rule_comes_back_as_it_was_made(admin: Any, name: str) -> None:
    await admin.create_topic(name)
    await admin.create_subscription(name, "sub")
    properties: dict[str, Any] = {"text": "t", "int": 7, "long": 2**40, "double": 1.5, "flag": True}
    wanted = CorrelationRuleFilter(correlation_id="c", label="l", session_id="s", properties=properties)
    await admin.create_rule(name, "sub", "correlated", filter=wanted)
    sql = SqlRuleFilter("sys.Label = @label AND price > @least", parameters={"@label": "x", "@least": 3})
    await admin.create_rule(name, "sub", "sql", filter=sql)
    await admin.create_rule(name, "sub", "never", filter=FalseRuleFilter())
    found = {rule.name: rule.filter for rule in await admin.list_rules(name, "sub")}
    assert found["correlated"].properties == properties
    assert (found["correlated"].correlation_id, found["correlated"].label) == ("c", "l")
    assert found["sql"].sql_expression == sql.sql_expression
    assert found["sql"].parameters == {"@label": "x", "@least": 3}
    assert isinstance(found["never"], FalseRuleFilter)
    assert (await admin.get_rule(name, "sub", "SQL")).filter.sql_expression == sql.sql_expression


async def test_rules_decide_as_soon_as_they_are_changed(admin: Any, name: str, buses: tuple[Bus, Bus]) -> None:
    bus = buses[0]
    await admin.create_topic(name)
    await admin.create_subscription(name, "sub")
    await admin.create_rule(name, "sub", "only", filter=SqlRuleFilter("sys.Label = 'a'"))
    await admin.delete_rule(name, "sub", "$Default")
    async with bus.open(bus.sender(name, topic=True), bus.receiver(name, "sub")) as (sender, receiver):
        await sender.send_messages([ServiceBusMessage("1", subject="a"), ServiceBusMessage("2", subject="b")])
        rule = await admin.get_rule(name, "sub", "only")
        rule.filter = SqlRuleFilter("sys.Label = 'b'")
        await admin.update_rule(name, "sub", rule)
        await sender.send_messages([ServiceBusMessage("3", subject="a"), ServiceBusMessage("4", subject="b")])
        assert [str(message) for message in await receiver.peek_messages(10)] == ["1", "4"]


async def test_a_rule_that_cannot_be_is_refused_and_the_one_before_stays(admin: Any, name: str) -> None:
    await admin.create_topic(name)
    await admin.create_subscription(name, "sub")
    with pytest.raises(HttpResponseError):
        await admin.create_rule(name, "sub", "bad", filter=SqlRuleFilter("this is ( not sql"))
    with pytest.raises(HttpResponseError, match="action"):
        await admin.create_rule(name, "sub", "acts", filter=FalseRuleFilter(), action=SqlRuleAction("SET a = 1"))
    rule = await admin.create_rule(name, "sub", "good", filter=SqlRuleFilter("a = 1"))
    rule.filter = SqlRuleFilter("((")
    with pytest.raises(HttpResponseError):
        await admin.update_rule(name, "sub", rule)
    assert (await admin.get_rule(name, "sub", "good")).filter.sql_expression == "a = 1"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"forward_to": "other"}, "ForwardTo"),
        ({"forward_dead_lettered_messages_to": "other"}, "ForwardDeadLetteredMessagesTo"),
        ({"auto_delete_on_idle": timedelta(minutes=10)}, "AutoDeleteOnIdle"),
        ({"enable_partitioning": True}, "EnablePartitioning"),
        ({"enable_express": True}, "EnableExpress"),
        ({"lock_duration": timedelta(hours=1)}, "lockDuration"),
        ({"max_delivery_count": 0}, "maxDeliveryCount"),
    ],
)
async def test_what_is_not_supported_or_out_of_range_is_refused_by_name(
    admin: Any, name: str, options: dict[str, Any], named: str
) -> None:
    with pytest.raises(HttpResponseError, match=named):
        await admin.create_queue(name, **options)
    with pytest.raises(ResourceNotFoundError):
        await admin.get_queue(name)


async def test_the_namespace_says_what_it_is(admin: Any) -> None:
    properties = await admin.get_namespace_properties()
    assert (properties.namespace_type, properties.messaging_sku) == ("Messaging", "Standard")
