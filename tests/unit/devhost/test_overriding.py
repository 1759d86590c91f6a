"""Settings that a test gives win, and nothing of them is left."""

from pathlib import Path

import pytest

from devhost.config import overriding


def test_settings_win_over_the_environment_and_it_is_as_before_afterwards() -> None:
    environment = {"A": "1", "B": "2"}
    with overriding({"A": "x", "C": "y"}, environment):
        assert environment == {"A": "x", "B": "2", "C": "y"}
        environment["D"] = "what the host adds"
    assert environment == {"A": "1", "B": "2"}


def test_the_current_folder_is_as_before_also_after_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Path.cwd()

    def broken() -> None:
        with overriding({}, {}):
            monkeypatch.chdir(tmp_path)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        broken()
    assert Path.cwd() == here
