"""The stock client's message as the triggers' own value, made from encoded AMQP messages; no connection is opened."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import proton
import pytest
from azure.servicebus import ServiceBusReceivedMessage

from devhost.triggers.service_bus_binding import Entity
from devhost.triggers.service_bus_client import AzureReceiverFactory
from devhost.triggers.service_bus_connection import ConnectionString, Identity
from devhost.triggers.service_bus_decoding import received_message
from devhost.triggers.service_bus_receiver import ReceivedMessage

ENQUEUED = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
TOKEN = uuid.UUID("7c3f1c6e-0000-4000-8000-1f2e3d4c5b6a")


def millis(when: datetime) -> proton.timestamp:
    return proton.timestamp(int(when.timestamp() * 1000))


def received(body: object = b"hello", **fields: Any) -> ReceivedMessage:
    message = proton.Message(body=body, inferred=fields.pop("inferred", True), **fields)
    message.annotations = {
        proton.symbol("x-opt-enqueued-time"): millis(ENQUEUED),
        proton.symbol("x-opt-sequence-number"): 7,
        proton.symbol("x-opt-locked-until"): millis(ENQUEUED + timedelta(minutes=1)),
        proton.symbol("x-opt-partition-key"): "p-1",
        proton.symbol("x-opt-via-partition-key"): "tp-1",
    } | fields.get("annotations", {})
    message.instructions = {proton.symbol("x-opt-lock-token"): TOKEN}
    return received_message(ServiceBusReceivedMessage.from_bytes(bytes(message.encode())))


def test_every_field_of_a_message_is_carried_over() -> None:
    message = received(
        b"hello",
        id="m-1",
        subject="started",
        correlation_id="c-1",
        content_type="text/plain",
        address="there",
        reply_to="answers",
        group_id="s-1",
        reply_to_group_id="r-1",
        delivery_count=2,
        ttl=60,
        properties={"kind": "x", "tries": 2, "raw": b"\xff\x01"},
    )
    assert message == ReceivedMessage(
        body=b"hello",
        lock_token=str(TOKEN),
        sequence_number=7,
        delivery_count=3,
        enqueued_time=ENQUEUED,
        expires_at=ENQUEUED + timedelta(seconds=60),
        locked_until=ENQUEUED + timedelta(minutes=1),
        message_id="m-1",
        session_id="s-1",
        correlation_id="c-1",
        subject="started",
        content_type="text/plain",
        to="there",
        reply_to="answers",
        reply_to_session_id="r-1",
        partition_key="p-1",
        transaction_partition_key="tp-1",
        application_properties={"kind": "x", "tries": 2, "raw": b"\xff\x01"},
    )


def test_a_bare_message_has_the_defaults_of_the_service() -> None:
    message = received(b"")
    assert (message.body, message.message_id, message.delivery_count) == (b"", "", 1)
    assert message.expires_at is None
    assert message.application_properties == {}


def test_a_value_body_becomes_bytes_the_function_can_read() -> None:
    assert received("text as a value", inferred=False).body == b"text as a value"
    assert json.loads(received({"key": ["v", 1]}, inferred=False).body) == {"key": ["v", 1]}
    assert json.loads(received([1, "two"], inferred=True).body) == [[1, "two"]]


@pytest.mark.parametrize(
    ("entity", "path"),
    [
        (Entity("q"), "q"),
        (Entity("q", None, dead_letter=True), "q/$deadletterqueue"),
        (Entity("t", "s"), "t/subscriptions/s"),
        (Entity("t", "s", dead_letter=True), "t/subscriptions/s/$deadletterqueue"),
    ],
)
async def test_the_entity_is_the_path_clients_attach_to(entity: Entity, path: str) -> None:
    text = "Endpoint=sb://localhost;SharedAccessKeyName=R;SharedAccessKey=k;UseDevelopmentEmulator=true"
    factory = AzureReceiverFactory(
        ConnectionString("Bus", text, "localhost", None, emulator=True, entity_path=""), entity
    )
    receiver: Any = factory.receiver()
    assert receiver._receiver.entity_path.lower() == path
    assert receiver.session_id is None
    await factory.close()


async def test_an_identity_reaches_the_namespace_over_tls_with_a_credential_of_its_own() -> None:
    factory = AzureReceiverFactory(Identity("Bus", "shop.servicebus.windows.net", "client-1"), Entity("q"))
    receiver: Any = factory.receiver()
    assert receiver._receiver.fully_qualified_namespace == "shop.servicebus.windows.net"
    assert receiver._receiver._config.use_tls
    await factory.close()
