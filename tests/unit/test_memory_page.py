"""`docs/memory.md` shows an agent that works, and limits that are the limits."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agents.context import AgentContext
from agents.prompting import memory_text
from shared.contracts import AgentInput
from shared.memory.entries import MAX_ENTRIES, MAX_FACT_CHARS, MAX_LINE_CHARS, MAX_LINES
from shared.memory.search import MAX_WORDS
from shared.settings import Settings
from tests.support.app_world import World, make_world
from tests.support.documents import a_task

PAGE = (Path(__file__).parents[2] / "docs" / "memory.md").read_text(encoding="utf-8")


async def test_the_agent_on_the_page_remembers(tmp_path: Path) -> None:
    [program] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    page: dict[str, Any] = {}
    exec(program, page)  # noqa: S102
    async with make_world(tmp_path) as world:
        world.replies = ["Rivers carry it."]
        for number, asked in enumerate(("Why is the sea salt?", "Which salt?")):
            await page["GUIDE"].handler(_context(world, number), AgentInput(request=asked))
        shown = world.model.requests[-1].user
    assert "person: Why is the sea salt?\nguide: Rivers carry it." in shown
    assert "The person asked: Why is the sea salt?" in shown
    assert page["GUIDE"].card().prompt_tokens > 4000
    assert memory_text(()) == ""


def _context(world: World, number: int) -> AgentContext:
    task = a_task("guide", task_id=f"run-{number}", session="s")
    return AgentContext(task, world.resources, model_timeout=timedelta(seconds=5), max_output_tokens=100)


@pytest.mark.parametrize(
    "said",
    [
        f"| {MAX_FACT_CHARS:,} characters |",
        f"| {MAX_LINES} lines of {MAX_LINE_CHARS:,} characters",
        f"| the newest {MAX_ENTRIES['fact']} each |",
        f"| the newest {MAX_ENTRIES['turn']} turns |",
        f"`MUSTER_FACT_DAYS` ({Settings().fact_days})",
        f"`MUSTER_SESSION_DAYS` ({Settings().session_days})",
        f"first {MAX_WORDS} different words",
    ],
)
def test_the_limits_on_the_page_are_the_limits(said: str) -> None:
    assert said in PAGE
