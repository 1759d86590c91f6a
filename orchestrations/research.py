"""Parallel research: four researchers look at one query from their own points of view, and one answer is made of it."""

from typing import Annotated

from pydantic import StringConstraints

from orchestrations.requests import ParallelRequest
from orchestrations.requirements import AtLeast
from shared.contracts import Contract

RESEARCHERS = ("web", "academic", "news", "social")
AGGREGATOR = "aggregator"
MAX_QUERY = 2000

ENOUGH = AtLeast(at_least=2)
"""One point of view is no comparison; with two there is something to merge."""


class ResearchParallel(Contract):
    """The body of `POST research-parallel`."""

    query: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_QUERY)]


def research_request(asked: ResearchParallel) -> ParallelRequest:
    """The fan-out that answers a query."""
    return ParallelRequest(request={"query": asked.query}, agents=RESEARCHERS, aggregator=AGGREGATOR, require=ENOUGH)
