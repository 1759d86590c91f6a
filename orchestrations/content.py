"""The content pipeline: research, writing, editing, publication; one sequence of agents among all there may be."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import StringConstraints

from orchestrations.sequential import SequentialRequest, SequentialStep
from shared.contracts import AgentCard, Contract
from shared.errors import NotFound

CONTENT_AGENTS = ("research", "writer", "editor", "publisher")
MAX_TOPIC = 2000


class CreateContent(Contract):
    """The body of `POST create-content`."""

    topic: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TOPIC)]


def content_request(asked: CreateContent, agents: Mapping[str, AgentCard]) -> SequentialRequest:
    """The sequence that makes an article on a topic. Raises `NotFound` when one of its agents is not in the catalog."""
    missing = [name for name in CONTENT_AGENTS if name not in agents]
    if missing:
        raise NotFound(f"the content pipeline needs agents that the catalog lacks: {', '.join(missing)}")
    steps = tuple(SequentialStep(step_id=name, agent=agents[name]) for name in CONTENT_AGENTS)
    return SequentialRequest(request={"topic": asked.topic}, steps=steps)
