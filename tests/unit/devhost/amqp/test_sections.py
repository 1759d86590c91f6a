"""The sections of a message, found and put together."""

import pytest
from proton import Message as StockMessage
from proton import symbol

from devhost.amqp.encoding import encode
from devhost.amqp.sections import (
    Section,
    data_bodies,
    describe,
    encode_value_message,
    encoded_items,
    first_item,
    map_entries,
    split,
    value_body,
    walk,
)
from devhost.amqp.values import CodecError, Described, Symbol, Typed

DATA = describe(Section.DATA, encode(b"body"))


def test_a_message_is_taken_apart_into_its_sections() -> None:
    stock = StockMessage(
        body={"k": 1},
        durable=True,
        annotations={symbol("a"): 1},
        properties={"p": 2},
        instructions={symbol("d"): 3},
        subject="s",
    )
    found = split(stock.encode())
    assert dict(entry[:2] for entry in map_entries(found.message_annotations)) == {"a": 1}
    assert dict(entry[:2] for entry in map_entries(found.application_properties)) == {"p": 2}
    assert value_body(found.body) == {"k": 1}
    assert found.header


def test_what_is_absent_is_empty() -> None:
    found = split(DATA)
    assert (found.header, found.message_annotations, found.properties, found.application_properties) == (b"",) * 4
    assert found.body == DATA
    assert split(b"").body == b""


def test_body_and_footer_are_kept_together_byte_for_byte() -> None:
    tail = DATA + DATA + describe(Section.FOOTER, encode({"f": 1}))
    assert split(describe(Section.PROPERTIES, encode([])) + tail).body == tail


def test_descriptors_may_be_written_in_any_of_their_forms() -> None:
    wide = b"\x00\x80" + (0x75).to_bytes(8) + encode(b"x")
    named = encode(Described(Symbol("amqp:data:binary"), b"x"))
    for payload in (wide, named):
        assert [section for section, *_ in walk(payload)] == [Section.DATA]


@pytest.mark.parametrize(
    "payload",
    [
        b"garbage",
        b"\x00",
        b"\x00\x53",
        b"\x00\x53\x75",
        b"\x00\x53\x99\x40",
        encode(Described(Symbol("amqp:unknown"), 1)),
        encode(Described("text", 1)),
        DATA[:-1],
        DATA + describe(Section.HEADER, encode([])),
        DATA + b"\x00",
    ],
    ids=bytes.hex,
)
def test_what_is_no_message_is_refused(payload: bytes) -> None:
    with pytest.raises(CodecError):
        split(payload)


def test_a_batch_s_messages_are_its_data_sections() -> None:
    envelope = describe(Section.PROPERTIES, encode(["id"]))
    assert data_bodies(envelope + DATA + describe(Section.DATA, encode(b"second"))) == [b"body", b"second"]
    with pytest.raises(CodecError):
        data_bodies(describe(Section.DATA, encode("text")))


def test_the_first_item_of_a_list_keeps_its_wire_type() -> None:
    assert first_item(encode([Typed("ulong", 7), "x"])) == encode(Typed("ulong", 7))
    assert first_item(encode([])) == first_item(b"") == encode(None)
    assert encoded_items(encode([Typed("ulong", 7), "x"])) == [encode(Typed("ulong", 7)), encode("x")]


def test_a_map_that_is_none_is_refused() -> None:
    with pytest.raises(CodecError):
        list(map_entries(encode([1, 2])))
    assert list(map_entries(encode(None))) == []


def test_a_response_is_a_message_that_another_implementation_reads() -> None:
    raw = encode_value_message(
        {"k": [1]}, properties=[encode(None)] * 5 + [encode("id")], application_properties={"a": 1}
    )
    stock = StockMessage()
    stock.decode(raw)
    assert (stock.correlation_id, stock.properties, stock.body) == ("id", {"a": 1}, {"k": [1]})
