"""The patterns there are.

To add one:
1. its request in `orchestrations.requests` (what may be asked, which nodes it has, its own limits);
2. its module here: one generator `Run -> RunResult` made of the steps in `orchestrations.steps`, and beside it its
   decisions as pure functions; around the generator one line, `orchestrations.frame.run_pattern`;
3. its line in `PATTERNS` below. Its orchestrator, its route, its messages and its place in other patterns follow.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from durabletask.task import OrchestrationContext

from orchestrations.branches import Step
from orchestrations.consensus import consensus
from orchestrations.event_driven import event_driven
from orchestrations.handoff import handoff
from orchestrations.hierarchical import hierarchical
from orchestrations.nodes import PatternRequest
from orchestrations.parallel import parallel
from orchestrations.requests import (
    ConsensusRequest,
    EventDrivenRequest,
    HandoffRequest,
    HierarchicalRequest,
    ParallelRequest,
    ReviewLoopRequest,
    SequentialRequest,
)
from orchestrations.review_loop import review_loop
from orchestrations.sequential import sequential
from shared.errors import NotFound


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern: its name, its public request, and its orchestrator."""

    name: str
    request: type[PatternRequest]
    orchestrator: Callable[[OrchestrationContext, dict[str, Any]], Step[dict[str, Any]]]

    def description(self) -> dict[str, Any]:
        """What `GET workflows` says of it, its request's JSON schema included."""
        return {
            "pattern": self.name,
            "description": inspect.cleandoc(self.request.__doc__ or ""),
            "deadline_seconds": self.request.default_deadline_seconds,
            "request": self.request.model_json_schema(),
        }


PATTERNS: Mapping[str, Pattern] = MappingProxyType(
    {
        pattern.name: pattern
        for pattern in (
            Pattern("sequential", SequentialRequest, sequential),
            Pattern("parallel", ParallelRequest, parallel),
            Pattern("hierarchical", HierarchicalRequest, hierarchical),
            Pattern("event-driven", EventDrivenRequest, event_driven),
            Pattern("consensus", ConsensusRequest, consensus),
            Pattern("handoff", HandoffRequest, handoff),
            Pattern("review-loop", ReviewLoopRequest, review_loop),
        )
    }
)


def pattern(name: str) -> Pattern:
    """The pattern called `name`. Raises `NotFound`, which lists those there are."""
    if name not in PATTERNS:
        raise NotFound(f"no pattern is called {name[:100]!r}; there are {', '.join(PATTERNS)}")
    return PATTERNS[name]
