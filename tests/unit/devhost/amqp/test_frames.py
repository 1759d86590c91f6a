"""Message formats, read off frames that may be cut anywhere."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhost.amqp.encoding import encode
from devhost.amqp.frames import TransferFormats
from devhost.amqp.messages import BATCH_FORMAT
from devhost.amqp.values import Described, Typed

HEADER = b"AMQP\x00\x01\x00\x00"
EMPTY = struct.pack(">IBBH", 8, 2, 0, 0)
ATTACH, TRANSFER, DETACH, END = 0x12, 0x14, 0x16, 0x17


def frame(code: int, fields: list[object], payload: bytes = b"", channel: int = 0) -> bytes:
    body = encode(Described(Typed("ulong", code), fields)) + payload
    return struct.pack(">IBBH", 8 + len(body), 2, 0, channel) + body


def attach(name: str, handle: int, *, receives: bool = False, channel: int = 0) -> bytes:
    return frame(ATTACH, [name, Typed("uint", handle), receives], channel=channel)


def transfer(
    handle: int, message_format: int | None, *, more: bool = False, payload: bytes = b"x", channel: int = 0
) -> bytes:
    stated = None if message_format is None else Typed("uint", message_format)
    return frame(TRANSFER, [Typed("uint", handle), Typed("uint", 0), b"tag", stated, None, more], payload, channel)


def formats(stream: bytes, name: str, count: int, *, step: int | None = None) -> list[int]:
    reader = TransferFormats()
    for at in range(0, len(stream), step or len(stream)):
        reader.feed(stream[at : at + (step or len(stream))])
    return [reader.take(name) for _ in range(count)]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 400)), max_size=8), st.integers(1, 300))
def test_every_delivery_has_the_format_it_was_sent_with_however_the_bytes_are_cut(
    deliveries: list[tuple[bool, int]], step: int
) -> None:
    stream = HEADER + attach("link", 3)
    for batch, size in deliveries:
        stream += transfer(3, BATCH_FORMAT if batch else 0, payload=b"p" * size) + EMPTY
    expected = [BATCH_FORMAT if batch else 0 for batch, _ in deliveries]
    assert formats(stream, "link", len(deliveries), step=step) == expected


def test_a_delivery_of_several_frames_is_one() -> None:
    stream = HEADER + attach("link", 1)
    stream += transfer(1, BATCH_FORMAT, more=True) + transfer(1, None, more=True) + transfer(1, None) + transfer(1, 0)
    assert formats(stream, "link", 2) == [BATCH_FORMAT, 0]


def test_links_and_channels_are_kept_apart() -> None:
    stream = HEADER + attach("a", 0) + attach("b", 1) + attach("c", 0, channel=7)
    stream += transfer(1, BATCH_FORMAT) + transfer(0, 0) + transfer(0, 5, channel=7)
    reader = TransferFormats()
    reader.feed(stream)
    assert (reader.take("a"), reader.take("b"), reader.take("c")) == (0, BATCH_FORMAT, 5)


def test_a_handle_used_again_belongs_to_the_new_link() -> None:
    stream = HEADER + attach("old", 0) + transfer(0, BATCH_FORMAT)
    stream += frame(DETACH, [Typed("uint", 0), True]) + attach("new", 0) + transfer(0, 9)
    reader = TransferFormats()
    reader.feed(stream)
    assert (reader.take("old"), reader.take("new")) == (BATCH_FORMAT, 9)


def test_a_session_s_end_frees_its_handles() -> None:
    stream = HEADER + attach("a", 0) + frame(END, []) + transfer(0, BATCH_FORMAT)
    assert formats(stream, "a", 1) == [0]


def test_transfers_on_links_that_are_not_known_are_passed_over() -> None:
    assert formats(HEADER + transfer(5, BATCH_FORMAT) + attach("link", 0) + transfer(0, 3), "link", 1) == [3]


@pytest.mark.parametrize("name", ["x" * 3000, "ü" * 100])
def test_a_link_name_may_be_long(name: str) -> None:
    assert formats(HEADER + attach(name, 0) + transfer(0, 4), name, 1, step=50) == [4]


@given(st.binary(max_size=300))
def test_no_bytes_raise_an_error(data: bytes) -> None:
    TransferFormats().feed(HEADER + data)
