"""Writing AMQP 1.0 values. Source: OASIS AMQP 1.0, part 1.6 (encodings)."""

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from devhost.amqp.values import Array, CodecError, Described, Symbol, Typed, to_milliseconds

_UINT = struct.Struct(">I")
_INT_MIN, _INT_MAX = -(2**31), 2**31 - 1


def encode(value: object) -> bytes:
    """Write one value. Raises `CodecError` for what AMQP cannot say."""
    encoder = _ENCODERS.get(type(value))
    if encoder is not None:
        return encoder(value)
    for kind, candidate in _ENCODERS.items():
        if isinstance(value, kind):
            return candidate(value)
    raise CodecError(f"{type(value).__name__} has no AMQP type")


def encode_symbol(name: str) -> bytes:
    """A symbol with its constructor."""
    raw = name.encode("ascii", "replace")
    return b"\xa3" + bytes((len(raw),)) + raw if len(raw) < 256 else b"\xb3" + _UINT.pack(len(raw)) + raw


def encode_string(text: str) -> bytes:
    """A string with its constructor."""
    raw = text.encode("utf-8", "replace")
    return b"\xa1" + bytes((len(raw),)) + raw if len(raw) < 256 else b"\xb1" + _UINT.pack(len(raw)) + raw


def encode_map_of(entries: Sequence[bytes]) -> bytes:
    """A map from entries already encoded, each a key and its value."""
    return _compound(b"\xc1", b"\xd1", 2 * len(entries), b"".join(entries))


def encode_list_of(items: Sequence[bytes]) -> bytes:
    """A list from items already encoded."""
    return _compound(b"\xc0", b"\xd0", len(items), b"".join(items)) if items else b"\x45"


def _compound(narrow: bytes, wide: bytes, count: int, body: bytes) -> bytes:
    if len(body) < 255 and count < 256:
        return narrow + bytes((len(body) + 1, count)) + body
    return wide + struct.pack(">II", len(body) + 4, count) + body


def _encode_int(value: int) -> bytes:
    if _INT_MIN <= value <= _INT_MAX:
        return struct.pack(">Bi", 0x71, value)
    return _encode_typed(Typed("long", value))


_INTEGERS = {
    "long": (0x81, ">q"),
    "int": (0x71, ">i"),
    "uint": (0x70, ">I"),
    "ulong": (0x80, ">Q"),
    "ubyte": (0x50, ">B"),
}


def _encode_typed(value: Typed) -> bytes:
    code, layout = _INTEGERS[value.kind]
    if value.kind == "ulong" and 0 <= value.value < 256:
        # Several clients read only this form as a descriptor.
        return b"\x53" + bytes((value.value,))
    try:
        return bytes((code,)) + struct.pack(layout, value.value)
    except struct.error as error:
        raise CodecError(f"{value.value} does not fit an AMQP {value.kind}") from error


def _encode_binary(raw: bytes) -> bytes:
    return b"\xa0" + bytes((len(raw),)) + raw if len(raw) < 256 else b"\xb0" + _UINT.pack(len(raw)) + raw


def _pack_string(item: str) -> bytes:
    raw = item.encode()
    return _UINT.pack(len(raw)) + raw


_ARRAY_ITEMS: Mapping[str, tuple[int, Callable[..., bytes]]] = {
    "long": (0x81, struct.Struct(">q").pack),
    "uuid": (0x98, lambda item: item.bytes),
    "timestamp": (0x83, lambda item: struct.pack(">q", to_milliseconds(item))),
    "string": (0xB1, _pack_string),
    "symbol": (0xB3, _pack_string),
}


def _encode_array(array: Array) -> bytes:
    code, pack = _ARRAY_ITEMS[array.kind]
    body = bytes((code,)) + b"".join(pack(item) for item in array.items)
    return b"\xf0" + struct.pack(">II", len(body) + 4, len(array.items)) + body


_ENCODERS: Mapping[type, Callable[..., bytes]] = {
    type(None): lambda _value: b"\x40",
    bool: lambda value: b"\x41" if value else b"\x42",
    int: _encode_int,
    Symbol: encode_symbol,
    str: encode_string,
    float: lambda value: struct.pack(">Bd", 0x82, value),
    Typed: _encode_typed,
    Array: _encode_array,
    Described: lambda value: b"\x00" + encode(value.descriptor) + encode(value.value),
    bytes: _encode_binary,
    bytearray: lambda value: _encode_binary(bytes(value)),
    memoryview: lambda value: _encode_binary(bytes(value)),
    # AMQP's decimals are IEEE 754 numbers that no client here reads; text keeps every digit.
    Decimal: lambda value: encode_string(str(value)),
    UUID: lambda value: b"\x98" + value.bytes,
    datetime: lambda value: struct.pack(">Bq", 0x83, to_milliseconds(value)),
    dict: lambda value: encode_map_of([encode(key) + encode(item) for key, item in value.items()]),
    list: lambda value: encode_list_of([encode(item) for item in value]),
    tuple: lambda value: encode_list_of([encode(item) for item in value]),
}
