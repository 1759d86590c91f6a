"""The AMQP 1.0 type system: what values on the wire are in Python.

Decoding keeps what an application can see (numbers, text, times, maps); `Typed` and `Symbol` say which wire type to
use where Python has only one. The codec is ours because message sections have to be cut out, spliced and handed back
byte for byte, which no AMQP library offers. Source: OASIS AMQP 1.0, part 1 (types).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class CodecError(ValueError):
    """The bytes are not AMQP, or the value has no AMQP type."""


class Symbol(str):
    """Text written as an AMQP symbol (ASCII, a name rather than content)."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Typed:
    """A number with the wire type it must have: one of `long`, `int`, `uint`, `ulong`, `ubyte`."""

    kind: str
    value: int


@dataclass(frozen=True, slots=True)
class Array:
    """An AMQP array: all `items` have the wire type `kind` (`long`, `uuid`, `timestamp`, `string` or `symbol`)."""

    kind: str
    items: Sequence[object]


class Described(NamedTuple):
    """A value with a descriptor (a section, a filter, a rule)."""

    descriptor: object
    value: object


def to_milliseconds(when: datetime) -> int:
    """An instant as AMQP's timestamp: whole milliseconds since 1970."""
    return (when - EPOCH) // _MILLISECOND


def from_milliseconds(value: int) -> datetime:
    """The instant of an AMQP timestamp; one before the year 1 or after 9999 is the nearest there is."""
    try:
        return EPOCH + timedelta(milliseconds=value)
    except OverflowError:
        # Clients write "no limit" as an instant just past the calendar's end.
        return datetime.max.replace(tzinfo=UTC) if value > 0 else datetime.min.replace(tzinfo=UTC)
