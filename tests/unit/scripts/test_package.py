"""A deployment uploads the app and nothing else, whatever lies about in the folder."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from scripts.package import pack, packed_files
from tests.support.pages import ROOT

ROOMS = ("agents", "orchestrations", "shared")
FILES = {"composition.py", "function_app.py", "host.json", "requirements.txt"}
LYING_ABOUT = (
    ".env",
    ".venv/lib/python3.13/site-packages/openai/__init__.py",
    ".git/config",
    ".devhost/keys/default",
    ".muster/state.db",
    "agents/__pycache__/writer.cpython-313.pyc",
    "local.settings.json",
    "scripts/cosmosdb/node_modules/x/index.js",
    "tests/unit/test_x.py",
    "bench/results/today.txt",
    "docs/private.md",
)


def kept_files() -> set[str]:
    """The repository's files, those that are yet to be committed among them."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return {name for name in listed if (ROOT / name).is_file()}


def app_files() -> set[str]:
    """What the app is made of: its rooms' files and four beside them."""
    return {name for name in kept_files() if name.partition("/")[0] in ROOMS} | FILES


def test_what_is_uploaded_is_the_app_its_settings_for_the_host_and_its_requirements() -> None:
    assert {path.as_posix() for path in packed_files(ROOT)} == app_files()


@pytest.mark.parametrize("stray", LYING_ABOUT)
def test_what_lies_about_is_not_uploaded(tmp_path: Path, stray: str) -> None:
    for name in (".funcignore", "function_app.py", "agents/writer.py", stray):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".funcignore").write_bytes((ROOT / ".funcignore").read_bytes())
    assert [path.as_posix() for path in packed_files(tmp_path)] == ["agents/writer.py", "function_app.py"]


def test_local_settings_are_left_out_whatever_the_rules_say(tmp_path: Path) -> None:
    (tmp_path / ".funcignore").write_text(".*\n!local.settings.json\n")
    (tmp_path / "local.settings.json").touch()
    assert packed_files(tmp_path) == ()


def test_the_zip_holds_what_is_uploaded(tmp_path: Path) -> None:
    pack(ROOT, tmp_path / "app.zip")
    with zipfile.ZipFile(tmp_path / "app.zip") as packed:
        assert set(packed.namelist()) == app_files()
        assert packed.read("function_app.py") == (ROOT / "function_app.py").read_bytes()
