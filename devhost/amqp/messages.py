"""Between AMQP messages and the broker's: what a producer sent goes in, what a consumer must get comes out.

The broker carries the encoded message as its `content`, unread; the fields it acts on are copied out of it. On the way
out the same bytes are handed back, with the header, the system annotations and changed application properties written
anew. Source: "AMQP 1.0 in Azure Service Bus" protocol guide (message mapping).
"""

import struct
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import cast
from uuid import UUID, uuid4

from devhost.amqp import sections
from devhost.amqp.encoding import encode, encode_list_of, encode_map_of, encode_string, encode_symbol
from devhost.amqp.sections import Section, Sections, describe
from devhost.amqp.values import CodecError, Symbol, Typed, to_milliseconds
from devhost.broker.model import Delivery, Message, Scalar

#: The message format of a batch: data sections that each hold one encoded message.
BATCH_FORMAT = 0x80013700

SCHEDULED = "x-opt-scheduled-enqueue-time"
PARTITION_KEY = "x-opt-partition-key"
#: Annotations that only the broker writes; a client's copies (from a message sent on) are dropped.
_OWNED = frozenset(
    (
        "x-opt-sequence-number",
        "x-opt-enqueue-sequence-number",
        "x-opt-enqueued-time",
        "x-opt-locked-until",
        "x-opt-message-state",
        "x-opt-deadletter-source",
        "x-opt-lock-token",
    )
)
_UINT_MAX = 2**32 - 1
_SCALARS = frozenset((str, int, float, bool, bytes, datetime, UUID, Decimal, type(None)))


def parse(payload: bytes) -> Message:
    """One encoded message as the broker takes it. Raises `CodecError` when it is not a message."""
    found = sections.split(payload)
    header = _fields(found.header, 5)
    fields = _fields(found.properties, 13)
    annotations = {str(key): value for key, value, _ in sections.map_entries(found.message_annotations)}
    scheduled = annotations.get(SCHEDULED)
    return Message(
        content=payload,
        size=len(payload),
        # As the service does, for clients that tell messages apart by it.
        message_id=uuid4().hex if fields[0] is None else _identifier(fields[0]),
        to=_text(fields[2]),
        subject=_text(fields[3]),
        reply_to=_text(fields[4]),
        correlation_id=_identifier(fields[5]),
        content_type=_text(fields[6]),
        session_id=_text(fields[10]),
        reply_to_session_id=_text(fields[12]),
        partition_key=_text(annotations.get(PARTITION_KEY)),
        time_to_live=_time_to_live(header[2], expires=fields[8], created=fields[9]),
        scheduled_enqueue_time=scheduled if isinstance(scheduled, datetime) else None,
        properties=application_properties(found.application_properties),
    )


def parse_batch(payload: bytes) -> list[Message]:
    """The messages of a batch. Raises `CodecError` when there are none."""
    messages = [parse(body) for body in sections.data_bodies(payload)]
    if not messages:
        raise CodecError("a batch holds no messages")
    return messages


def application_properties(raw: bytes) -> dict[str, Scalar]:
    """An encoded map as application properties. Raises `CodecError` for a value that is not a simple type."""
    return {str(key): scalar(key, value) for key, value, _ in sections.map_entries(raw)}


def scalar(key: object, value: object) -> Scalar:
    """`value` as the broker keeps it. Raises `CodecError` when it is not a simple type."""
    if type(value) in _SCALARS:
        return cast(Scalar, value)
    if isinstance(value, Symbol):
        return str(value)
    raise CodecError(f"the application property {key!s} is of a type that is not supported")


def _fields(raw: bytes, count: int) -> list[object]:
    items = sections.list_items(raw)
    return items + [None] * (count - len(items))


def _text(value: object) -> str | None:
    return None if value is None or not isinstance(value, str) else str(value)


def _identifier(value: object) -> str | None:
    # Message ids may be numbers, UUIDs or bytes; the broker compares text.
    if value is None or isinstance(value, str):
        return None if value is None else str(value)
    return value.hex() if isinstance(value, bytes) else str(value)


def _time_to_live(milliseconds: object, *, expires: object, created: object) -> timedelta | None:
    # A time to live over 49 days does not fit the header; clients then say it with the two instants.
    too_long = milliseconds is None or milliseconds == _UINT_MAX
    if too_long and isinstance(expires, datetime) and isinstance(created, datetime) and expires > created:
        return expires - created
    if not isinstance(milliseconds, int):
        return None
    if milliseconds > _UINT_MAX:
        raise CodecError(f"a time to live of {milliseconds} ms is not a uint")
    return timedelta(milliseconds=milliseconds)


