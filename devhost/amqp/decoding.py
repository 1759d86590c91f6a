"""Reading AMQP 1.0 values: one at a time, or skipped without reading them.

The contract: hostile bytes raise `CodecError` and cost time and memory in proportion to their length. Source: OASIS
AMQP 1.0, part 1.6 (encodings).
"""

import struct
from collections.abc import Callable, Mapping
from uuid import UUID

from devhost.amqp.values import CodecError, Described, Symbol, from_milliseconds

# The width of a value follows from the high nibble of its constructor.
_FIXED_WIDTH = {0x40: 0, 0x50: 1, 0x60: 2, 0x70: 4, 0x80: 8, 0x90: 16}
_SIZED_BY_ONE = frozenset((0xA0, 0xC0, 0xE0))
_SIZED_BY_FOUR = frozenset((0xB0, 0xD0, 0xF0))
_NULL = 0x40
_UINT = struct.Struct(">I")
_SIZE_AND_COUNT = struct.Struct(">II")


def skip(data: bytes, at: int) -> int:
    """The offset just after the value that starts at `at`; `CodecError` when the value does not fit in `data`."""
    try:
        code = data[at]
        if code == 0:
            return skip(data, skip(data, at + 1))
        group = code & 0xF0
        if group in _FIXED_WIDTH:
            end = at + 1 + _FIXED_WIDTH[group]
        elif group in _SIZED_BY_ONE:
            end = at + 2 + data[at + 1]
        elif group in _SIZED_BY_FOUR:
            end = at + 5 + int(_UINT.unpack_from(data, at + 1)[0])
        else:
            raise CodecError(f"no AMQP type has the constructor 0x{code:02x}")
    except (IndexError, struct.error, RecursionError) as error:
        raise CodecError("a value is cut off") from error
    if end > len(data):
        raise CodecError("a value is cut off")
    return end


_Decoder = Callable[[bytes, int], tuple[object, int]]


def decode(data: bytes, at: int = 0) -> tuple[object, int]:
    """Read one value at `at`: the value and the offset after it. Raises `CodecError`."""
    try:
        return _decode(data, at)
    except (IndexError, struct.error, UnicodeDecodeError, RecursionError, TypeError) as error:
        raise CodecError(f"not an AMQP value: {error}") from error


def _decode(data: bytes, at: int) -> tuple[object, int]:
    code = data[at]
    decoder = _DECODERS.get(code)
    if decoder is None:
        raise CodecError(f"no AMQP type has the constructor 0x{code:02x}")
    return decoder(data, at + 1)


def _constant(value: object) -> _Decoder:
    return lambda _data, at: (value, at)


def _packed(layout: str) -> _Decoder:
    unpacker = struct.Struct(layout)
    unpack, width = unpacker.unpack_from, unpacker.size

    def read(data: bytes, at: int) -> tuple[object, int]:
        return unpack(data, at)[0], at + width

    return read


def _timestamp(data: bytes, at: int) -> tuple[object, int]:
    return from_milliseconds(struct.unpack_from(">q", data, at)[0]), at + 8


def _char(data: bytes, at: int) -> tuple[object, int]:
    return data[at : at + 4].decode("utf-32-be"), at + 4


