"""`docs/agents.md` shows agents that work, and the defaults that are the defaults."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

from agents.catalog import CATALOG, Catalog
from agents.context import AgentContext
from agents.spec import AgentSpec
from agents.topology import service_bus_topology
from shared.contracts import AgentInput, EarlierOutput
from tests.support.app_world import World, make_world
from tests.support.documents import a_task

PAGE = (Path(__file__).parents[2] / "docs" / "agents.md").read_text(encoding="utf-8")
FOUND = AgentInput(
    request={"topic": "Tides"}, earlier=(EarlierOutput(step_id="research", agent="research", output="The moon pulls."),)
)


def agent_of(program: int, name: str) -> AgentSpec:
    """The agent that one of the page's programs makes."""
    page: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[program], page)  # noqa: S102
    spec = page[name]
    assert isinstance(spec, AgentSpec)
    return spec


def context_of(world: World, agent: str) -> AgentContext:
    return AgentContext(a_task(agent), world.resources, model_timeout=timedelta(seconds=5), max_output_tokens=100)


async def test_the_agent_that_is_a_prompt_asks_the_model_with_what_was_found(tmp_path: Path) -> None:
    async with make_world(tmp_path) as world:
        world.replies = ["The moon goes by."]
        answered = await agent_of(0, "POET").handler(context_of(world, "poet"), FOUND)
        assert answered == "The moon goes by."
        assert "The moon pulls." in world.model.requests[-1].user


async def test_the_agent_that_is_code_counts_and_asks_no_model(tmp_path: Path) -> None:
    async with make_world(tmp_path) as world:
        assert await agent_of(1, "COUNTER").handler(context_of(world, "counter"), FOUND) == {"research": 3}
        assert world.model.requests == []


def test_an_agent_that_is_named_in_the_catalog_has_its_queue_in_the_topology() -> None:
    catalog = Catalog([*CATALOG, agent_of(0, "POET"), agent_of(1, "COUNTER")])
    assert {"poet-tasks", "counter-tasks"} <= {queue["name"] for queue in service_bus_topology(catalog)["queues"]}


def test_the_defaults_on_the_page_are_the_defaults() -> None:
    spec = agent_of(1, "COUNTER")
    default = AgentSpec(name="x", description="x", handler=spec.handler)
    assert (default.timeout, default.transport, default.effect) == (timedelta(seconds=120), "bus", "safe")
    assert [delay.total_seconds() for delay in default.retry.delays] == [5, 10, 15]
    assert (default.model_calls, default.prompt_tokens, default.manages) == (1, 4000, False)
    shown = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)))) - {"AgentSpec"}
    assert shown <= set(AgentSpec.__dataclass_fields__)
