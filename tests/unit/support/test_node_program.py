"""What a Node program's report says, and how its operations are found."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.node_program import Report, operations, run


def program(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / "smoke.mjs").write_text(text, encoding="utf-8")
    return folder


def test_operations_are_read_from_the_lines_that_begin_with_them(tmp_path: Path) -> None:
    text = (
        'operation("one thing", run);\n  operation("indented", run);\noperation("another, with a comma", async () => {'
    )
    assert operations(program(tmp_path / "p", text)) == ["one thing", "another, with a comma"]


def test_an_operation_that_failed_or_was_never_run_fails_its_test() -> None:
    report = Report({"good": None, "bad": "it broke"}, "it ended with 1: out of memory")
    report.require("good")
    with pytest.raises(AssertionError, match="it broke"):
        report.require("bad")
    with pytest.raises(AssertionError, match="out of memory"):
        report.require("forgotten")


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
async def test_a_program_that_breaks_off_leaves_what_it_reported_and_why_it_ended(tmp_path: Path) -> None:
    line = json.dumps({"name": "done", "ok": True})
    broken = program(tmp_path / "p", f"console.log('{line}'); console.log('noise'); throw new Error(process.env.WHY);")
    (tmp_path / "run").mkdir()
    report = await run(broken, tmp_path, tmp_path / "run", {"WHY": "no more"})
    assert report.failures == {"done": None}
    assert report.ending.startswith("it ended with 1")
    assert "no more" in report.ending
