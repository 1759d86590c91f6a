"""What `docs/operations.md` shows of failures happens so when its commands are typed, second by second.

`apps/operations/operations_test.py` proves the same under a clock of its own, and in no time.
"""

from pathlib import Path
from typing import Final

from tests.support.page_ground import BY_PAGE, on_a_host

PAGE: Final = "docs/operations.md"
DEMONSTRATIONS: Final = "See it fail, and mend it"
# This machine may be busier than the reader's: a pause here lasts at least until what it is for has happened.
PATIENT: Final = r"""
none() { muster "$MUSTER/tasks?status=$1" | grep -q '"tasks": \[\]'; }
sleep() {
    command sleep "$1"
    if [ "$1" = 1 ]; then until circuit agent.academic | grep -qv "'open'"; do command sleep 0.1; done
    else until none pending && none running; do command sleep 0.2; done; fi
}
"""


async def test_the_demonstrations_of_failures_come_out_as_the_page_says(tmp_path: Path) -> None:
    """They take three minutes, in which hardly anything is done."""
    first, *_ = BY_PAGE[PAGE]
    shown = [each for each in BY_PAGE[PAGE] if each.section == DEMONSTRATIONS]
    assert len(shown) > 4
    async with on_a_host(tmp_path, offline=True) as ground:
        for command in (first, *shown):
            await ground.say(command)
            await ground.shell.run(PATIENT)
