import stat
from pathlib import Path

import pytest

from devhost.keys import NAMES, load_keys


def test_keys_are_made_once_and_kept(tmp_path: Path) -> None:
    first = load_keys(tmp_path / "keys")
    second = load_keys(tmp_path / "keys")
    assert first.fresh
    assert not second.fresh
    assert first.values == second.values
    assert len(set(first.values.values())) == len(NAMES)


def test_only_the_owner_can_read_a_key(tmp_path: Path) -> None:
    folder = load_keys(tmp_path / "keys").folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_key_that_is_missing_or_empty_is_made_anew_and_the_others_stay(tmp_path: Path) -> None:
    first = load_keys(tmp_path)
    (tmp_path / "default").write_text("")
    (tmp_path / "master").unlink()
    second = load_keys(tmp_path)
    assert second.fresh
    assert second.values["durabletask"] == first.values["durabletask"]
    assert second.values["default"] not in {"", first.values["default"]}
    assert second.values["master"]


@pytest.mark.parametrize("presented", [None, "", "wrong", "ü", "\udcff\udcfe"])
def test_a_wrong_key_opens_nothing(tmp_path: Path, presented: str | None) -> None:
    assert not load_keys(tmp_path).opens(presented, *NAMES)


def test_a_key_opens_what_it_is_named_for(tmp_path: Path) -> None:
    keys = load_keys(tmp_path)
    assert keys.opens(keys.values["master"], "default", "master")
    assert not keys.opens(keys.values["master"], "default")


def test_a_key_never_shows_in_a_representation(tmp_path: Path) -> None:
    keys = load_keys(tmp_path)
    assert not [value for value in keys.values.values() if value in repr(keys)]
