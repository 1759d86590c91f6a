"""Bytes that are not AMQP 1.0, or not where they belong: the connection ends with the right error and one log line."""

import asyncio
import struct

import pytest

from devhost.amqp.encoding import encode
from tests.support.amqp_ground import Bystander, Ground
from tests.support.amqp_wire import (
    AMQP_HEADER,
    SASL_HEADER,
    Code,
    attach_sender,
    begin_frame,
    composite,
    described,
    flow,
    frame,
    message,
    open_frame,
    performative,
    sasl_init,
    transfer,
    uint,
)
from tests.support.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

_NO_HEADER = {
    "a web request": b"GET / HTTP/1.1\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01",
    "zeros": bytes(64),
    "an older AMQP": b"AMQP\x00\x00\x09\x01",
    "a header that breaks off wrong": b"AMQX",
}


@pytest.mark.parametrize("said", _NO_HEADER.values(), ids=_NO_HEADER)
async def test_a_peer_that_begins_with_anything_but_amqp_is_told_what_is_spoken_and_closed(
    ground: Ground, said: bytes
) -> None:
    wire = await ground.connect()
    await wire.say(said)
    assert await wire.ended() == SASL_HEADER
    assert "not an AMQP 1.0 header" in await ground.line()


_NO_SASL = {
    "a frame shorter than its header": struct.pack(">IBBH", 7, 2, 1, 0),
    "a frame of four gigabytes": struct.pack(">IBBH", 2**32 - 1, 2, 1, 0),
    "an offset before the body": struct.pack(">IBBH", 16, 1, 1, 0) + bytes(8),
    "an offset beyond the frame": struct.pack(">IBBH", 16, 200, 1, 0) + bytes(8),
    "a frame of another kind": open_frame(),
    "a body that is no value": frame(b"\x00\x53\x41\xc0\xff\x00", kind=1),
    "another word than a choice": performative(0x43, b"", kind=1),
    "web text": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("said", _NO_SASL.values(), ids=_NO_SASL)
async def test_a_peer_that_breaks_the_choice_of_mechanism_is_closed(ground: Ground, said: bytes) -> None:
    wire = await ground.connect()
    await wire.say(SASL_HEADER, said)
    assert (await wire.ended()).startswith(SASL_HEADER)
    assert "SASL" in await ground.line()


async def test_a_peer_that_asks_for_a_mechanism_not_offered_is_refused_and_closed(ground: Ground) -> None:
    wire = await ground.connect()
    await wire.say(SASL_HEADER, sasl_init("SCRAM-SHA-512"))
    # The code of an authentication that failed, in an outcome's only field.
    assert (await wire.ended()).endswith(b"\x00\x53\x44\xc0\x03\x01\x50\x01")
    assert "'SCRAM-SHA-512' is not offered" in await ground.line()


@pytest.mark.parametrize("said", [b"", b"AMQP", SASL_HEADER, SASL_HEADER + sasl_init()[:9]])
async def test_a_peer_that_leaves_during_the_handshake_leaves_nothing_behind(ground: Ground, said: bytes) -> None:
    wire = await ground.connect()
    await wire.say(said)
    await wire.close()
    assert "closed before it was opened" in await ground.line()


async def test_peers_that_take_too_long_to_open_are_closed_while_others_are_served(ground: Ground) -> None:
    listener = await ground.listen(handshake_seconds=1.0)
    beginnings = [
        b"",
        AMQP_HEADER[:5],
        SASL_HEADER,
        SASL_HEADER + sasl_init()[:10],
        SASL_HEADER + sasl_init(),
        AMQP_HEADER,
        AMQP_HEADER + open_frame()[:-3],
    ]
    wires = [await ground.connect(listener) for _ in beginnings]
    for wire, said in zip(wires, beginnings, strict=True):
        await wire.say(said)
    await eventually(lambda: listener.connections == len(wires))
    assert await ground.bystander.is_served()
    await eventually(lambda: listener.connections == 0)
    lines = ground.lines()
    assert len(lines) == len(wires)
    assert all(line.endswith("closed: not open after 1 s") for line in lines)


async def test_a_peer_that_opens_one_byte_at_a_time_gains_no_time(ground: Ground) -> None:
    listener = await ground.listen(handshake_seconds=0.5)
    wire = await ground.connect(listener)
    unsaid = iter(AMQP_HEADER + open_frame("x" * 20_000))

    async def closed() -> bool:
        await wire.say_what_can_be_said(bytes((next(unsaid),)))
        return listener.connections == 0

    await eventually(lambda: listener.connections == 1)
    await eventually(closed, every=0.01)
    assert "not open after 0.5 s" in await ground.line()


async def test_a_thousand_peers_that_say_nothing_cost_the_others_nothing_and_are_closed(ground: Ground) -> None:
    crowd = 1000
    listener = await ground.listen(max_connections=crowd + 10, handshake_seconds=5.0)
    client = Bystander(listener.port, await ground.namespace.queue())
    await client.open()
    wires = await asyncio.gather(*(ground.connect(listener) for _ in range(crowd)))
    assert await client.is_served()
    assert listener.connections == crowd + 2
    await eventually(lambda: listener.connections == 2, within=30.0)
    assert await client.is_served()
    lines = ground.lines()
    assert len(lines) == crowd
    assert all("not open after" in line for line in lines)
    await client.close()
    for wire in wires:
        assert await wire.ended() == b""


async def test_a_connection_too_many_is_closed_at_once_while_those_there_are_served(ground: Ground) -> None:
    listener = await ground.listen(max_connections=1)
    queue = await ground.namespace.queue()
    served = await ground.sender(queue, listener)
    for _ in range(3):
        assert await (await ground.connect(listener)).ended() == b""
    # The first, the second, the fourth, the eighth: a crowd at the door does not fill the log.
    assert len(ground.lines()) == 2
    await served.say(transfer(message(b"m")))
    assert (await served.hear(Code.DISPOSITION)).outcome() == "accepted"
    assert ground.broker.counts(queue).total == 1


_FRAMING = "amqp:connection:framing-error"
_BAD_FRAMES = {
    "garbage": (b"GET / HTTP/1.1\r\n\r\n", _FRAMING, "cannot be read"),
    "a frame over the limit": (frame(bytes(64 * 1024)), _FRAMING, "malformed frame"),
    "a frame of four gigabytes": (struct.pack(">IBBH", 2**32 - 1, 2, 0, 0), _FRAMING, "cannot be read"),
    "a size of nothing": (struct.pack(">IBBH", 0, 2, 0, 0), _FRAMING, "cannot be read"),
    "a size under the header's": (struct.pack(">IBBH", 7, 2, 0, 0), _FRAMING, "cannot be read"),
    "an offset of nothing": (struct.pack(">IBBH", 8, 0, 0, 0), _FRAMING, "malformed frame"),
    "an offset into the header": (struct.pack(">IBBH", 8, 1, 0, 0), _FRAMING, "malformed frame"),
    "an offset beyond the frame": (struct.pack(">IBBH", 8, 200, 0, 0), _FRAMING, "malformed frame"),
    "a list cut off": (frame(b"\x00\x53\x12\xc0\xff\x03\xa1\x01s"), "amqp:decode-error", "cannot be read"),
    "half a performative": (frame(b"\x00\x53"), "amqp:decode-error", "cannot be read"),
    "an unknown performative": (performative(0x99), "amqp:decode-error", "cannot be read"),
    "a session too many": (begin_frame(channel=5000), _FRAMING, "channel 5000"),
    "a channel without session": (performative(Code.END, channel=5), "amqp:not-allowed", "no such channel: 5"),
    "a transfer without link": (transfer(message(b"m"), handle=7), "amqp:invalid-field", "no such handle: 7"),
    "a flow without link": (flow(handle=7, credit=1), "amqp:invalid-field", "no such handle: 7"),
    "a detach without link": (performative(Code.DETACH, uint(7)), "amqp:invalid-field", "no such handle: 7"),
    "a link without name": (
        performative(Code.ATTACH, None, uint(0), False, None, None, composite(0x28), composite(0x29, "q")),
        "amqp:decode-error",
        "cannot be read",
    ),
    "a name that is no text": (
        attach_sender("q", name="nnnn").replace(b"nnnn", b"\xff\xfe\xff\xfe"),
        "amqp:decode-error",
        "cannot be read",
    ),
    "an address that is no text": (
        attach_sender("qqqq").replace(b"qqqq", b"\xff\xfe\xff\xfe"),
        "amqp:decode-error",
        "cannot be read",
    ),
}


@pytest.mark.parametrize(("said", "condition", "cause"), _BAD_FRAMES.values(), ids=_BAD_FRAMES)
async def test_a_frame_that_cannot_be_taken_closes_its_connection_and_no_other(
    ground: Ground, said: bytes, condition: str, cause: str
) -> None:
    wire = await ground.open()
    await wire.say(said)
    assert (await wire.hear(Code.CLOSE)).condition() == condition
    assert await wire.ended() == b""
    assert cause in await ground.line()


async def test_values_nested_thousands_deep_close_their_connection(ground: Ground) -> None:
    nested = b"\x40"
    for _ in range(3000):
        nested = b"\xd0" + struct.pack(">II", len(nested) + 4, 1) + nested
    # In place of the source's address: eight fields of an attach begin the list.
    fields = encode("r") + encode(uint(0)) + b"\x41\x40\x40\x00\x53\x28" + nested + described(0x29)
    wire = await ground.open()
    await wire.say(frame(b"\x00\x53\x12\xd0" + struct.pack(">II", 4 + len(fields), 7) + fields))
    assert (await wire.hear(Code.CLOSE)).condition() == "amqp:decode-error"
    assert "cannot be read" in await ground.line()
