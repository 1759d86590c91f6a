"""Which artifacts a value speaks of."""

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from shared.artifacts.store import is_address


def addresses_in(value: JsonValue) -> Iterator[str]:
    """Every address of an artifact anywhere in a value, in the order of the text; one may come more than once."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if is_address(item):
                yield item
        elif isinstance(item, Mapping):
            waiting.extend(reversed(list(item.values())))
        elif isinstance(item, list):
            waiting.extend(reversed(item))
