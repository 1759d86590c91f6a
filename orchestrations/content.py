"""The content pipeline: research, writing, editing, publication; one sequence of agents among all there may be."""

from typing import Annotated

from pydantic import StringConstraints

from orchestrations.requests import SequentialRequest
from shared.contracts import Contract

CONTENT_AGENTS = ("research", "writer", "editor", "publisher")
MAX_TOPIC = 2000


class CreateContent(Contract):
    """The body of `POST create-content`."""

    topic: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TOPIC)]


def content_request(asked: CreateContent) -> SequentialRequest:
    """The sequence that makes an article on a topic."""
    return SequentialRequest(request={"topic": asked.topic}, agents=CONTENT_AGENTS)
