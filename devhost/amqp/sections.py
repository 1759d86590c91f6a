"""The sections of an AMQP message, found without reading the body.

A message is a run of described values in a fixed order: header, delivery annotations, message annotations, properties,
application properties, body, footer. Source: OASIS AMQP 1.0, part 3.2.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from devhost.amqp.decoding import compound_bounds, decode, skip
from devhost.amqp.encoding import encode, encode_list_of
from devhost.amqp.values import CodecError, Described, Symbol


class Section(IntEnum):
    """Descriptor codes of the sections."""

    HEADER = 0x70
    DELIVERY_ANNOTATIONS = 0x71
    MESSAGE_ANNOTATIONS = 0x72
    PROPERTIES = 0x73
    APPLICATION_PROPERTIES = 0x74
    DATA = 0x75
    SEQUENCE = 0x76
    VALUE = 0x77
    FOOTER = 0x78


#: Sections by their numeric and symbolic descriptors.
_CODES: Mapping[int | str, Section] = {section.value: section for section in Section} | {
    "amqp:header:list": Section.HEADER,
    "amqp:delivery-annotations:map": Section.DELIVERY_ANNOTATIONS,
    "amqp:message-annotations:map": Section.MESSAGE_ANNOTATIONS,
    "amqp:properties:list": Section.PROPERTIES,
    "amqp:application-properties:map": Section.APPLICATION_PROPERTIES,
    "amqp:data:binary": Section.DATA,
    "amqp:amqp-sequence:list": Section.SEQUENCE,
    "amqp:amqp-value:*": Section.VALUE,
    "amqp:footer:map": Section.FOOTER,
}


@dataclass(slots=True)
class Sections:
    """One message taken apart; each part is the encoded value without its descriptor, empty when it is absent."""

    header: bytes = b""
    message_annotations: bytes = b""
    properties: bytes = b""
    application_properties: bytes = b""
    #: Body and footer, with their descriptors.
    body: bytes = b""


def split(payload: bytes) -> Sections:
    """Take a message apart. Raises `CodecError` when it is not one."""
    found = Sections()
    for code, start, value, end in walk(payload):
        if code is Section.HEADER:
            found.header = payload[value:end]
        elif code is Section.MESSAGE_ANNOTATIONS:
            found.message_annotations = payload[value:end]
        elif code is Section.PROPERTIES:
            found.properties = payload[value:end]
        elif code is Section.APPLICATION_PROPERTIES:
            found.application_properties = payload[value:end]
        elif code is not Section.DELIVERY_ANNOTATIONS:
            found.body = payload[start:]
            _check_tail(payload, end)
            break
    return found


def _check_tail(payload: bytes, at: int) -> None:
    for code, _, _, _ in walk(payload, at):
        if code < Section.DATA:
            raise CodecError("a section comes after the body")


def walk(payload: bytes, at: int = 0) -> Iterator[tuple[Section, int, int, int]]:
    """Each section in turn: its code, where it starts, where its value starts, where it ends."""
    size = len(payload)
    while at < size:
        code, value = _descriptor(payload, at)
        end = skip(payload, value)
        yield code, at, value, end
        at = end


def _descriptor(payload: bytes, at: int) -> tuple[Section, int]:
    # Nearly every client writes the descriptor as a small ulong.
    if payload[at : at + 2] == b"\x00\x53" and at + 2 < len(payload):
        number: object = payload[at + 2]
        after = at + 3
    else:
        if payload[at] != 0:
            raise CodecError("a message section must be a described value")
        number, after = decode(payload, at + 1)
    code = _CODES.get(number) if isinstance(number, int | Symbol) else None
    if code is None:
        raise CodecError(f"{number!r} is not a message section")
    return code, after


def describe(code: Section, value: bytes) -> bytes:
    """The section `code` around an encoded value."""
    return b"\x00\x53" + bytes((code,)) + value


def map_entries(raw: bytes) -> Iterator[tuple[object, object, bytes]]:
    """The entries of an encoded map: key, value, and both as they were written."""
    if not raw or raw[0] == 0x40:
        return
    if raw[0] not in (0xC1, 0xD1):
        raise CodecError("this section must be a map")
    count, at, _ = compound_bounds(raw, 1, wide=raw[0] == 0xD1)
    for _ in range(count // 2):
        key, middle = decode(raw, at)
        value, end = decode(raw, middle)
        yield key, value, raw[at:end]
        at = end


def list_items(raw: bytes) -> list[object]:
    """The items of an encoded list (header, properties); none when it is absent."""
    if not raw:
        return []
    items, _ = decode(raw)
    if not isinstance(items, list):
        raise CodecError("this section must be a list")
    return items


def encoded_items(raw: bytes) -> list[bytes]:
    """The items of an encoded list as they were written; none when it is absent."""
    if not raw or raw[0] not in (0xC0, 0xD0):
        return []
    count, at, _ = compound_bounds(raw, 1, wide=raw[0] == 0xD0)
    items = []
    for _ in range(count):
        end = skip(raw, at)
        items.append(raw[at:end])
        at = end
    return items


def first_item(raw: bytes) -> bytes:
    """The first item of an encoded list as it was written; null when there is none."""
    if not raw or raw[0] not in (0xC0, 0xD0):
        return b"\x40"
    count, at, _ = compound_bounds(raw, 1, wide=raw[0] == 0xD0)
    return raw[at : skip(raw, at)] if count else b"\x40"


def data_bodies(payload: bytes) -> list[bytes]:
    """The contents of the data sections: in a batch, one encoded message each."""
    bodies = []
    for code, _, value, _ in walk(payload):
        if code is Section.DATA:
            content, _ = decode(payload, value)
            if not isinstance(content, bytes):
                raise CodecError("a data section must hold binary")
            bodies.append(content)
    return bodies


def value_body(body: bytes) -> object:
    """The value of a message whose body is one value section; None for any other body."""
    if not body:
        return None
    section, _ = decode(body)
    if isinstance(section, Described) and section.descriptor in (Section.VALUE, "amqp:amqp-value:*"):
        return section.value
    return None


def encode_value_message(value: object, *, properties: list[bytes], application_properties: dict[str, object]) -> bytes:
    """A message with a value body; `properties` are the encoded fields of the properties list, in order."""
    return (
        describe(Section.PROPERTIES, encode_list_of(properties))
        + describe(Section.APPLICATION_PROPERTIES, encode(application_properties))
        + describe(Section.VALUE, encode(value))
    )
