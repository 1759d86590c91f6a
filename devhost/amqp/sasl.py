"""The SASL exchange that opens a connection, from the server's side, without input or output of its own.

Ours because Proton's built-in SASL server knows neither PLAIN nor MSSBCBS (what .NET and Java clients ask for). Anyone
who can reach the listener is let in: it is a development tool bound to the loopback interface, as Microsoft's emulator
is. Source: OASIS AMQP 1.0, part 5.3.
"""

import struct
from dataclasses import dataclass, field

from devhost.amqp.decoding import decode
from devhost.amqp.encoding import encode
from devhost.amqp.values import Array, CodecError, Described, Typed

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
MECHANISMS = ("MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL")
#: Largest SASL frame taken; the specification asks for 512.
_MAX_FRAME = 4096
_MECHANISMS_CODE, _INIT_CODE, _OUTCOME_CODE = 0x40, 0x41, 0x44
_OK, _REFUSED = 0, 1


class HandshakeError(Exception):
    """The peer does not speak AMQP 1.0, or asked for a mechanism that is not offered; the text says which."""


@dataclass(slots=True)
class Handshake:
    """Reads until the AMQP layer begins. What must be sent gathers in `output`."""

    output: bytearray = field(default_factory=bytearray)
    done: bool = False
    _buffer: bytearray = field(default_factory=bytearray)
    _negotiating: bool = False

    def feed(self, data: bytes) -> bytes:
        """Read on; once `done`, returns the bytes that belong to the AMQP layer. Raises `HandshakeError`."""
        self._buffer += data
        used = -1
        while not self.done and used != 0:
            used = self._frame() if self._negotiating else self._header()
            del self._buffer[:used]
        if not self.done:
            return b""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def _header(self) -> int:
        """Read the protocol header; 0 while it is not complete."""
        seen = bytes(self._buffer[:8])
        if not (AMQP_HEADER.startswith(seen) or SASL_HEADER.startswith(seen)):
            # The answer to a header that is not understood is the one that would be.
            self.output += SASL_HEADER
            raise HandshakeError(f"the first bytes are not an AMQP 1.0 header: {seen[:8]!r}")
        if len(seen) < 8:
            return 0
        if seen == AMQP_HEADER:
            # Left in the buffer: the engine wants to see it.
            self.done = True
            return 0
        self._negotiating = True
        self.output += SASL_HEADER + _frame(_MECHANISMS_CODE, [Array("symbol", MECHANISMS)])
        return 8

    def _frame(self) -> int:
        """Read the client's choice; 0 while it is not complete."""
        if len(self._buffer) < 8:
            return 0
        size, offset, kind = int.from_bytes(self._buffer[:4]), self._buffer[4], self._buffer[5]
        if not 8 <= offset * 4 <= size <= _MAX_FRAME or kind != 1:
            raise HandshakeError("a SASL frame was expected")
        if len(self._buffer) < size:
            return 0
        mechanism = _mechanism(bytes(self._buffer[offset * 4 : size]))
        if mechanism not in MECHANISMS:
            self.output += _frame(_OUTCOME_CODE, [Typed("ubyte", _REFUSED)])
            raise HandshakeError(f"the SASL mechanism {mechanism!r} is not offered")
        self.output += _frame(_OUTCOME_CODE, [Typed("ubyte", _OK)])
        self.done = True
        return size


def _mechanism(body: bytes) -> str:
    try:
        init, _ = decode(body)
    except CodecError as error:
        raise HandshakeError(f"the SASL frame cannot be read: {error}") from error
    if isinstance(init, Described) and init.descriptor == _INIT_CODE and isinstance(init.value, list) and init.value:
        return str(init.value[0])
    raise HandshakeError("the client's choice of SASL mechanism was expected")


def _frame(code: int, fields: list[object]) -> bytes:
    body = encode(Described(Typed("ulong", code), fields))
    return struct.pack(">IBBH", 8 + len(body), 2, 1, 0) + body
