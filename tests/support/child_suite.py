"""Tests in a process of their own, because a process can run one app: run once, and reported one by one.

The folder has a `pytest.ini`; its tests are in `*_test.py`, where no other collection finds them.
"""

import ast
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from tests.support.host_process import ROOT

LONGEST_SECONDS = 300.0


def names_in(folder: Path) -> list[str]:
    """The names of the folder's tests, `module::function`, read off its modules without importing them."""
    return [
        f"{module.stem}::{node.name}"
        for module in sorted(folder.glob("*_test.py"))
        for node in ast.parse(module.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]


def run_suite(folder: Path, *arguments: str) -> Mapping[str, Sequence[str]]:
    """Run all of the folder's tests in one process: what went wrong in each, by its name; nothing where all is well.

    A test that did not run is not there. Each case of a test with parameters may add a text.
    """
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-c", "pytest.ini", f"--junitxml={report}", *arguments, "."],
            cwd=folder,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
        assert report.exists(), f"exit status {ended.returncode}:\n{ended.stdout}\n{ended.stderr}"
        return _outcomes(ElementTree.parse(report).getroot())  # noqa: S314 - pytest wrote it


def _outcomes(report: ElementTree.Element) -> Mapping[str, Sequence[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for case in report.iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name', '').partition('[')[0]}"
        found[name] += [
            f"{case.get('name')}: {each.text}" for each in case if each.tag in ("failure", "error", "skipped")
        ]
    return found
