"""The stock client's received message as the triggers' own value."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.amqp import AmqpMessageBodyType

from devhost.triggers.service_bus_receiver import ReceivedMessage

_VIA_PARTITION_KEY: Final = b"x-opt-via-partition-key"


def received_message(message: ServiceBusReceivedMessage) -> ReceivedMessage:
    """The client's message as the triggers' own value."""
    return ReceivedMessage(
        body=_body(message),
        lock_token=str(message.lock_token or ""),
        sequence_number=message.sequence_number or 0,
        delivery_count=(message.delivery_count or 0) + 1,
        enqueued_time=message.enqueued_time_utc or datetime.min.replace(tzinfo=UTC),
        expires_at=_expires_at(message),
        locked_until=message.locked_until_utc,
        message_id=_text(message.message_id) or "",
        session_id=_text(message.session_id),
        correlation_id=_text(message.correlation_id),
        subject=_text(message.subject),
        content_type=_text(message.content_type),
        to=_text(message.to),
        reply_to=_text(message.reply_to),
        reply_to_session_id=_text(message.reply_to_session_id),
        partition_key=_text(message.partition_key),
        transaction_partition_key=_text((message.raw_amqp_message.annotations or {}).get(_VIA_PARTITION_KEY)),
        dead_letter_source=_text(message.dead_letter_source),
        application_properties=_properties(message.application_properties or {}),
        handle=message,
    )


def _body(message: ServiceBusReceivedMessage) -> bytes:
    body: Any = message.body
    if message.body_type == AmqpMessageBodyType.DATA:
        return b"".join(body)
    if message.body_type == AmqpMessageBodyType.SEQUENCE:
        return json.dumps(_plain(list(body)), default=str).encode()
    if body is None or isinstance(body, bytes):
        return body or b""
    return body.encode() if isinstance(body, str) else json.dumps(_plain(body), default=str).encode()


def _plain(value: Any) -> Any:
    """An AMQP value or sequence with its bytes, keys included, as texts."""
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return _text(value) if isinstance(value, bytes) else value


def _expires_at(message: ServiceBusReceivedMessage) -> datetime | None:
    try:
        return message.expires_at_utc
    except OverflowError:
        return None


def _properties(raw: Mapping[Any, Any]) -> dict[str, Any]:
    """Names and texts arrive as bytes, as binary values do: what is UTF-8 becomes text."""
    return {_text(key) or "": _value(value) for key, value in raw.items()}


def _value(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
