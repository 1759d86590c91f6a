"""A program for Node: its packages, fetched once and kept, and the outcomes it prints, a line of JSON for each."""

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.node_packages import finish

RUN_SECONDS = 180.0
_OPERATION = re.compile(r'^operation\("([^"]+)"', re.MULTILINE)


@dataclass(frozen=True)
class Report:
    """What became of a program's operations."""

    #: None for an operation that held, and for another what went wrong.
    failures: Mapping[str, str | None]
    #: How the program itself ended, with whatever it said.
    ending: str

    def require(self, name: str) -> None:
        """Raise `AssertionError` unless the operation was run and held."""
        assert name in self.failures, f"the program did not come to this operation; {self.ending}"
        failure = self.failures[name]
        assert failure is None, failure


def operations(program: Path) -> list[str]:
    """The names of a program's operations, read from its text."""
    return [name for path in sorted(program.glob("*.mjs")) for name in _OPERATION.findall(path.read_text("utf-8"))]


async def run(program: Path, packages: Path, scratch: Path, environment: Mapping[str, str], *arguments: str) -> Report:
    """Run the program's `smoke.mjs` in a copy beside its packages; it is killed when it takes too long."""
    for path in program.glob("*.mjs"):
        shutil.copy(path, scratch)
    (scratch / "node_modules").symlink_to(packages)
    status, output, errors = await finish(
        ["node", "smoke.mjs", *arguments], scratch, RUN_SECONDS, {**os.environ, **environment}
    )
    outcomes = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    failures = {each["name"]: None if each["ok"] else str(each["error"]) for each in outcomes}
    return Report(failures, f"it ended with {status}: {errors[-4000:]}")
