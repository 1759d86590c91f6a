"""The publisher: what it stores, what it says of it, and that it asks no model."""

from typing import Any

import pytest

from agents.context import AgentContext
from agents.publisher import PUBLISHER, publish
from shared.contracts import AgentInput
from shared.errors import InvalidRequest
from tests.support.app_world import World
from tests.support.documents import a_task


def context(world: World) -> AgentContext:
    return AgentContext(
        a_task("publisher"),
        world.resources,
        model_timeout=PUBLISHER.timeout,
        max_output_tokens=1,
    )


async def published(world: World, request: Any, *outputs: Any) -> tuple[dict[str, Any], str]:
    """What the publisher returned, and the text at the address it returned."""
    earlier = [{"step_id": f"s{n}", "agent": "writer", "output": output} for n, output in enumerate(outputs)]
    made = await publish(context(world), AgentInput.model_validate({"request": request, "earlier": earlier}))
    assert isinstance(made, dict)
    return made, (await world.resources.artifacts.get(str(made["address"]))).decode()


async def test_the_last_text_that_was_made_is_stored_and_found_at_its_address(world: World) -> None:
    made, text = await published(world, {"topic": "t"}, "dossier", "# Tides\n\nThe sea rises.")
    assert text == "# Tides\n\nThe sea rises.\n"
    assert made["title"] == "Tides"
    assert made["word_count"] == 5
    assert made["bytes"] == len(text.encode())
    assert str(made["location"]).startswith("file://")
    assert world.model.requests == []


async def test_what_is_no_text_is_passed_over_for_the_text_before_it(world: World) -> None:
    assert (await published(world, {}, "# Draft", {"score": 3}, None, "  "))[1] == "# Draft\n"


async def test_without_earlier_steps_the_requests_own_text_is_published(world: World) -> None:
    assert (await published(world, {"text": "Grüße 世界"}))[1] == "Grüße 世界\n"


@pytest.mark.parametrize("request_", [{}, {"text": ""}, {"text": " \n"}, {"text": 5}, None, "just a topic", [1]])
async def test_without_any_text_it_says_that_there_is_none(world: World, request_: Any) -> None:
    with pytest.raises(InvalidRequest, match="no text to publish"):
        await published(world, request_)


@pytest.mark.parametrize(
    ("article", "title"),
    [
        ("# Tides\ntext", "Tides"),
        ("intro\n## Second\n# First", "Second"),
        ("no heading\nat all", "no heading"),
        ("#\n# Real", "Real"),
        ("####", "####"),
        ("# " + "x" * 500, "x" * 200),
    ],
)
async def test_the_title_is_the_first_heading_that_says_something(world: World, article: str, title: str) -> None:
    assert (await published(world, {"text": article}))[0]["title"] == title


async def test_publishing_the_same_twice_gives_the_same_address(world: World) -> None:
    assert await published(world, {"text": "same"}) == await published(world, {"text": "same"})
