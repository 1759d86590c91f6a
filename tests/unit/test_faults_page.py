"""`docs/faults.md`: every fault that is promised something has its row, and every test that it names exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "faults.md"

FAULTS = (
    "the host is killed around any point of an agent call",
    "the host is killed while an orchestrator begins to wait",
    "the host is killed around a retry",
    "the host is killed around a terminal report",
    "a message kills its host at each delivery",
    "a message expires in its queue",
    "a message is delivered twice",
    "a message's lock is lost while its agent works",
    "the reply event is refused by the task hub",
    "the reply event is lost",
    "the reply event comes after the deadline",
    "a store's write fails before or after it took effect",
    "an ETag conflict",
    "a model does not answer in time",
    "a model answers 429 with Retry-After",
    "a model answers 429 without Retry-After",
    "a model answers 500",
    "a model answers half a stream",
    "a model answers invalid JSON",
    "a model answers a right schema with a wrong enum",
    "a model answers nothing",
    "a model answers 10 MB",
    "a model's content filter refuses",
    "an agent raises",
    "an agent hangs",
    "an agent answers after its run ended",
    "all of one agent's calls fail",
    "the clock jumps during a call",
    "the clock jumps during a lease",
    "the clock jumps during a retry wait",
    "a receiver of telemetry is away, mute or broken",
)
"""What can be broken, by the names of the rows; a fault may have several."""

_ROW = re.compile(r"^\| (?P<fault>[^|]+?) \| (?P<promise>[^|]+?) \| (?P<tests>[^|]+?) \|$", re.MULTILINE)
_TEST = re.compile(r"`(?P<path>tests/[^`:]+\.py)::(?P<name>\w+)`")


def rows() -> list[tuple[str, str, str]]:
    """Fault, promise and tests of every row, but for the tables' heads."""
    found = [(row["fault"], row["promise"], row["tests"]) for row in _ROW.finditer(PAGE.read_text(encoding="utf-8"))]
    return [row for row in found if row[0] != "fault" and not row[0].startswith("---")]


def named_tests() -> Iterator[tuple[str, str]]:
    """Path and name of every test on the page."""
    for _, _, tests in rows():
        yield from ((named["path"], named["name"]) for named in _TEST.finditer(tests))


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_has_a_row(fault: str) -> None:
    assert any(row[0] == fault or row[0].startswith(f"{fault} ") for row in rows())


def test_every_row_names_a_test() -> None:
    assert [fault for fault, _, tests in rows() if not _TEST.search(tests)] == []


@pytest.mark.parametrize(("path", "name"), list(named_tests()))
def test_every_test_that_is_named_exists(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
