"""A client that says exactly the bytes it is told to: AMQP frames by hand, over a raw socket.

Well-behaved clients cannot be made to misbehave; this one has no manners of its own. Source: OASIS AMQP 1.0, part 2.
"""

import asyncio
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from devhost.amqp.decoding import decode, skip
from devhost.amqp.encoding import encode
from devhost.amqp.values import Described, Symbol, Typed

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
#: Long enough for a loaded machine, short enough for a test that fails.
PATIENCE = 10.0
_SASL_INIT = 0x41
_SOURCE, _TARGET = 0x28, 0x29
_ERROR = 0x1D
#: Session window that is never used up here.
_WINDOW = 2**31 - 1


class Code(IntEnum):
    """Descriptor codes of the performatives and of the outcomes in a disposition."""

    OPEN = 0x10
    BEGIN = 0x11
    ATTACH = 0x12
    FLOW = 0x13
    TRANSFER = 0x14
    DISPOSITION = 0x15
    DETACH = 0x16
    END = 0x17
    CLOSE = 0x18
    ACCEPTED = 0x24
    REJECTED = 0x25


def frame(body: bytes, *, channel: int = 0, kind: int = 0) -> bytes:
    """One frame around an encoded performative and its payload."""
    return struct.pack(">IBBH", 8 + len(body), 2, kind, channel) + body


def performative(code: int, *fields: object, payload: bytes = b"", channel: int = 0, kind: int = 0) -> bytes:
    """A frame that holds one performative; fields left out at the end are null."""
    return frame(described(code, *fields) + payload, channel=channel, kind=kind)


def described(code: int, *fields: object) -> bytes:
    """An encoded list with a descriptor."""
    return encode(composite(code, *fields))


def composite(code: int, *fields: object) -> Described:
    """A list with a descriptor."""
    return Described(Typed("ulong", code), list(fields))


def uint(value: int) -> Typed:
    """A number in the type that most fields of performatives have."""
    return Typed("uint", value)


def sasl_init(mechanism: str = "ANONYMOUS") -> bytes:
    """The client's choice of mechanism."""
    return performative(_SASL_INIT, Symbol(mechanism), kind=1)


def open_frame(container: str = "raw") -> bytes:
    """Open the connection."""
    return performative(Code.OPEN, container, "localhost")


def begin_frame(*, channel: int = 0, window: int = _WINDOW) -> bytes:
    """Begin a session that takes `window` transfers."""
    return performative(Code.BEGIN, None, uint(0), uint(window), uint(_WINDOW), channel=channel)


def attach_sender(address: object, *, handle: int = 0, name: str | None = None) -> bytes:
    """Attach a link to send on."""
    target = composite(_TARGET, address)
    return performative(
        Code.ATTACH, name or f"s{handle}", uint(handle), False, None, None, composite(_SOURCE), target, None, None,
        uint(0),
    )  # fmt: skip


def attach_receiver(
    address: object, *, handle: int = 1, name: str | None = None, to: str | None = None, session: str | None = None
) -> bytes:
    """Attach a link to receive on."""
    filters = None if session is None else {Symbol("com.microsoft:session-filter"): session}
    source, target = composite(_SOURCE, address, *[None] * 6, filters), composite(_TARGET, to)
    return performative(Code.ATTACH, name or f"r{handle}", uint(handle), True, None, None, source, target)


def flow(*, handle: int = 1, credit: int) -> bytes:
    """Grant a link credit, counted from its start."""
    window = uint(_WINDOW)
    return performative(Code.FLOW, None, window, uint(0), window, uint(handle), uint(0), uint(credit))


def transfer(
    payload: bytes, *, handle: int = 0, number: int = 0, more: bool = False, message_format: int = 0,
    aborted: bool = False, tag: bytes | None = None, settled: bool = False,
) -> bytes:  # fmt: skip
    """A frame of a delivery: the `number`th of its session."""
    tag = number.to_bytes(4) if tag is None else tag
    fields = (uint(handle), uint(number), tag, uint(message_format), settled, more, None, None, None, aborted)
    return performative(Code.TRANSFER, *fields, payload=payload)


