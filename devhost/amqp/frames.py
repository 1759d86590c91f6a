"""What Proton does not tell: the message format of each transfer, read off the frames on their way in.

Proton's engine drops a transfer's `message-format`, which is the only thing that tells a batch from a message. The
formats of a link's deliveries are kept in the order of their first frames; the link takes one per finished delivery.
Much of what is malformed is left for Proton to refuse; what would make the formats wrong is told by `broken`. Source:
OASIS AMQP 1.0, parts 2.3 (framing) and 2.7 (performatives).
"""

import struct
from collections import deque
from dataclasses import dataclass, field

from devhost.amqp.conditions import DECODE_ERROR, FRAMING_ERROR
from devhost.amqp.decoding import decode
from devhost.amqp.values import CodecError, Described

_PROTOCOL_HEADER = 8
_FRAME_HEADER = struct.Struct(">IBB")
_MAX_FRAME = 1024 * 1024
_OPEN, _ATTACH, _TRANSFER, _DETACH, _END, _CLOSE = 0x10, 0x12, 0x14, 0x16, 0x17, 0x18
_ATTACH_START = bytes((0x00, 0x53, _ATTACH))
#: Enough of a transfer frame to hold the fields before the payload: a delivery tag has at most 32 bytes.
_TRANSFER_HEAD = 128


@dataclass(slots=True)
class _Named:
    """What is known of the links of one name: almost always one at a time, one after another."""

    formats: deque[int] = field(default_factory=deque)
    attached: int = 0


@dataclass(slots=True)
class _Link:
    named: _Named
    unfinished: bool = False


@dataclass(slots=True)
class TransferFormats:
    """Fed with every byte of the AMQP layer, before Proton is."""

    _skip: int = _PROTOCOL_HEADER
    _head: bytearray = field(default_factory=bytearray)
    _by_handle: dict[tuple[int, int], _Link] = field(default_factory=dict)
    _by_name: dict[str, _Named] = field(default_factory=dict)
    #: The error condition of a frame that was met and cannot be read; nothing is noted from there on.
    broken: str | None = None

    def feed(self, data: bytes) -> None:
        """Read on; frames may be cut anywhere."""
        at, size = 0, len(data)
        while at < size and not self.broken:
            if self._skip:
                step = min(self._skip, size - at)
                self._skip -= step
                at += step
                continue
            at += self._take_head(data, at)

    def take(self, link_name: str) -> int:
        """The format of the next finished delivery on the link of this name; 0 is a plain message."""
        named = self._by_name.get(link_name)
        return named.formats.popleft() if named is not None and named.formats else 0

    def forget(self, link_name: str) -> None:
        """The link is gone; the next one of its name may have been read already."""
        named = self._by_name.get(link_name)
        if named is not None and not named.attached:
            del self._by_name[link_name]

    def _take_head(self, data: bytes, at: int) -> int:
        """Collect the head of one frame and, once it is there, note it; returns the bytes used."""
        wanted = self._wanted()
        piece = data[at : at + wanted - len(self._head)]
        self._head += piece
        if len(self._head) == wanted == self._wanted():
            size, offset, kind = _FRAME_HEADER.unpack_from(self._head)
            self._skip = size - wanted
            if kind == 0:
                self._note(bytes(self._head), offset * 4)
            self._head = bytearray()
        return len(piece)

    def _wanted(self) -> int:
        """How much of the frame must be seen, as far as can be told from what was."""
        head = self._head
        if len(head) < 8:
            return 8
        size = int.from_bytes(head[:4])
        if not 8 <= size <= _MAX_FRAME:
            self.broken = FRAMING_ERROR
            return len(head)
        start = min(size, _TRANSFER_HEAD)
        return size if len(head) >= start and head[8:11] == _ATTACH_START else start

    def _note(self, head: bytes, at: int) -> None:
        if self.broken or head[at : at + 2] != b"\x00\x53":
            return
        channel = int.from_bytes(head[6:8])
        try:
            code = head[at + 2]
            if code == _TRANSFER:
                self._note_transfer(channel, head, at + 3)
            elif code == _ATTACH:
                self._note_attach(channel, head, at)
            elif code == _DETACH:
                handle, _ = decode(head, _first_field(head, at + 3))
                self._drop(channel, handle)
            elif code == _END:
                for known_channel, known_handle in list(self._by_handle):
                    if known_channel == channel:
                        self._drop(channel, known_handle)
            elif not _OPEN <= code <= _CLOSE:
                # Proton would take nothing more, and say nothing.
                self.broken = DECODE_ERROR
        except (CodecError, IndexError):
            self.broken = DECODE_ERROR

    def _note_attach(self, channel: int, head: bytes, at: int) -> None:
        attach, _ = decode(head, at)
        fields = attach.value if isinstance(attach, Described) else None
        if not isinstance(fields, list) or len(fields) < 3:
            raise CodecError("an attach has at least a name, a handle and a role")
        name, handle, receives = fields[:3]
        if not isinstance(name, str) or not isinstance(handle, int):
            raise CodecError("a link has a name and a handle")
        if not receives:
            self._drop(channel, handle)
            named = self._by_name.setdefault(name, _Named())
            named.attached += 1
            self._by_handle[channel, handle] = _Link(named)

    def _note_transfer(self, channel: int, head: bytes, at: int) -> None:
        at = _first_field(head, at)
        count = head[at - 1]
        fields: list[object] = [None] * 10
        for place in range(min(count, 10)):
            fields[place], at = decode(head, at)
        handle, _, _, message_format, _, more, _, _, _, aborted = fields
        link = self._by_handle.get((channel, handle)) if isinstance(handle, int) else None
        if link is None:
            return
        if not link.unfinished:
            link.named.formats.append(message_format if isinstance(message_format, int) else 0)
        link.unfinished = bool(more) and not aborted
        if aborted:
            # It will not be among the finished deliveries.
            link.named.formats.pop()

    def _drop(self, channel: int, handle: object) -> None:
        link = self._by_handle.pop((channel, handle), None) if isinstance(handle, int) else None
        if link is None:
            return
        link.named.attached -= 1
        if link.unfinished and link.named.formats:
            link.named.formats.pop()


def _first_field(head: bytes, at: int) -> int:
    """Where the first field of the list at `at` starts; the byte before it is (the low byte of) the count."""
    if head[at] == 0xC0:
        return at + 3
    if head[at] == 0xD0:
        return at + 9
    raise CodecError("a performative must be a list")
