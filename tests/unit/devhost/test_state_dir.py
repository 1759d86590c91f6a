import os
from pathlib import Path

import pytest

from devhost.errors import StartError
from devhost.state_dir import StateDir


def test_a_directory_in_use_is_refused_with_the_process_that_holds_it(tmp_path: Path) -> None:
    held = StateDir.open(tmp_path / "a" / "state")
    with pytest.raises(StartError, match=rf"used by another host \(process {os.getpid()}\).*--state-dir"):
        StateDir.open(held.path)
    held.close()


def test_a_directory_let_go_can_be_held_again(tmp_path: Path) -> None:
    StateDir.open(tmp_path / "state").close()
    StateDir.open(tmp_path / "state").close()


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="cannot be used: Not a directory"):
        StateDir.open(tmp_path / "file" / "state")
    with pytest.raises(StartError, match="cannot be used: it is a file"):
        StateDir.open(tmp_path / "file")


def test_what_is_kept_there_stays_out_of_version_control(tmp_path: Path) -> None:
    StateDir.open(tmp_path).close()
    assert (tmp_path / ".gitignore").read_text() == "*\n"
