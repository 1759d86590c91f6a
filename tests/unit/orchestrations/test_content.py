"""The content pipeline: one list of agents among all there may be, and the topic that starts it."""

from typing import Any

import pytest
from pydantic import ValidationError

from agents.catalog import CATALOG
from orchestrations.content import CONTENT_AGENTS, MAX_TOPIC, CreateContent, content_request
from shared.errors import NotFound
from tests.support.documents import a_card


def test_the_pipeline_is_research_writing_editing_publication() -> None:
    request = content_request(CreateContent(topic="tides"), CATALOG.cards)
    assert [step.step_id for step in request.steps] == ["research", "writer", "editor", "publisher"]
    assert [step.agent.name for step in request.steps] == list(CONTENT_AGENTS)
    assert request.request == {"topic": "tides"}


def test_a_catalog_without_one_of_its_agents_is_refused_by_name() -> None:
    with pytest.raises(NotFound, match="editor, publisher"):
        content_request(CreateContent(topic="tides"), {name: a_card(name) for name in ("research", "writer")})


@pytest.mark.parametrize(
    ("topic", "kept"),
    [
        ("x", "x"),
        ("  tides \n", "tides"),
        ("x" * MAX_TOPIC, "x" * MAX_TOPIC),
        ("世" * MAX_TOPIC, "世" * MAX_TOPIC),
        (" " * 5000 + "x", "x"),
    ],
)
def test_a_topic_is_kept_without_the_white_space_around_it(topic: str, kept: str) -> None:
    assert CreateContent(topic=topic).topic == kept


@pytest.mark.parametrize(
    "body", [{}, {"topic": ""}, {"topic": " \n\t"}, {"topic": "x" * (MAX_TOPIC + 1)}, {"topic": 5}, {"topic": None}]
)
def test_a_topic_that_is_none_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="topic"):
        CreateContent.model_validate(body)


def test_anything_besides_a_topic_is_refused() -> None:
    with pytest.raises(ValidationError, match="agents"):
        CreateContent.model_validate({"topic": "tides", "agents": []})
