"""Messages as the Functions host hands them to a Python function: the trigger's value and its metadata.

The names and encodings are those of the Service Bus extension 5.x (its binding data) after the host's conversion to
the worker protocol: texts as text, numbers, times and properties as JSON, absent values left out. So
`func.ServiceBusMessage` shows here what it shows in Azure. That includes what Azure does not send: `time_to_live`,
`locked_until`, `state` and `dead_letter_reason` are None there too, and the reason for dead-lettering is found in
`application_properties["DeadLetterReason"]`.

In a batch each value becomes an array. The host leaves empty texts out of arrays of texts, because the Python worker
does not ask for them, so a property that only some messages have moves up to the first ones, as it does in Azure.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from azure_functions_runtime.bindings.datumdef import Datum

from devhost.triggers.service_bus_receiver import ReceivedMessage
from devhost.triggers.timespan import write_datetime

# DateTimeOffset.MaxValue: what the extension sends for a message that never expires.
_NEVER: Final = "9999-12-31T23:59:59.9999999"
_TRACE_PARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
TRACE_PROPERTIES: Final = ("traceparent", "Diagnostic-Id")


@dataclass(frozen=True, slots=True)
class CollectionString:
    """The worker protocol's array of texts, as `Datum` reads it."""

    string: Sequence[str]


@dataclass(frozen=True, slots=True)
class CollectionBytes:
    """The worker protocol's array of bytes, as `Datum` reads it."""

    bytes: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class CollectionSInt64:
    """The worker protocol's array of 64-bit numbers, as `Datum` reads it."""

    sint64: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Raw:
    """A value that travels as JSON, such as a .NET DateTime."""

    json: object


def _expiry(message: ReceivedMessage, *, offset: bool) -> _Raw:
    if message.expires_at is None:
        return _Raw(f"{_NEVER}+00:00" if offset else _NEVER)
    return _Raw(write_datetime(message.expires_at, offset=offset))


# `...Utc` are .NET DateTimes taken from an offset: they lose their kind, and with it the suffix, on the way.
_METADATA: Final[Mapping[str, Callable[[ReceivedMessage], str | _Raw | int | None]]] = {
    "DeliveryCount": lambda m: _Raw(m.delivery_count),
    "DeadLetterSource": lambda m: m.dead_letter_source,
    "LockToken": lambda m: m.lock_token,
    "ExpiresAtUtc": lambda m: _expiry(m, offset=False),
    "ExpiresAt": lambda m: _expiry(m, offset=True),
    "EnqueuedTimeUtc": lambda m: _Raw(write_datetime(m.enqueued_time, offset=False)),
    "EnqueuedTime": lambda m: _Raw(write_datetime(m.enqueued_time)),
    "MessageId": lambda m: m.message_id,
    "ContentType": lambda m: m.content_type,
    "ReplyTo": lambda m: m.reply_to,
    "SequenceNumber": lambda m: m.sequence_number,
    "To": lambda m: m.to,
    "Subject": lambda m: m.subject,
    "Label": lambda m: m.subject,
    "CorrelationId": lambda m: m.correlation_id,
    "ApplicationProperties": lambda m: _Raw(dict(m.application_properties)),
    "UserProperties": lambda m: _Raw(dict(m.application_properties)),
    "SessionId": lambda m: m.session_id,
    "ReplyToSessionId": lambda m: m.reply_to_session_id,
    "PartitionKey": lambda m: m.partition_key,
    "TransactionPartitionKey": lambda m: m.transaction_partition_key,
}


def body_datum(message: ReceivedMessage, *, as_bytes: bool) -> Datum:
    """The body of one message: text (bytes that are not UTF-8 are replaced, as the host does), or bytes untouched."""
    return Datum(message.body, "bytes") if as_bytes else Datum(_text(message), "string")


def metadata(message: ReceivedMessage) -> dict[str, Datum]:
    """The trigger metadata of one message."""
    values = ((name, read(message)) for name, read in _METADATA.items())
    return {name: _single(value) for name, value in values if value is not None}


def bodies_datum(messages: Sequence[ReceivedMessage], *, as_bytes: bool) -> Datum:
    """The bodies of a batch."""
    if as_bytes:
        return Datum(CollectionBytes([message.body for message in messages]), "collection_bytes")
    return _texts([_text(message) for message in messages])


def batch_metadata(messages: Sequence[ReceivedMessage]) -> dict[str, Datum]:
    """The trigger metadata of a batch: an array for each name."""
    return {f"{name}Array": _array([read(message) for message in messages]) for name, read in _METADATA.items()}


def trace_parent(message: ReceivedMessage) -> str:
    """The W3C trace the sender put into the message's properties; empty when there is none."""
    for name in TRACE_PROPERTIES:
        value = message.application_properties.get(name)
        if isinstance(value, str) and _TRACE_PARENT.fullmatch(value):
            return value
    return ""


def is_text(message: ReceivedMessage) -> bool:
    """Whether the body survives being handed over as text."""
    try:
        message.body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _text(message: ReceivedMessage) -> str:
    return message.body.decode("utf-8", "replace")


def _single(value: str | _Raw | int) -> Datum:
    if isinstance(value, str):
        return Datum(value, "string")
    return Datum(_to_json(value.json if isinstance(value, _Raw) else value), "json")


def _array(values: Sequence[str | _Raw | int | None]) -> Datum:
    if any(isinstance(value, _Raw) for value in values):
        return Datum(_to_json([value.json if isinstance(value, _Raw) else value for value in values]), "json")
    if any(isinstance(value, int) for value in values):
        return Datum(CollectionSInt64([value for value in values if isinstance(value, int)]), "collection_sint64")
    return _texts([value if isinstance(value, str) else "" for value in values])


def _texts(values: Sequence[str]) -> Datum:
    return Datum(CollectionString([value for value in values if value]), "collection_string")


def _to_json(value: object) -> str:
    return json.dumps(value, default=_dotnet, ensure_ascii=False)


def _dotnet(value: Any) -> object:
    """Property types that JSON lacks, as Newtonsoft.Json writes them."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime):
        return f"{write_datetime(value.astimezone(UTC), offset=False)}Z"
    if isinstance(value, Decimal):
        return float(value)
    return str(value)
