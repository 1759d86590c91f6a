"""Fidelity: a message comes back as it was sent, whatever it is made of."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.amqp import AmqpAnnotatedMessage, AmqpMessageBodyType

from tests.support.service_bus import Bus, LocalNamespace, body, receive_one, take_one, with_both_clients

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def there_and_back(bus: Bus, message: Any) -> Any:
    async with bus.lane() as lane:
        await lane.sender.send_messages(message)
        return await take_one(lane)


@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 10, b"x" * 100_000], ids=["empty", "binary", "large"])
@with_both_clients
async def test_data_comes_back_byte_for_byte(bus: Bus, content: bytes) -> None:
    assert body(await there_and_back(bus, ServiceBusMessage(content))) == content


@with_both_clients
async def test_a_message_without_a_body_comes_back_without_one(bus: Bus) -> None:
    message = await there_and_back(bus, ServiceBusMessage(None, message_id="bare"))
    assert (message.message_id, message.body_type) == ("bare", AmqpMessageBodyType.VALUE)


@with_both_clients
async def test_several_data_sections_stay_several(bus: Bus) -> None:
    message = await there_and_back(bus, AmqpAnnotatedMessage(data_body=[b"one", b"two"]))
    assert list(message.body) == [b"one", b"two"]


@with_both_clients
async def test_data_that_happens_to_be_an_encoded_message_is_not_taken_for_a_batch(bus: Bus) -> None:
    encoded = b"\x00\x53\x75\xa0\x05inner"
    assert body(await there_and_back(bus, ServiceBusMessage(encoded))) == encoded


@pytest.mark.parametrize(
    "value",
    [True, 7, -(2**31), 2.5, "text", b"bytes", UUID(int=7), [1, "two", None], {"k": [1, {"n": 2}]}],
    ids=str,
)
@with_both_clients
async def test_a_value_body_comes_back(bus: Bus, value: Any) -> None:
    message = await there_and_back(bus, AmqpAnnotatedMessage(value_body=value))
    assert message.body_type is AmqpMessageBodyType.VALUE
    assert decoded(message.body) == value


@with_both_clients
async def test_a_sequence_body_comes_back(bus: Bus) -> None:
    message = await there_and_back(bus, AmqpAnnotatedMessage(sequence_body=[[1, 2], ["three", None]]))
    assert message.body_type is AmqpMessageBodyType.SEQUENCE
    assert decoded(list(message.body)) == [[1, 2], ["three", None]]


@with_both_clients
async def test_every_property_comes_back(bus: Bus) -> None:
    sent = ServiceBusMessage(
        "x",
        message_id="id",
        correlation_id="correlation",
        subject="subject",
        content_type="application/json",
        to="to",
        reply_to="reply",
        reply_to_session_id="reply-session",
        partition_key="key",
        time_to_live=timedelta(seconds=90),
    )
    message = await there_and_back(bus, sent)
    for name in (
        "message_id",
        "correlation_id",
        "subject",
        "content_type",
        "to",
        "reply_to",
        "reply_to_session_id",
        "partition_key",
        "time_to_live",
    ):
        assert getattr(message, name) == getattr(sent, name), name


@pytest.mark.parametrize("identifier", ["text", 2**63, UUID(int=9), b"bytes"], ids=str)
@with_both_clients
async def test_a_message_id_of_any_type_comes_back(bus: Bus, identifier: Any) -> None:
    sent = AmqpAnnotatedMessage(data_body=b"x", properties={"message_id": identifier})
    message = await there_and_back(bus, sent)
    assert decoded(message.raw_amqp_message.properties.message_id) == identifier


@with_both_clients
async def test_application_properties_keep_their_types(bus: Bus) -> None:
    properties: dict[Any, Any] = {
        "text": "täxt",
        "empty": "",
        "int": 7,
        "float": 1.5,
        "true": True,
        "false": False,
        "uuid": UUID(int=3),
        "none": None,
        "when": datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC),
    }
    message = await there_and_back(bus, ServiceBusMessage("x", application_properties=dict(properties)))
    found = decoded(message.application_properties)
    found["when"] = datetime.fromtimestamp(found["when"] / 1000, UTC)
    assert found == properties
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in properties.items()
    }


@with_both_clients
async def test_annotations_header_and_footer_come_back(bus: Bus) -> None:
    sent = AmqpAnnotatedMessage(
        data_body=b"x",
        header={"priority": 7, "durable": True},
        annotations={"x-opt-mine": "annotation", "number": 5},
        footer={"sum": "f"},
        properties={"user_id": b"me", "content_encoding": "gzip", "group_sequence": 3},
    )
    raw = (await there_and_back(bus, sent)).raw_amqp_message
    assert (raw.header.priority, raw.header.durable) == (7, True)
    annotations = decoded(raw.annotations)
    assert (annotations["x-opt-mine"], annotations["number"]) == ("annotation", 5)
    assert decoded(raw.footer) == {"sum": "f"}
    assert (raw.properties.user_id, raw.properties.content_encoding) == (b"me", b"gzip")
    assert raw.properties.group_sequence == 3


async def test_a_message_sent_on_loses_the_marks_of_its_first_stay(local: LocalNamespace, bus: Bus) -> None:
    async with bus.lane() as lane:
        await lane.sender.send_messages(ServiceBusMessage("x"))
        first = await receive_one(lane.receiver)
        await lane.sender.send_messages(first.raw_amqp_message)
        await lane.receiver.complete_message(first)
        second = await take_one(lane)
        assert second.sequence_number == first.sequence_number + 1
        assert second.delivery_count == 0


@with_both_clients
async def test_traced_messages_keep_their_trace_context(bus: Bus) -> None:
    properties: dict[Any, Any] = {"Diagnostic-Id": "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "traceparent": "t"}
    message = await there_and_back(bus, ServiceBusMessage("x", application_properties=dict(properties)))
    assert decoded(message.application_properties) == properties


def decoded(value: Any) -> Any:
    """What the client gives as bytes because it was text, as text."""
    if isinstance(value, dict):
        return {decoded(key): decoded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [decoded(item) for item in value]
    return value.decode() if isinstance(value, bytes) and value not in (b"bytes",) else value
