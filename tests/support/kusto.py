"""Microsoft's own parser of the Kusto Query Language, from npm, and what it finds in queries.

`mistakes` compares what a query asks for with rows that were really sent. That tables and columns exist the parser
knows from the schema; keys of `Properties` and names of metrics and spans are text to it.
"""

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.node_packages import packages_of
from tests.support.log_tables import TABLES, Row

PROGRAM = Path(__file__).parent / "kusto_parser"
SECONDS = 120.0


@dataclass(frozen=True)
class Compared:
    """A text that the column `Name` is compared with; a `prefix` need only be its beginning."""

    name: str
    prefix: bool

    def fits(self, row: Row) -> bool:
        """Whether a row passes this comparison."""
        return row.name.startswith(self.name) if self.prefix else row.name == self.name


@dataclass(frozen=True)
class Key:
    """A key of `Properties` that a query reads, and the rows that it reads it from, as far as filters tell."""

    line: int
    key: str
    tables: tuple[str, ...]
    names: tuple[Compared, ...]

    def is_in(self, row: Row) -> bool:
        """Whether it is found there."""
        asked = row.table in self.tables and (not self.names or any(each.fits(row) for each in self.names))
        return asked and self.key in row.properties


@dataclass(frozen=True)
class Report:
    """What the parser says of one query. `columns` are its result's, with their types."""

    problems: tuple[tuple[int, str], ...]
    keys: tuple[Key, ...]
    names: tuple[tuple[int, Compared, tuple[str, ...]], ...]
    literals: tuple[tuple[int, str], ...]
    columns: Mapping[str, str]


async def analysed(
    queries: Mapping[str, str], tables: Mapping[str, Mapping[str, str]] = TABLES
) -> Mapping[str, Report]:
    """A report on each query by its name. Raises `NodeUnavailable`, and `RuntimeError` when the parser breaks."""
    packages = await packages_of(PROGRAM)
    process = await asyncio.create_subprocess_exec(
        *("node", str(PROGRAM / "analyse.cjs"), str(packages)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    given = json.dumps({"tables": tables, "queries": queries}).encode()
    try:
        output, errors = await asyncio.wait_for(process.communicate(given), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        raise RuntimeError(f"the parser ended with {process.returncode}: {errors.decode()[-2000:]}")
    return {name: _report(each) for name, each in json.loads(output).items()}


def mistakes(report: Report, rows: Iterable[Row], known: Iterable[str] = ()) -> Iterator[str]:
    """What is wrong with a query, given everything that was sent.

    Every text in a query has to be a key, a name or a value that was sent, or one of `known`.
    """
    sent = tuple(rows)
    yield from (f"line {line}: {message}" for line, message in report.problems)
    for key in report.keys:
        if not any(key.is_in(row) for row in sent):
            of = " or ".join(each.name for each in key.names) or " or ".join(key.tables)
            yield f"line {key.line}: nothing that is sent as {of} has {key.key!r}"
    for line, compared, tables in report.names:
        if not any(row.table in tables and compared.fits(row) for row in sent):
            yield f"line {line}: nothing is sent to {' or '.join(tables)} under the name {compared.name!r}"
    explained = {key.key for key in report.keys} | {compared.name for _, compared, _ in report.names} | {*known}
    values = {value for row in sent for value in row.properties.values()}
    for line, text in report.literals:
        if text not in explained and text not in values:
            yield f"line {line}: nothing that is sent says {text!r}"


def _report(given: Mapping[str, Any]) -> Report:
    return Report(
        problems=tuple((each["line"], each["message"]) for each in given["problems"]),
        keys=tuple(
            Key(each["line"], each["key"], tuple(each["tables"]), tuple(Compared(**name) for name in each["names"]))
            for each in given["keys"]
        ),
        names=tuple(
            (each["line"], Compared(each["name"], each["prefix"]), tuple(each["tables"])) for each in given["names"]
        ),
        literals=tuple((each["line"], each["literal"]) for each in given["literals"]),
        columns=dict(given["columns"]),
    )
