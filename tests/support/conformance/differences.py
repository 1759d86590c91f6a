"""The intended differences between the local host's task hub and durabletask's in-memory backend.

`docs/taskhub-differences.toml` is the one table: the comparison reads it here, and people read it as
`docs/taskhub-differences.md`, which `python -m tests.support.conformance.differences` writes from it.
"""

import difflib
import fnmatch
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).resolve().parents[3] / "docs"
TABLE: Final = DOCS / "taskhub-differences.toml"
PAGE: Final = DOCS / "taskhub-differences.md"

_HEAD: Final = """\
# Where the local task hub differs

The same programs run on the local host's task hub and on the in-memory backend that `durabletask` ships for tests, and
everything a client can see is compared: answers, statuses, and histories event by event. This is the whole list of what
differs on purpose. A difference that is not listed fails the tests, and so does one that is listed and does not occur.

This page is written by `python -m tests.support.conformance.differences` from `taskhub-differences.toml`.

| What | durabletask's in-memory backend | The local host | Why |
|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """One row. A line that only the reference has must match one of `there`, a line that only the hub has one of
    `here` (shell patterns over the lines of an observation); in the programs whose names match `programs`.
    """

    name: str
    reference: str
    local: str
    why: str
    programs: tuple[str, ...]
    there: tuple[str, ...]
    here: tuple[str, ...]

    def explains(self, program: str, line: str) -> bool:
        """Whether this is the reason for a line of a difference, which begins with - (reference) or + (here)."""
        patterns = self.there if line[0] == "-" else self.here
        named = any(fnmatch.fnmatchcase(program, each) for each in self.programs)
        return named and any(fnmatch.fnmatchcase(line[1:], _literal(each)) for each in patterns)


def _literal(pattern: str) -> str:
    """Only `*` is special in the table: brackets and question marks are part of the lines."""
    return "".join(f"[{each}]" if each in "[?" else each for each in pattern)


def load(path: Path = TABLE) -> list[Difference]:
    """The table, in its order. Raises `ValueError` for a row that could not explain anything."""
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["difference"]
    found = []
    for row in rows:
        difference = Difference(
            row["name"],
            row["reference"],
            row["local"],
            row["why"],
            tuple(row["programs"]),
            tuple(row.get("there", ())),
            tuple(row.get("here", ())),
        )
        if not difference.there and not difference.here:
            raise ValueError(f"the difference '{difference.name}' matches no line")
        found.append(difference)
    return found


def changed(reference: Sequence[str], local: Sequence[str]) -> list[str]:
    """The lines only one of them has, marked - and +, in the order of the observation."""
    lines = difflib.unified_diff(reference, local, lineterm="", n=0)
    return [line for line in lines if line[:3] not in ("---", "+++") and line[0] in "-+"]


def explanations(program: str, lines: Iterable[str], table: Sequence[Difference]) -> dict[str, Difference | None]:
    """Each line with the row that explains it, or None."""
    return {line: next((each for each in table if each.explains(program, line)), None) for line in lines}


def page(table: Sequence[Difference]) -> str:
    """The table as people read it."""
    rows = [f"| {each.name} | {each.reference} | {each.local} | {each.why} |" for each in table]
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(load()), encoding="utf-8")
