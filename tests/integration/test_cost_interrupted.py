"""`make cost`, interrupted: it says so in one word and leaves nothing behind."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.host_process import ROOT

LONGEST_SECONDS = 60.0


async def test_ctrl_c_ends_the_host_and_what_it_has_started_and_removes_its_folder(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scripts.cost", "--patterns", "handoff", "--runs", "50"),
        *("--save", str(tmp_path / "counts.json")),
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        # A group of its own, as a terminal gives it, whose processes can be asked for afterwards.
        start_new_session=True,
    )
    assert process.stderr is not None
    assert process.stdout is not None
    try:
        begun = await asyncio.wait_for(process.stderr.readline(), LONGEST_SECONDS)
        if b"Node 20" in begun and not os.environ.get("CI"):
            pytest.skip(begun.decode())
        assert begun == b"running handoff\n"
        assert [path.name[:11] for path in tmp_path.iterdir()] == ["muster-cost"]
        process.send_signal(signal.SIGINT)
        said = await asyncio.wait_for(process.stderr.read(), LONGEST_SECONDS)
        assert await process.wait() == 130
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert said.split() == [b"interrupted"]
    assert await process.stdout.read() == b""
    assert list(tmp_path.iterdir()) == []
    await eventually(lambda: not _is_alive(process.pid))


def _is_alive(group: int) -> bool:
    """Whether a process group still has processes."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
