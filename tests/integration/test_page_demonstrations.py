"""What `docs/operations.md` shows of failures happens so when its commands are typed, second by second.

`apps/operations/operations_test.py` proves the same under a clock of its own, and in no time.
"""

from pathlib import Path
from typing import Final

from tests.support.page_ground import BY_PAGE, PATIENT, on_a_host

PAGE: Final = "docs/operations.md"
BEGINNING: Final = "Operations"
DEMONSTRATIONS: Final = "See it fail, and mend it"


async def test_the_demonstrations_of_failures_come_out_as_the_page_says(tmp_path: Path) -> None:
    """They take three minutes, in which hardly anything is done."""
    shown = [each for each in BY_PAGE[PAGE] if each.section in (BEGINNING, DEMONSTRATIONS)]
    assert len(shown) > 4
    async with on_a_host(tmp_path) as ground:
        for command in shown:
            await ground.say(command)
            await ground.shell.run(PATIENT)
