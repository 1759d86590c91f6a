"""Packages for Node programs, fetched once with npm and kept."""

import asyncio
import hashlib
import re
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

KEPT = Path(__file__).resolve().parent.parent / ".cache" / "node"
OLDEST = 20
INSTALL_SECONDS = 240.0


class NodeUnavailable(Exception):
    """The program cannot run on this machine; the text says why."""


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


async def finish(
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


async def _require_node() -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise NodeUnavailable(f"node and npm are not installed; Node {OLDEST} or newer is needed")
    _, version, _ = await finish(["node", "--version"], KEPT.parents[1], 30.0)
    found = re.match(r"v(\d+)\.", version)
    if found is None or int(found[1]) < OLDEST:
        raise NodeUnavailable(f"Node {OLDEST} or newer is needed, and this is {version.strip() or 'none'}")


async def _install(folder: Path) -> None:
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund"]
    status, output, errors = await finish(command, folder, INSTALL_SECONDS)
    if status != 0:
        raise NodeUnavailable(
            f"npm could not install the packages (it ended with {status}): {(output + errors)[-2000:]}"
        )
