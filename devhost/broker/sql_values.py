"""The arithmetic and logic of the service's SQL filter language, over values that may be unknown (None).

A missing property, a NULL, and an operation on kinds of values that do not go together are all unknown; unknown
spreads through arithmetic and comparison, and follows the three-valued tables in NOT, AND and OR. Integers divide as
in C#, towards zero.
"""

import operator
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from devhost.broker.model import Scalar

type Truth = bool | None

_ORDERINGS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compare(symbol: str, left: Scalar, right: Scalar) -> Truth:
    """`left symbol right`; unknown when either is, or when they are not of one kind."""
    kind = _kind(left)
    if kind is None or kind != _kind(right):
        return None
    if kind in ("bool", "uuid") and symbol not in ("=", "<>", "!="):
        return None
    if isinstance(left, Decimal) and isinstance(right, float):
        left = float(left)
    elif isinstance(left, float) and isinstance(right, Decimal):
        right = float(right)
    try:
        return _ORDERINGS[symbol](left, right)
    except TypeError:
        return None  # A datetime with a zone beside one without.


def calculate(symbol: str, left: Scalar, right: Scalar) -> Scalar:
    """`left symbol right` for + - * / %; strings can be added. Unknown when either is, or it cannot be done."""
    if isinstance(left, str) and isinstance(right, str) and symbol == "+":
        return left + right
    if _kind(left) != "number" or _kind(right) != "number":
        return None
    try:
        return _calculate(symbol, left, right)
    except (ArithmeticError, ValueError):
        return None


def negate(value: Scalar) -> Scalar:
    """`-value`; unknown for what is not a number."""
    return calculate("-", 0, value)


def both(left: Truth, right: Truth) -> Truth:
    """AND."""
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def either(left: Truth, right: Truth) -> Truth:
    """OR."""
    if left is True or right is True:
        return True
    return None if left is None or right is None else False


def opposite(value: Truth) -> Truth:
    """NOT."""
    return None if value is None else not value


def like(value: Scalar, pattern: Scalar, escape: Scalar) -> Truth:
    """LIKE: `%` is any run of characters, `_` any one; after the `escape` character both mean themselves."""
    if not isinstance(value, str) or not isinstance(pattern, str):
        return None
    if escape is not None and (not isinstance(escape, str) or len(escape) != 1):
        return None
    return _fits(value, _runs(pattern, escape))


def _kind(value: Scalar) -> str | None:
    match value:
        case bool():
            return "bool"
        case int() | float() | Decimal():
            return "number"
        case str():
            return "text"
        case datetime():
            return "time"
        case UUID():
            return "uuid"
        case bytes():
            return "bytes"
        case _:
            return None


def _calculate(symbol: str, left: object, right: object) -> Scalar:
    if isinstance(left, int) and isinstance(right, int):
        return _whole(symbol, left, right)
    if isinstance(left, float) or isinstance(right, float):
        left, right = float(str(left)), float(str(right))
    else:
        left, right = Decimal(str(left)), Decimal(str(right))
    result: float | Decimal = _REAL[symbol](left, right)
    return result


def _whole(symbol: str, left: int, right: int) -> int:
    if symbol in "/%":
        quotient = abs(left) // abs(right)
        if (left < 0) != (right < 0):
            quotient = -quotient
        return quotient if symbol == "/" else left - quotient * right
    return {"+": left + right, "-": left - right, "*": left * right}[symbol]


def _remainder(left: float | Decimal, right: float | Decimal) -> float | Decimal:
    if isinstance(left, Decimal) and isinstance(right, Decimal):
        return left % right
    quotient = float(left) / float(right)
    return float(left) - float(int(quotient)) * float(right)


_REAL: Mapping[str, Callable[..., float | Decimal]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": _remainder,
}


class _Run(NamedTuple):
    """A part of a LIKE pattern between two `%`: it fits `width` characters."""

    regex: re.Pattern[str]
    width: int


@lru_cache(maxsize=256)
def _runs(pattern: str, escape: str | None) -> list[_Run]:
    runs: list[list[str]] = [[]]
    characters = iter(pattern)
    for character in characters:
        if character == escape:
            runs[-1] += [re.escape(literal) for literal in [next(characters, "")] if literal]
        elif character == "%":
            runs.append([])
        else:
            runs[-1].append("." if character == "_" else re.escape(character))
    return [_Run(re.compile("".join(units), re.DOTALL), len(units)) for units in runs]


def _fits(value: str, runs: list[_Run]) -> bool:
    # Each run is taken where it is found first, which is always right and never searches twice: a pattern full of
    # wildcards costs no more than its length times the value's.
    first, last = runs[0], runs[-1]
    if len(runs) == 1:
        return first.regex.fullmatch(value) is not None
    if first.regex.match(value) is None:
        return False
    at = first.width
    for run in runs[1:-1]:
        found = run.regex.search(value, at)
        if found is None:
            return False
        at = found.end()
    start = len(value) - last.width
    return start >= at and last.regex.match(value, start) is not None
