"""A page's shell keeps what its commands set, and a page's output is compared with what can be known of it."""

import os
from pathlib import Path

import pytest

from tests.support.shell import Said, Shell, agrees


async def test_a_shell_keeps_what_was_set_and_tells_what_was_printed_and_the_status(tmp_path: Path) -> None:
    async with Shell(tmp_path, {"PATH": os.defpath}) as shell:
        assert await shell.run("export A=1\nf() { echo $A; }") == Said("", 0)
        assert await shell.run("f; pwd") == Said(f"1\n{tmp_path}", 0)
        assert await shell.run("cat; echo oh >&2; false") == Said("oh", 1)
        assert (await shell.run("false | true")).status == 1


async def test_a_shell_waits_with_a_bound(tmp_path: Path) -> None:
    async with Shell(tmp_path, {"PATH": os.defpath}) as shell:
        with pytest.raises(TimeoutError):
            await shell.run("sleep 60", within=0.1)


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a 1 0.5", "a 1\n0.75", True),
        ("a 1", "a 2", False),
        ('{"at": "2026-01-01T00:00:00Z"}', '{"at": "2027-11-21T15:12:22.042000+00:00"}', True),
        ("0123456789abcdef0123456789abcdef ends", "ffffffffffffffffffffffffffffffff ends", True),
        ("[1, ...]", "[1, 2, 3]", True),
        ("[1, ...]", "[1, 2, 3", False),
        ("15:15:41.4 failed", "16:00:00.1 failed", True),
        ("failed", "failed later", False),
    ],
)
def test_what_a_page_shows_is_what_is_printed_but_for_what_differs_each_time(
    shown: str, printed: str, *, same: bool
) -> None:
    assert agrees(shown, printed) is same