def encode_delivery(delivery: Delivery) -> bytes:
    """The message as a consumer gets it: what was sent, with the broker's header and annotations."""
    message = delivery.message
    found = _sections_of(message)
    parts = [
        describe(Section.HEADER, _header(found.header, delivery)),
        describe(Section.MESSAGE_ANNOTATIONS, _annotations(found.message_annotations, delivery)),
    ]
    fixed = _with_identifier(found.properties, message.message_id)
    if fixed:
        parts.append(describe(Section.PROPERTIES, fixed))
    properties = _merged_properties(found.application_properties, _with_dead_letter_cause(delivery))
    if properties:
        parts.append(describe(Section.APPLICATION_PROPERTIES, properties))
    parts.append(found.body)
    return b"".join(parts)


def _sections_of(message: Message) -> Sections:
    try:
        return sections.split(message.content)
    except CodecError:
        # Put in by someone in this process who had plain bytes, and not an AMQP message, to send.
        return _plain(message)


def _plain(message: Message) -> Sections:
    fields: list[bytes] = [b"\x40"] * 13
    places = {
        0: message.message_id,
        2: message.to,
        3: message.subject,
        4: message.reply_to,
        5: message.correlation_id,
        10: message.session_id,
        12: message.reply_to_session_id,
    }
    for place, text in places.items():
        if text is not None:
            fields[place] = encode_string(text)
    if message.content_type is not None:
        fields[6] = encode_symbol(message.content_type)
    return Sections(properties=encode_list_of(fields), body=describe(Section.DATA, encode(message.content)))


def _with_identifier(raw: bytes, message_id: str | None) -> bytes:
    """The properties as they were sent, with the message id that was given to a message without one."""
    if message_id is None or sections.first_item(raw) != b"\x40":
        return raw
    return encode_list_of([encode_string(message_id), *sections.encoded_items(raw)[1:]])


def _header(raw: bytes, delivery: Delivery) -> bytes:
    durable, priority, *_ = _fields(raw, 2)
    lifetime = delivery.message.time_to_live
    if delivery.expires_at is not None:
        lifetime = delivery.expires_at - delivery.enqueued_time
    return encode_list_of(
        (
            encode(durable),
            b"\x40" if not isinstance(priority, int) else encode(Typed("ubyte", priority)),
            b"\x40" if lifetime is None else struct.pack(">BI", 0x70, _milliseconds(lifetime)),
            b"\x40",
            struct.pack(">BI", 0x70, delivery.delivery_count),
        )
    )


def _milliseconds(lifetime: timedelta) -> int:
    return max(0, min(_UINT_MAX, lifetime // timedelta(milliseconds=1)))


_SEQUENCE_NUMBER = encode_symbol("x-opt-sequence-number") + b"\x81"
_ENQUEUE_SEQUENCE_NUMBER = encode_symbol("x-opt-enqueue-sequence-number") + b"\x81"
_ENQUEUED_TIME = encode_symbol("x-opt-enqueued-time") + b"\x83"
_LOCKED_UNTIL = encode_symbol("x-opt-locked-until") + b"\x83"
_MESSAGE_STATE = encode_symbol("x-opt-message-state") + b"\x71"
_DEAD_LETTER_SOURCE = encode_symbol("x-opt-deadletter-source")
_LONG = struct.Struct(">q").pack
_INT = struct.Struct(">i").pack


def _annotations(raw: bytes, delivery: Delivery) -> bytes:
    pairs = [
        _SEQUENCE_NUMBER + _LONG(delivery.sequence_number),
        _ENQUEUE_SEQUENCE_NUMBER + _LONG(delivery.enqueued_sequence_number),
        _ENQUEUED_TIME + _LONG(to_milliseconds(delivery.enqueued_time)),
        _MESSAGE_STATE + _INT(delivery.state),
    ]
    if delivery.locked_until is not None:
        pairs.append(_LOCKED_UNTIL + _LONG(to_milliseconds(delivery.locked_until)))
    if delivery.dead_letter_source is not None:
        pairs.append(_DEAD_LETTER_SOURCE + encode_string(delivery.dead_letter_source))
    pairs += [entry for key, _, entry in sections.map_entries(raw) if key not in _OWNED]
    return encode_map_of(pairs)


def _with_dead_letter_cause(delivery: Delivery) -> Mapping[str, Scalar]:
    properties = delivery.message.properties
    cause = {
        "DeadLetterReason": delivery.dead_letter_reason,
        "DeadLetterErrorDescription": delivery.dead_letter_description,
    }
    known = {name: text for name, text in cause.items() if text is not None}
    return {**properties, **known} if known else properties


def _merged_properties(raw: bytes, current: Mapping[str, Scalar]) -> bytes:
    """The application properties as they are now; an unchanged one keeps the bytes, and so the wire type, it had."""
    if not raw and not current:
        return b""
    missing = object()
    entries = []
    kept = set()
    for key, value, entry in sections.map_entries(raw):
        name = str(key)
        now = current.get(name, missing)
        before = scalar(key, value)
        if now is missing:
            continue
        kept.add(name)
        unchanged = now == before and type(now) is type(before)
        entries.append(entry if unchanged else encode_string(name) + encode(now))
    entries += [encode_string(name) + encode(value) for name, value in current.items() if name not in kept]
    return encode_map_of(entries)
