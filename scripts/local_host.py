"""The local host as a child process, for the demo, `make run` and the benchmarks."""

import asyncio
import json
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = ROOT / "local.settings.json"
SAMPLE = ROOT / "local.settings.sample.json"
START_SECONDS = 60.0
STOP_SECONDS = 40.0
EMULATOR = "Endpoint=sb://localhost:{port};SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;"


class HostFailed(Exception):
    """The host did not start. The text is its cause in one line."""


@dataclass(frozen=True, slots=True)
class RunningHost:
    """A host that is ready: its address, its process id and its function key."""

    url: str
    pid: int
    key: str
    log: Path


def ensure_settings() -> None:
    """Make local.settings.json from the sample, once; it is yours to edit."""
    if not SETTINGS.exists():
        shutil.copyfile(SAMPLE, SETTINGS)


def all_configured() -> Mapping[str, str]:
    """The settings that the app finds under the local host: the environment, over local.settings.json."""
    values = json.loads(SETTINGS.read_text(encoding="utf-8"))["Values"] if SETTINGS.exists() else {}
    return {**values, **os.environ}


def configured(name: str) -> str:
    """What the app finds under a setting's name; empty when it is not set."""
    return str(all_configured().get(name, ""))


def free_port() -> int:
    """A TCP port on loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def make_private(folder: Path) -> None:
    """Make the folder as the host itself does: only its owner may look inside, because it holds keys."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def private_log(path: Path) -> BinaryIO:
    """The host shows its new keys in its log once, so the log is as secret as they are."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "wb")


@asynccontextmanager
async def local_host(
    *, log: Path, state_dir: Path, settings: Mapping[str, str], arguments: Sequence[str] = ()
) -> AsyncIterator[RunningHost]:
    """A host on free ports, stopped at the end. `settings` win over local.settings.json. Raises `HostFailed`."""
    ready_file = log.with_suffix(".ready.json")
    ready_file.unlink(missing_ok=True)
    make_private(log.parent)
    command = [sys.executable, "-m", "devhost", "--port", "0", "--state-dir", str(state_dir)]
    command += ["--ready-file", str(ready_file), *arguments]
    environment = {**os.environ, "ServiceBusConnection": EMULATOR.format(port=free_port()), **settings}
    with private_log(log) as output:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield await _ready(process, ready_file, log)
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _ready(process: asyncio.subprocess.Process, ready_file: Path, log: Path) -> RunningHost:
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while not ready_file.exists():
        if process.returncode is not None:
            raise HostFailed(f"the local host ended with status {process.returncode}: {_cause(log)}")
        if asyncio.get_running_loop().time() > deadline:
            raise HostFailed(f"the local host was not ready within {START_SECONDS:g} s; its log is {log}")
        await asyncio.sleep(0.02)
    ready = json.loads(ready_file.read_text())
    key = (Path(ready["keys_dir"]) / "default").read_text().strip()
    return RunningHost(url=ready["url"], pid=ready["pid"], key=key, log=log)


def _cause(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["it said nothing"])[0]
