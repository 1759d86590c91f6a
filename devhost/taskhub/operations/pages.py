"""Pages of a listing: as many items as asked for, unless they get too large or too long to find."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message

# What one call looks at and returns at most. A page that ends early has a token, so nothing is lost by it. The bytes
# leave room in the 4 MiB that a gRPC client takes in by default.
_MAX_LOOKED_AT: Final = 10_000
_MAX_BYTES: Final = 3 * 1024 * 1024

DEFAULT_SIZE: Final = 100


@dataclass(frozen=True, slots=True)
class Page[T, M]:
    """Items of a listing, and the row after which the next page begins; None when there are no more rows."""

    items: list[M]
    last: T | None


def page_of[T, M: Message](rows: Iterable[T], show: Callable[[T], M | None], size: int) -> Page[T, M]:
    """At most `size` items of `rows`. `show` makes a row's item, or None for one that is not of the listing."""
    items: list[M] = []
    last: T | None = None
    total = 0
    for looked_at, row in enumerate(rows):
        if len(items) >= size or looked_at >= _MAX_LOOKED_AT or total >= _MAX_BYTES:
            return Page(items, last)
        last = row
        item = show(row)
        if item is not None:
            items.append(item)
            total += item.ByteSize()
    return Page(items, None)