def rejected(condition: str, info: Mapping[object, object] | None = None) -> Described:
    """An outcome that ends in the dead-letter queue."""
    return composite(Code.REJECTED, composite(_ERROR, Symbol(condition), None, info))


def accepted() -> Described:
    """The outcome that completes a message."""
    return composite(Code.ACCEPTED)


def disposition(first: int, outcome: object, *, last: int | None = None, settled: bool = False) -> bytes:
    """The word of a receiver on the deliveries `first` to `last`."""
    return performative(Code.DISPOSITION, True, uint(first), None if last is None else uint(last), settled, outcome)


def message(body: bytes, **properties: object) -> bytes:
    """An encoded message with application properties and a data section."""
    applied = encode(Described(Typed("ulong", 0x74), properties)) if properties else b""
    return applied + encode(Described(Typed("ulong", 0x75), body))


def request(operation: object, body: object, *, reply_to: object = "replies") -> bytes:
    """An encoded request to a management or claims node."""
    applied = {} if operation is None else {"operation": operation}
    return (
        encode(Described(Typed("ulong", 0x73), ["1", None, None, None, reply_to]))
        + encode(Described(Typed("ulong", 0x74), applied))
        + encode(Described(Typed("ulong", 0x77), body))
    )


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame from the listener; `fields` beyond those sent read as None."""

    code: int
    fields: tuple[object, ...]
    payload: bytes

    def field(self, place: int) -> object:
        """One field of the performative."""
        return self.fields[place] if place < len(self.fields) else None

    def condition(self, place: int = 0) -> str | None:
        """The error condition in a field."""
        return _condition(self.field(place))

    def outcome(self) -> str:
        """Of a disposition: "accepted", or the condition of the error."""
        state = self.field(4)
        assert isinstance(state, Described)
        if state.descriptor == Code.ACCEPTED:
            return "accepted"
        assert state.descriptor == Code.REJECTED
        assert isinstance(state.value, list)
        return str(_condition(state.value[0]))


def _condition(error: object) -> str | None:
    return str(error.value[0]) if isinstance(error, Described) and isinstance(error.value, list) else None


class Wire:
    """A raw connection to the listener."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int) -> Self:
        """Connect, and say nothing."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def say(self, *data: bytes) -> None:
        """Send these bytes."""
        self._writer.write(b"".join(data))
        await self._writer.drain()

    async def open(self, *frames: bytes, window: int = _WINDOW) -> None:
        """Open a connection and a session, and say `frames` on it."""
        await self.say(AMQP_HEADER, open_frame(), begin_frame(window=window), *frames)
        assert await self.exactly(8) == AMQP_HEADER
        await self.hear(Code.BEGIN)

    async def exactly(self, count: int) -> bytes:
        """The next bytes."""
        async with asyncio.timeout(PATIENCE):
            return await self._reader.readexactly(count)

    async def hear(self, code: int) -> Heard:
        """The next frame with this performative; those before it are dropped."""
        while (heard := await self.next_frame()) is None or heard.code != code:
            pass
        return heard

    async def next_frame(self) -> Heard | None:
        """The next frame; None for an empty one."""
        size, offset, _, _ = struct.unpack(">IBBH", await self.exactly(8))
        data = (await self.exactly(size - 8))[offset * 4 - 8 :]
        if not data:
            return None
        read, end = decode(data)
        assert isinstance(read, Described)
        assert skip(data, 0) == end
        assert isinstance(read.value, list)
        assert isinstance(read.descriptor, int)
        return Heard(read.descriptor, tuple(read.value), data[end:])

    async def ended(self) -> bytes:
        """Everything that still comes until the other side closes; `TimeoutError` when it does not."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self._reader.read()
            except ConnectionError:
                return b""

    async def say_what_can_be_said(self, *data: bytes) -> None:
        """Send these bytes, unless the other side is gone."""
        try:
            await self.say(*data)
        except ConnectionError:
            return

    async def half_close(self) -> None:
        """Say nothing more, and listen on."""
        try:
            self._writer.write_eof()
        except OSError:
            # The other side is gone already.
            return

    def vanish(self) -> None:
        """Drop the connection as a killed process does."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close our side."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            # The other side was first, and hard.
            return
