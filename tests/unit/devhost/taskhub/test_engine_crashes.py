"""The process dies at each place the engine names, again and again, and is started on what it left."""

from pathlib import Path

import pytest

from devhost.clock import ManualClock
from devhost.taskhub.engine.crash_points import NAMES
from tests.support.crash_program import CrashAt, Life

# The SDK advises once in a process; an app's own tests would see the same.
pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")


async def lives(path: Path, crashes: list[CrashAt]) -> list[Life]:
    """The program run over several lives of the process; the last one must be allowed to reach the end."""
    clock, asked, lived = ManualClock(), set[str](), []
    for crash in crashes:
        life = Life(path, clock, crash)
        await life.run(asked)
        lived.append(life)
    return lived


async def test_the_program_passes_every_place_where_the_process_can_die(tmp_path: Path) -> None:
    (life,) = await lives(tmp_path / "hub", [CrashAt()])
    assert set(life.crash.seen) == set(NAMES)


@pytest.mark.parametrize("at", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("name", NAMES)
async def test_nothing_is_lost_and_nothing_completed_is_repeated_when_the_process_dies(
    tmp_path: Path, name: str, at: int
) -> None:
    path = tmp_path / "hub"
    died, finished = await lives(path, [CrashAt(name, at), CrashAt()])
    assert not finished.ended_before & set(finished.ended)
    again = [each for each in finished.ended if each in died.ended]
    assert len(again) <= 10, "more is run again than can have been in flight"
    left = Life(path, ManualClock(), CrashAt())
    left.check()
    left.ground.engine.die()


async def test_a_process_that_dies_again_and_again_still_ends_with_everything_right(tmp_path: Path) -> None:
    path = tmp_path / "hub"
    crashes = [CrashAt(name, at) for at in (2, 4) for name in NAMES]
    lived = await lives(path, [*crashes, CrashAt()])
    for life in lived:
        assert not life.ended_before & set(life.ended)
    left = Life(path, ManualClock(), CrashAt())
    left.check()
    left.ground.engine.die()
