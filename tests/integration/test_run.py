"""`make run`, as a supervisor runs it: what it started ends with it."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from scripts.cosmos_server import PROGRAM
from scripts.local_host import EMULATOR, free_port
from scripts.node_packages import NodeUnavailable, packages_of
from tests.support.eventually import eventually
from tests.support.host_process import ROOT


@pytest.fixture
async def needs_node() -> None:
    try:
        await packages_of(PROGRAM)
    except NodeUnavailable as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))


async def test_a_request_to_terminate_reaches_the_host_which_drains_and_ends(tmp_path: Path) -> None:
    await start_and_terminate(tmp_path)


@pytest.mark.usefixtures("needs_node")
async def test_it_runs_on_cosmos_db_and_ends_with_the_server_that_it_started(tmp_path: Path) -> None:
    await start_and_terminate(tmp_path, "--state", "cosmos")
    assert not list((tmp_path / "data").glob("*.db"))


async def start_and_terminate(tmp_path: Path, *chosen: str) -> None:
    log, ready = tmp_path / "run.log", tmp_path / "ready.json"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "ServiceBusConnection": EMULATOR.format(port=free_port()),
        "MUSTER_DATA_DIR": str(tmp_path / "data"),
    }
    arguments = ["--port", "0", "--state-dir", str(tmp_path / "state"), "--ready-file", str(ready), *chosen]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "scripts.run", *arguments, cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        await eventually(ready.exists, within=30)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 40) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert "stopped" in log.read_text()