def _cut(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    if at + size > len(data):
        raise CodecError("a value is cut off")
    return data[at : at + size], at + size


def _sixteen(wrap: Callable[[bytes], object]) -> _Decoder:
    def read(data: bytes, at: int) -> tuple[object, int]:
        raw, end = _cut(data, at, 16)
        return wrap(raw), end

    return read


def _variable(wide: bool, wrap: Callable[[bytes], object]) -> _Decoder:
    def read_wide(data: bytes, at: int) -> tuple[object, int]:
        raw, end = _cut(data, at + 4, _UINT.unpack_from(data, at)[0])
        return wrap(raw), end

    def read_narrow(data: bytes, at: int) -> tuple[object, int]:
        end = at + 1 + data[at]
        if end > len(data):
            raise CodecError("a value is cut off")
        return wrap(data[at + 1 : end]), end

    return read_wide if wide else read_narrow


def compound_bounds(data: bytes, at: int, *, wide: bool) -> tuple[int, int, int]:
    """Of the list, map or array whose constructor ends at `at`: the count, and where its items start and end."""
    try:
        if wide:
            size, count = _SIZE_AND_COUNT.unpack_from(data, at)
            first, end = at + 8, at + 4 + size
        else:
            size, count = data[at], data[at + 1]
            first, end = at + 2, at + 1 + size
    except (IndexError, struct.error) as error:
        raise CodecError("a list or map is cut off") from error
    if end > len(data) or first > end or count > end - first + 1:
        raise CodecError("a list or map is cut off")
    return count, first, end


def _list(wide: bool) -> _Decoder:
    def read(data: bytes, at: int) -> tuple[object, int]:
        count, at, end = compound_bounds(data, at, wide=wide)
        items = []
        for _ in range(count):
            # Null, the most frequent item by far, is read here.
            if data[at] == _NULL:
                item, at = None, at + 1
            else:
                item, at = _decode(data, at)
            items.append(item)
        return items, end

    return read


def _map(wide: bool) -> _Decoder:
    def read(data: bytes, at: int) -> tuple[object, int]:
        count, at, end = compound_bounds(data, at, wide=wide)
        entries: dict[object, object] = {}
        for _ in range(count // 2):
            key, at = _decode(data, at)
            entries[key], at = _decode(data, at)
        return entries, end

    return read


def _array(wide: bool) -> _Decoder:
    def read(data: bytes, at: int) -> tuple[object, int]:
        count, at, end = compound_bounds(data, at, wide=wide)
        if data[at] == 0:
            at = skip(data, at + 1)
        decoder = _DECODERS.get(data[at])
        # Every item takes room except those of a zero-width type, which could claim billions of items in a few bytes.
        if decoder is None or (data[at] & 0xF0 == 0x40 and count > 1):
            raise CodecError(f"no array has items with the constructor 0x{data[at]:02x}")
        at += 1
        items = []
        for _ in range(count):
            item, at = decoder(data, at)
            items.append(item)
        return items, end

    return read


def _described(data: bytes, at: int) -> tuple[object, int]:
    descriptor, at = _decode(data, at)
    value, at = _decode(data, at)
    return Described(descriptor, value), at


def _text(raw: bytes) -> str:
    return raw.decode("utf-8")


def _symbol(raw: bytes) -> Symbol:
    return Symbol(raw.decode("ascii"))


def _same(raw: bytes) -> bytes:
    return raw


def _uuid(raw: bytes) -> UUID:
    return UUID(bytes=raw)


_DECODERS: Mapping[int, _Decoder] = {
    0x00: _described,
    0x40: _constant(None),
    0x41: _constant(True),
    0x42: _constant(False),
    0x43: _constant(0),
    0x44: _constant(0),
    0x45: lambda _data, at: ([], at),
    0x50: _packed(">B"),
    0x51: _packed(">b"),
    0x52: _packed(">B"),
    0x53: _packed(">B"),
    0x54: _packed(">b"),
    0x55: _packed(">b"),
    0x56: _packed(">?"),
    0x60: _packed(">H"),
    0x61: _packed(">h"),
    0x70: _packed(">I"),
    0x71: _packed(">i"),
    0x72: _packed(">f"),
    0x73: _char,
    # Decimals stay their bytes: nothing here computes with them.
    0x74: _packed(">4s"),
    0x80: _packed(">Q"),
    0x81: _packed(">q"),
    0x82: _packed(">d"),
    0x83: _timestamp,
    0x84: _packed(">8s"),
    0x94: _sixteen(_same),
    0x98: _sixteen(_uuid),
    0xA0: _variable(wide=False, wrap=_same),
    0xA1: _variable(wide=False, wrap=_text),
    0xA3: _variable(wide=False, wrap=_symbol),
    0xB0: _variable(wide=True, wrap=_same),
    0xB1: _variable(wide=True, wrap=_text),
    0xB3: _variable(wide=True, wrap=_symbol),
    0xC0: _list(wide=False),
    0xC1: _map(wide=False),
    0xD0: _list(wide=True),
    0xD1: _map(wide=True),
    0xE0: _array(wide=False),
    0xF0: _array(wide=True),
}
