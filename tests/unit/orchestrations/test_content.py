"""The content pipeline: one list of agents among all there may be, and the topic that starts it."""

from typing import Any

import pytest
from pydantic import ValidationError

from agents.catalog import CATALOG
from orchestrations.content import CONTENT_AGENTS, MAX_TOPIC, CreateContent, content_request
from orchestrations.door import check_request


def test_the_pipeline_is_research_writing_editing_publication() -> None:
    request = content_request(CreateContent(topic="tides"))
    assert request.agents == ("research", "writer", "editor", "publisher") == CONTENT_AGENTS
    assert request.request == {"topic": "tides"}


def test_the_pipelines_agents_are_in_the_catalog() -> None:
    check_request(content_request(CreateContent(topic="tides")), CATALOG.cards)


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
