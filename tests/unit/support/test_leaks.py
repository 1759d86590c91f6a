"""The search for machine paths, registries and secrets finds them; the examples are put together from pieces."""

from pathlib import Path

import pytest

from tests.support.leaks import leaks, tracked_files

LONG = "A1b2C3d4E5" * 5


@pytest.mark.parametrize(
    "text",
    [
        "/ho" + "me/ada/project",
        "file:///Us" + "ers/Ada/x",
        "cd /ro" + "ot/x",
        "C:\\Us" + "ers\\ada",
        "https://py" + "pi.org/simple",
        "https://files.python" + "hosted.org/packages",
        "https://registry.npm" + "js.org/x",
        "--index" + "-url https://example.com",
        "--extra-index" + "-url=x",
        "PIP_" + "INDEX_URL=x",
        "key = sk" + f"-{LONG}",
        "gh" + f"p_{LONG}",
        "AKI" + "A0123456789ABCDEF",
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "SharedAccess" + f"Key={LONG}=",
        "Account" + f"Key={LONG}==",
    ],
)
def test_a_leak_is_found_and_not_repeated_in_full(text: str) -> None:
    found = leaks(f"first line\nbefore {text} after")
    assert len(found) == 1
    assert found[0].startswith("line 2: ")
    assert LONG not in found[0]


@pytest.mark.parametrize(
    "text",
    [
        "SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;",
        "https://learn.microsoft.com/azure",
        "/usr/local/bin/python3.13",
        "the root of the tree",
        "a risk-free task",
        "asks-for-something-that-is-quite-long",
    ],
)
def test_ordinary_text_is_no_leak(text: str) -> None:
    assert leaks(text) == []


def test_without_git_every_file_that_no_tool_made_is_searched(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("x")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "b.md").write_text("x")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "c.pyc").write_text("x")
    assert sorted(path.name for path in tracked_files(tmp_path)) == ["a.md", "b.md"]
