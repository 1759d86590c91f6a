"""Values on the wire: what is written is read back, another implementation agrees, and no bytes do harm."""

import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proton import Data, symbol, uint, ulong

from devhost.amqp.decoding import decode, skip
from devhost.amqp.encoding import encode
from devhost.amqp.values import (
    Array,
    CodecError,
    Described,
    Symbol,
    Typed,
    from_milliseconds,
    to_milliseconds,
)

INSTANTS = st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(9999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (bounds carry no zone)
SIMPLE = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.uuids()
    | INSTANTS.map(lambda when: when.replace(microsecond=when.microsecond // 1000 * 1000))
)
VALUES = st.recursive(
    SIMPLE, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5), max_leaves=20
)


@given(VALUES)
def test_what_is_written_is_read_back(value: object) -> None:
    data = encode(value)
    assert decode(data) == (value, len(data))


@given(VALUES, st.binary(max_size=10))
def test_skipping_ends_where_reading_does(value: object, rest: bytes) -> None:
    data = encode(value)
    assert skip(data + rest, 0) == len(data)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_codec_error(data: bytes) -> None:
    for read in (lambda: decode(data), lambda: skip(data, 0)):
        try:
            read()
        except CodecError:
            continue


@given(VALUES, st.data())
def test_a_value_that_is_cut_off_is_refused(value: object, data: st.DataObject) -> None:
    whole = encode(value)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(CodecError):
        decode(cut)
    with pytest.raises(CodecError):
        skip(cut, 0)


@given(VALUES)
def test_proton_reads_what_is_written(value: object) -> None:
    found = Data()
    found.decode(encode(value))
    found.rewind()
    found.next()
    assert plain(found.get_object()) == comparable(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        uint(0),
        uint(200),
        uint(70_000),
        ulong(0),
        ulong(2**63),
        5,
        -5,
        2**40,
        1.25,
        "",
        "text" * 100,
        symbol("sym"),
        b"",
        b"x" * 300,
        UUID(int=5),
        [],
        [1, "two", [3]],
        {"k": {"n": 1}},
    ],
    ids=repr,
)
def test_what_proton_writes_is_read(value: Any) -> None:
    written = Data()
    written.put_object(value)
    raw = bytes(written.encode())
    assert decode(raw) == (value, len(raw))


def plain(value: object) -> object:
    """What Proton read, without its types."""
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, memoryview):
        return bytes(value)
    return value


def comparable(value: object) -> object:
    """What Proton makes of a value: it knows instants as milliseconds."""
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return to_milliseconds(value) if isinstance(value, datetime) else value


@pytest.mark.parametrize(
    ("value", "constructor"),
    [
        (Typed("long", 1), 0x81),
        (Typed("int", 1), 0x71),
        (Typed("uint", 1), 0x70),
        (Typed("ubyte", 1), 0x50),
        (Typed("ulong", 1), 0x53),
        (Typed("ulong", 300), 0x80),
        (1, 0x71),
        (2**31, 0x81),
        (Symbol("s"), 0xA3),
        ("s", 0xA1),
        ("s" * 256, 0xB1),
        (datetime(2026, 1, 1, tzinfo=UTC), 0x83),
        (True, 0x41),
    ],
    ids=repr,
)
def test_a_value_is_written_with_the_type_it_should_have(value: object, constructor: int) -> None:
    assert encode(value)[0] == constructor


@pytest.mark.parametrize(
    ("array", "items"),
    [
        (Array("long", [1, -(2**62)]), [1, -(2**62)]),
        (Array("uuid", [UUID(int=1)]), [UUID(int=1)]),
        (Array("string", ["a", "ü"]), ["a", "ü"]),
        (Array("symbol", ["PLAIN"]), ["PLAIN"]),
        (Array("timestamp", [datetime(2026, 1, 1, tzinfo=UTC)]), [datetime(2026, 1, 1, tzinfo=UTC)]),
        (Array("long", []), []),
    ],
    ids=repr,
)
def test_an_array_is_read_as_a_list(array: Array, items: list[object]) -> None:
    assert decode(encode(array))[0] == items


def test_a_described_value_keeps_its_descriptor() -> None:
    assert decode(encode(Described(Typed("ulong", 0x13700000004), ["x"])))[0] == Described(0x13700000004, ["x"])


def test_a_decimal_is_written_digit_for_digit() -> None:
    assert decode(encode(Decimal("12345678901234567890.10")))[0] == "12345678901234567890.10"


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, 2**64, Typed("ubyte", 256), timedelta(1)], ids=lambda value: type(value).__name__
)
def test_what_amqp_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(CodecError):
        encode(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x3f",
        b"\xa1\x05abc",
        b"\xb1\xff\xff\xff\xffabc",
        b"\xa1\x02\xff\xff",
        b"\xa3\x01\xff",
        b"\xc1\x03\x02\xc0\x01\x00\x40",
        b"\xd0\x00\x00\x00\x10\xff\xff\xff\xff\x40",
        b"\xf0\x00\x00\x00\x05\x7f\xff\xff\xff\x40",
        b"\xe0\x02\x01\x3f",
        b"\x73\xff\xff\xff\xff",
    ],
    ids=bytes.hex,
)
def test_bytes_that_are_no_value_are_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        decode(data)


def test_a_value_nested_too_deep_is_refused() -> None:
    deep = b"\x40"
    for _ in range(5000):
        deep = b"\xd0" + struct.pack(">II", len(deep) + 4, 1) + deep
    with pytest.raises(CodecError):
        decode(deep)
    with pytest.raises(CodecError):
        skip(b"\x00" * 5000, 0)


def test_an_instant_outside_the_calendar_is_its_nearest_end() -> None:
    assert from_milliseconds(253_402_300_800_000).year == 9999
    assert from_milliseconds(-(2**62)).year == 1
    assert from_milliseconds(to_milliseconds(datetime(2026, 3, 4, 5, 6, 7, 8000, tzinfo=UTC))).microsecond == 8000
