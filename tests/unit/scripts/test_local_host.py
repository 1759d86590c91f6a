"""The local host as a child process: what it leaves behind belongs to whoever started it."""

import stat
from pathlib import Path

import pytest

from scripts.local_host import HostFailed, local_host


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_the_state_directory_and_the_log_with_its_keys_are_their_owners_alone(tmp_path: Path) -> None:
    state, old_log = tmp_path / "state", tmp_path / "old" / "demo.log"
    old_log.parent.mkdir()
    old_log.touch(mode=0o644)
    for log in (state / "demo.log", old_log):
        with pytest.raises(HostFailed):
            async with local_host(log=log, state_dir=state, settings={}, arguments=["--app", "/no-such-app"]):
                pass
        assert mode(log) == 0o600
    assert mode(state) == 0o700
