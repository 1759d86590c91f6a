"""How messages, properties and entity options are written into the file: JSON text with a tag on what JSON lacks.

The text is ASCII with escapes, so that every string a producer may send can be stored.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from devhost.broker.instants import to_datetime, to_instant
from devhost.broker.model import Message, Scalar

_MICROSECOND = timedelta(microseconds=1)
_TEXTS = (
    "message_id",
    "correlation_id",
    "subject",
    "to",
    "reply_to",
    "reply_to_session_id",
    "content_type",
    "partition_key",
)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why and from where a message came into a dead-letter queue."""

    source: str
    reason: str | None
    description: str | None


def encode_scalar(value: Scalar) -> object:
    """A JSON value; what JSON does not know becomes a one-key object naming the type."""
    match value:
        case None | str() | bool() | int() | float():
            return value
        case bytes():
            return {"bytes": base64.b64encode(value).decode()}
        case datetime():
            return {"datetime": value.isoformat()}
        case UUID():
            return {"uuid": value.hex}
        case Decimal():
            return {"decimal": str(value)}
    raise TypeError(f"{type(value).__name__} is not a property type")


def decode_scalar(value: Any) -> Scalar:
    """The inverse of `encode_scalar`."""
    match value:
        case {"bytes": text}:
            return base64.b64decode(text)
        case {"datetime": text}:
            return datetime.fromisoformat(text)
        case {"uuid": text}:
            return UUID(text)
        case {"decimal": text}:
            return Decimal(text)
    scalar: Scalar = value
    return scalar


def encode_properties(properties: Mapping[str, Scalar]) -> str | None:
    """Application properties as JSON, None when there are none."""
    if not properties:
        return None
    return json.dumps({name: encode_scalar(value) for name, value in properties.items()})


def decode_properties(text: str | None) -> dict[str, Scalar]:
    """The inverse of `encode_properties`."""
    if text is None:
        return {}
    return {name: decode_scalar(value) for name, value in json.loads(text).items()}


def encode_header(message: Message) -> str:
    """The fields that have no column of their own, as JSON, those that are not set left out."""
    fields: dict[str, object] = {name: value for name in _TEXTS if (value := getattr(message, name)) is not None}
    if message.time_to_live is not None:
        fields["time_to_live"] = message.time_to_live // _MICROSECOND
    if message.scheduled_enqueue_time is not None:
        fields["scheduled_enqueue_time"] = to_instant(message.scheduled_enqueue_time)
    return json.dumps(fields)


def decode_message(
    header: str, properties: str | None, *, session_id: str | None, size: int, content: bytes
) -> Message:
    """The message that `encode_header` and `encode_properties` took apart."""
    fields = json.loads(header)
    if "time_to_live" in fields:
        fields["time_to_live"] = timedelta(microseconds=fields["time_to_live"])
    if "scheduled_enqueue_time" in fields:
        fields["scheduled_enqueue_time"] = to_datetime(fields["scheduled_enqueue_time"])
    return Message(
        content=content, size=size, session_id=session_id, properties=decode_properties(properties), **fields
    )


def encode_dead_letter(mark: DeadLetter) -> str:
    """A dead letter's mark as JSON."""
    return json.dumps([mark.source, mark.reason, mark.description])


def decode_dead_letter(text: str | None) -> DeadLetter | None:
    """The inverse of `encode_dead_letter`, None for a message that is no dead letter."""
    return None if text is None else DeadLetter(*json.loads(text))
