import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import azure.functions as func
import pytest
from azure.functions.servicebus import ServiceBusMessageInConverter

from devhost.triggers.service_bus_datum import (
    batch_metadata,
    bodies_datum,
    body_datum,
    is_text,
    metadata,
    trace_parent,
)
from devhost.triggers.service_bus_receiver import ReceivedMessage

TOKEN = "7c3f1c6e-0000-4000-8000-1f2e3d4c5b6a"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def received(body: bytes = b"hello", **fields: Any) -> ReceivedMessage:
    base: dict[str, Any] = {
        "lock_token": TOKEN,
        "sequence_number": 7,
        "delivery_count": 1,
        "enqueued_time": datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
        "message_id": "m-1",
    }
    return ReceivedMessage(body=body, **(base | fields))


def decoded(message: ReceivedMessage, *, as_bytes: bool = False) -> Any:
    """What the function gets, by the SDK's own converter."""
    datum: Any = body_datum(message, as_bytes=as_bytes)
    values: Any = metadata(message)
    return ServiceBusMessageInConverter.decode(datum, trigger_metadata=values)


def decoded_batch(messages: list[ReceivedMessage], *, as_bytes: bool = False) -> list[Any]:
    datum: Any = bodies_datum(messages, as_bytes=as_bytes)
    values: Any = batch_metadata(messages)
    found = ServiceBusMessageInConverter.decode(datum, trigger_metadata=values)
    assert isinstance(found, list)
    return found


def test_a_full_message_decodes_to_what_azure_shows() -> None:
    message = decoded(
        received(
            '{"topic": "Ωmega"}'.encode(),
            delivery_count=3,
            expires_at=datetime(2026, 1, 16, 3, 4, 5, tzinfo=UTC),
            session_id="s-1",
            correlation_id="c-1",
            subject="started",
            content_type="application/json",
            to="there",
            reply_to="answers",
            reply_to_session_id="r-1",
            partition_key="p-1",
            transaction_partition_key="tp-1",
            dead_letter_source="tasks",
            application_properties={"kind": "x", "tries": 2, "done": False},
        )
    )
    assert json.loads(message.get_body()) == {"topic": "Ωmega"}
    assert message.message_id == "m-1"
    assert message.delivery_count == 3
    assert message.sequence_number == 7
    assert message.lock_token == TOKEN
    assert message.session_id == "s-1"
    assert message.correlation_id == "c-1"
    assert message.subject == message.label == "started"
    assert message.content_type == "application/json"
    assert (message.to, message.reply_to, message.reply_to_session_id) == ("there", "answers", "r-1")
    assert (message.partition_key, message.transaction_partition_key) == ("p-1", "tp-1")
    assert message.dead_letter_source == "tasks"
    assert message.application_properties == message.user_properties == {"kind": "x", "tries": 2, "done": False}
    # The extension sends these as .NET DateTimes without a kind, so they decode without a time zone.
    assert message.enqueued_time_utc == datetime(2026, 1, 2, 3, 4, 5, 678000)  # noqa: DTZ001
    assert message.expires_at_utc == datetime(2026, 1, 16, 3, 4, 5)  # noqa: DTZ001
    assert message.metadata["EnqueuedTime"] == "2026-01-02T03:04:05.678+00:00"


def test_what_azure_does_not_send_is_not_sent_here() -> None:
    message = decoded(received(b"", application_properties={"DeadLetterReason": "MaxDeliveryCountExceeded"}))
    assert message.get_body() == b""
    assert message.dead_letter_reason is None
    assert message.application_properties["DeadLetterReason"] == "MaxDeliveryCountExceeded"
    for absent in ("session_id", "correlation_id", "subject", "time_to_live", "locked_until", "state", "reply_to"):
        assert getattr(message, absent) is None
    assert set(message.metadata) == {
        "ApplicationProperties",
        "DeliveryCount",
        "EnqueuedTime",
        "EnqueuedTimeUtc",
        "ExpiresAt",
        "ExpiresAtUtc",
        "LockToken",
        "MessageId",
        "SequenceNumber",
        "UserProperties",
    }


def test_a_message_that_never_expires_has_the_largest_expiry() -> None:
    assert decoded(received()).expires_at_utc.year == 9999


def test_a_binary_body_needs_the_binary_data_type() -> None:
    raw = b"\xff\x00\xfe"
    assert decoded(received(raw), as_bytes=True).get_body() == raw
    assert decoded(received(raw)).get_body() == "\N{REPLACEMENT CHARACTER}\x00\N{REPLACEMENT CHARACTER}".encode()
    assert not is_text(received(raw))
    assert is_text(received(b"plain"))


def test_property_types_beyond_json_are_written_as_dotnet_writes_them() -> None:
    properties = {
        "when": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "id": UUID(TOKEN),
        "price": Decimal("1.5"),
        "raw": b"\xff\x01",
        "nothing": None,
    }
    assert decoded(received(application_properties=properties)).application_properties == {
        "when": "2026-01-02T03:04:05Z",
        "id": TOKEN,
        "price": 1.5,
        "raw": "/wE=",
        "nothing": None,
    }


def test_a_batch_decodes_to_one_message_each() -> None:
    messages = [
        received(f"body {n}".encode(), message_id=f"m-{n}", sequence_number=n, application_properties={"n": n})
        for n in range(3)
    ]
    found = decoded_batch(messages)
    assert [each.get_body() for each in found] == [b"body 0", b"body 1", b"body 2"]
    assert [each.message_id for each in found] == ["m-0", "m-1", "m-2"]
    assert [each.sequence_number for each in found] == [0, 1, 2]
    assert [each.delivery_count for each in found] == [1, 1, 1]
    assert [each.application_properties for each in found] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert {each.enqueued_time_utc for each in found} == {datetime(2026, 1, 2, 3, 4, 5, 678000)}  # noqa: DTZ001
    assert [each.get_body() for each in decoded_batch(messages, as_bytes=True)] == [b"body 0", b"body 1", b"body 2"]


def test_a_text_only_some_messages_of_a_batch_have_moves_up_as_in_azure() -> None:
    found = decoded_batch([received(), received(correlation_id="c-2"), received()])
    assert [each.correlation_id for each in found] == ["c-2", None, None]


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"traceparent": TRACE}, TRACE),
        ({"Diagnostic-Id": TRACE}, TRACE),
        ({"Diagnostic-Id": "|a.b."}, ""),
        ({"traceparent": 7}, ""),
        ({}, ""),
    ],
)
def test_the_senders_trace_becomes_the_invocations_parent(properties: dict[str, object], expected: str) -> None:
    assert trace_parent(received(application_properties=properties)) == expected


def test_the_sdks_type_is_the_one_functions_declare() -> None:
    assert isinstance(decoded(received()), func.ServiceBusMessage)
