"""A program for Node: its packages, fetched once and kept, and the outcomes it prints, a line of JSON for each."""

import asyncio
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

KEPT = Path(__file__).resolve().parents[2] / ".cache" / "node"
OLDEST = 20
INSTALL_SECONDS = 240.0
RUN_SECONDS = 180.0
_OPERATION = re.compile(r'^operation\("([^"]+)"', re.MULTILINE)


class NodeUnavailable(Exception):
    """The program cannot run on this machine; the text says why."""


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


async def packages_of(program: Path) -> Path:
    """The folder with the packages that `package.json` asks for, made once. Raises `NodeUnavailable`."""
    await _require_node()
    manifest = program / "package.json"
    kept = KEPT / hashlib.sha256(manifest.read_bytes()).hexdigest()[:16]
    if not kept.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT) as scratch:
            made = Path(scratch) / "packages"
            made.mkdir()
            shutil.copy(manifest, made)
            await _install(made)
            # Another test process may have been faster.
            with suppress(OSError):
                made.rename(kept)
    return kept / "node_modules"


async def run(program: Path, packages: Path, scratch: Path, environment: Mapping[str, str], *arguments: str) -> Report:
    """Run the program's `smoke.mjs` in a copy beside its packages; it is killed when it takes too long."""
    for path in program.glob("*.mjs"):
        shutil.copy(path, scratch)
    (scratch / "node_modules").symlink_to(packages)
    status, output, errors = await _finish(
        ["node", "smoke.mjs", *arguments], scratch, RUN_SECONDS, {**os.environ, **environment}
    )
    outcomes = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    failures = {each["name"]: None if each["ok"] else str(each["error"]) for each in outcomes}
    return Report(failures, f"it ended with {status}: {errors[-4000:]}")


async def _require_node() -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise NodeUnavailable(f"node and npm are not installed; Node {OLDEST} or newer is needed")
    _, version, _ = await _finish(["node", "--version"], KEPT.parents[1], 30.0)
    found = re.match(r"v(\d+)\.", version)
    if found is None or int(found[1]) < OLDEST:
        raise NodeUnavailable(f"Node {OLDEST} or newer is needed, and this is {version.strip() or 'none'}")


async def _install(folder: Path) -> None:
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund"]
    status, output, errors = await _finish(command, folder, INSTALL_SECONDS)
    if status != 0:
        raise NodeUnavailable(
            f"npm could not install the packages (it ended with {status}): {(output + errors)[-2000:]}"
        )


async def _finish(
    command: list[str], folder: Path, seconds: float, environment: Mapping[str, str] | None = None
) -> tuple[int | None, str, str]:
    """Exit status, output and errors of a command; the status is None when it was killed after `seconds`."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=errors
        )
        status: int | None = None
        try:
            async with asyncio.timeout(seconds):
                status = await process.wait()
        except TimeoutError:
            errors.write(f"killed after {seconds:g} s".encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        for file in (output, errors):
            file.seek(0)
        return status, output.read().decode("utf-8", "replace"), errors.read().decode("utf-8", "replace")
