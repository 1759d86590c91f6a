"""The words of the service's SQL filter language.

Source of the grammar: "Subscription Rule SQL Filter Syntax" in the Service Bus documentation.
"""

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

from devhost.broker.errors import FilterSyntaxError

KEYWORDS = frozenset({"AND", "ESCAPE", "EXISTS", "FALSE", "IN", "IS", "LIKE", "NOT", "NULL", "OR", "TRUE"})


class Kind(Enum):
    """What sort of word a token is."""

    KEYWORD = auto()
    NAME = auto()
    STRING = auto()
    INTEGER = auto()
    REAL = auto()
    PARAMETER = auto()
    SYMBOL = auto()
    END = auto()


class Token(NamedTuple):
    """One word: `text` is its meaning (a keyword in capitals, a string unquoted), `at` its offset in the filter."""

    kind: Kind
    text: str
    at: int


_WORDS = re.compile(
    r"""(?P<space>\s+)
    |(?P<REAL>\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)
    |(?P<INTEGER>\d+)
    |(?P<STRING>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")+")
    |(?P<delimited>\[(?:[^\]]|\]\])+\])
    |(?P<PARAMETER>@\w+)
    |(?P<name>[^\W\d_]\w*)
    |(?P<SYMBOL><>|!=|>=|<=|[=<>+\-*/%(),.])""",
    re.VERBOSE,
)


def tokens(text: str) -> Iterator[Token]:
    """The words of `text`, and an END; `FilterSyntaxError` at the first thing that is no word."""
    at = 0
    while at < len(text):
        found = _WORDS.match(text, at)
        if found is None:
            raise FilterSyntaxError(f"SQL filter: {text[at]!r} at position {at} belongs to nothing in {text!r}")
        if found.lastgroup != "space":
            yield _token(str(found.lastgroup), found.group(), at)
        at = found.end()
    yield Token(Kind.END, "the end", at)


def _token(group: str, word: str, at: int) -> Token:
    match group:
        case "STRING":
            return Token(Kind.STRING, word[1:-1].replace("''", "'"), at)
        case "quoted":
            return Token(Kind.NAME, word[1:-1].replace('""', '"'), at)
        case "delimited":
            return Token(Kind.NAME, word[1:-1].replace("]]", "]"), at)
        case "name":
            capitals = word.upper()
            return Token(Kind.KEYWORD, capitals, at) if capitals in KEYWORDS else Token(Kind.NAME, word, at)
        case _:
            return Token(Kind[group], word, at)
