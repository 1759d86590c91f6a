"""The handshake that opens a connection, cut anywhere."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhost.amqp.decoding import decode
from devhost.amqp.encoding import encode
from devhost.amqp.sasl import AMQP_HEADER, MECHANISMS, SASL_HEADER, Handshake, HandshakeError
from devhost.amqp.values import Described, Symbol, Typed


def sasl_frame(code: int, fields: list[object], kind: int = 1) -> bytes:
    body = encode(Described(Typed("ulong", code), fields))
    return struct.pack(">IBBH", 8 + len(body), 2, kind, 0) + body


def choice(mechanism: str) -> bytes:
    return SASL_HEADER + sasl_frame(0x41, [Symbol(mechanism), b"\0me\0secret", "localhost"])


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_every_mechanism_on_offer_is_accepted(mechanism: str) -> None:
    handshake = Handshake()
    assert handshake.feed(choice(mechanism)) == b""
    assert handshake.done
    offered, outcome = split_frames(bytes(handshake.output))
    assert offered.value == [list(MECHANISMS)]
    assert (outcome.descriptor, outcome.value) == (0x44, [0])


def split_frames(output: bytes) -> tuple[Described, Described]:
    """The two frames after the header."""
    assert output.startswith(SASL_HEADER)
    first = int.from_bytes(output[8:12])
    frames = decode(output[16 : 8 + first])[0], decode(output[8 + first + 8 :])[0]
    assert all(isinstance(each, Described) for each in frames)
    return frames  # type: ignore[return-value]


@given(st.integers(1, 60))
def test_what_follows_the_handshake_belongs_to_the_next_layer(step: int) -> None:
    stream, handshake, rest = choice("ANONYMOUS") + AMQP_HEADER + b"open", Handshake(), b""
    for at in range(0, len(stream), step):
        piece = stream[at : at + step]
        rest += piece if handshake.done else handshake.feed(piece)
    assert rest == AMQP_HEADER + b"open"


def test_a_client_may_leave_the_security_layer_out() -> None:
    handshake = Handshake()
    assert handshake.feed(AMQP_HEADER + b"open") == AMQP_HEADER + b"open"
    assert (handshake.done, bytes(handshake.output)) == (True, b"")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"AMQP\x00\x00\x09\x01",
        b"AMQP\x02\x01\x00\x00",
        b"\x16\x03\x01",
        SASL_HEADER + b"\x00\x00\x00\x07\x02\x01\x00\x00",
        SASL_HEADER + b"\x00\x00\xff\xff\x02\x01\x00\x00",
        SASL_HEADER + sasl_frame(0x41, [Symbol("ANONYMOUS")], kind=0),
        SASL_HEADER + sasl_frame(0x44, [Symbol("ANONYMOUS")]),
        SASL_HEADER + sasl_frame(0x41, []),
        SASL_HEADER + b"\x00\x00\x00\x0a\x02\x01\x00\x00\xff\xff",
    ],
    ids=bytes.hex,
)
def test_a_peer_that_speaks_something_else_is_told_what_is_spoken_here(data: bytes) -> None:
    handshake = Handshake()
    with pytest.raises(HandshakeError):
        handshake.feed(data)
    assert bytes(handshake.output).startswith(SASL_HEADER)


def test_a_mechanism_that_is_not_on_offer_is_refused() -> None:
    handshake = Handshake()
    with pytest.raises(HandshakeError, match="GSSAPI"):
        handshake.feed(choice("GSSAPI"))
    assert split_frames(bytes(handshake.output))[1].value == [1]
