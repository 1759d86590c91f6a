"""A client that says exactly the bytes it is told to: AMQP frames by hand, over a raw socket.

Well-behaved clients cannot be made to misbehave; this one has no manners of its own. Source: OASIS AMQP 1.0, part 2.
"""

import asyncio
import struct

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
#: Long enough for a loaded machine, short enough for a test that fails.
PATIENCE = 10.0


def frame(body: bytes, *, channel: int = 0, kind: int = 0) -> bytes:
    """One frame around an encoded performative and its payload."""
    return struct.pack(">IBBH", 8 + len(body), 2, kind, channel) + body


class Wire:
    """A raw connection to the listener."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int) -> "Wire":
        """Connect, and say nothing."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def say(self, data: bytes) -> None:
        """Send these bytes."""
        self._writer.write(data)
        await self._writer.drain()

    async def rest(self) -> bytes:
        """Everything that still comes until the other side closes; `TimeoutError` when it does not."""
        async with asyncio.timeout(PATIENCE):
            return await self._reader.read()

    async def close(self) -> None:
        """Close our side."""
        self._writer.close()
        await self._writer.wait_closed()
