"""The local host's task hub does what durabletask's in-memory backend does, but for the differences that are listed.

Each program runs on both; its answers, statuses and histories are compared line by line.
"""

import pytest

from tests.contract.taskhub import programs
from tests.support.conformance.catalog import Program
from tests.support.conformance.differences import PAGE, changed, explanations, load, page
from tests.support.conformance.observations import Observations
from tests.support.conformance.under_test import WAYS

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROGRAMS = programs.collect()
TABLE = load()


async def unexplained(observations: Observations, way: str, program: Program) -> list[str]:
    """The lines that differ without a reason."""
    lines = changed(await observations.reference(program), await observations.hub(way, program))
    return [line for line, reason in explanations(program.name, lines, TABLE).items() if reason is None]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
async def test_a_program_ends_alike_on_both(observations: Observations, program: Program, way: str) -> None:
    difference = await unexplained(observations, way, program)
    assert not difference, "\n" + "\n".join(difference)


@pytest.mark.parametrize("way", WAYS)
async def test_every_listed_difference_occurs(observations: Observations, way: str) -> None:
    observations.begin(PROGRAMS)
    occurred = set()
    for program in PROGRAMS:
        lines = changed(await observations.reference(program), await observations.hub(way, program))
        occurred |= {reason.name for reason in explanations(program.name, lines, TABLE).values() if reason}
    assert [each.name for each in TABLE if each.name not in occurred] == []


async def test_there_are_eighty_programs_at_least() -> None:
    assert len(PROGRAMS) >= 80


async def test_the_page_of_differences_is_written_from_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(TABLE), "run python -m tests.support.conformance.differences"
