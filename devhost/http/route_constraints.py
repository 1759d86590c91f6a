"""Route constraints of ASP.NET Core: predicates over one parameter's text, in a table.

Source: ASP.NET Core's documentation of routing, "Route constraints". Numbers are culture-invariant.
"""

import re
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Final

type Constraint = Callable[[str], bool]

_GUID = re.compile(r"[({]?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}[)}]?", re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def _integer(bits: int) -> Constraint:
    limit = 1 << (bits - 1)
    return lambda value: _INTEGER.fullmatch(value) is not None and -limit <= int(value) < limit


def _is_date(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_guid(value: str) -> bool:
    try:
        uuid.UUID(value)
    except ValueError:
        return False
    return _GUID.fullmatch(value) is not None


_PLAIN: Final[dict[str, Constraint]] = {
    "int": _integer(32),
    "long": _integer(64),
    "decimal": lambda value: _NUMBER.fullmatch(value) is not None,
    "double": lambda value: _FLOAT.fullmatch(value) is not None,
    "float": lambda value: _FLOAT.fullmatch(value) is not None,
    "bool": lambda value: value.lower() in {"true", "false"},
    "guid": _is_guid,
    "datetime": _is_date,
    "alpha": lambda value: re.fullmatch("[A-Za-z]*", value) is not None,
    "required": bool,
}


def _length(arguments: list[int]) -> Constraint:
    if len(arguments) == 1:
        return lambda value: len(value) == arguments[0]
    low, high = arguments
    return lambda value: low <= len(value) <= high


def _bounded(low: int | None, high: int | None) -> Constraint:
    def holds(value: str) -> bool:
        if _INTEGER.fullmatch(value) is None:
            return False
        number = int(value)
        return (low is None or low <= number) and (high is None or number <= high)

    return holds


# For each name: how many numbers it takes, and the predicate they make.
_WITH_NUMBERS: Final[dict[str, tuple[frozenset[int], Callable[[list[int]], Constraint]]]] = {
    "length": (frozenset({1, 2}), _length),
    "minlength": (frozenset({1}), lambda n: lambda value: len(value) >= n[0]),
    "maxlength": (frozenset({1}), lambda n: lambda value: len(value) <= n[0]),
    "min": (frozenset({1}), lambda n: _bounded(n[0], None)),
    "max": (frozenset({1}), lambda n: _bounded(None, n[0])),
    "range": (frozenset({2}), lambda n: _bounded(n[0], n[1])),
}


def parse_constraint(text: str) -> Constraint:
    """The predicate of one constraint, such as `int` or `range(1,9)`; raises `ValueError` naming an unknown one."""
    name, bracket, rest = text.partition("(")
    name = name.strip().lower()
    arguments = rest.removesuffix(")")
    if not bracket and name in _PLAIN:
        return _PLAIN[name]
    if bracket and name == "regex":
        return _regex(arguments)
    if bracket and name in _WITH_NUMBERS:
        counts, make = _WITH_NUMBERS[name]
        numbers = arguments.split(",")
        if len(numbers) in counts and all(_INTEGER.fullmatch(each.strip()) for each in numbers):
            return make([int(each) for each in numbers])
    raise ValueError(f"the route constraint '{text}' is not supported")


def _regex(pattern: str) -> Constraint:
    # In a template, braces of the expression are doubled.
    try:
        compiled = re.compile(pattern.replace("{{", "{").replace("}}", "}"), re.IGNORECASE)
    except re.error as malformed:
        raise ValueError(f"the route constraint 'regex({pattern})' is malformed: {malformed}") from malformed
    return lambda value: compiled.search(value) is not None
