"""The runs whose histories are kept: each pattern when all goes well, in part, not at all, and not in time.

To add one, add it here and run `python -m tests.replay.record NAME`. An agent whose own request begins with `FAIL` is
refused by the model, with `HANG` it waits for a model that says nothing, and with `SLOW` it answers after the others.
An event whose data is `FAIL` or `HANG` does so to every agent that asks a model. A manager whose goal is `REWORK`
sends the writer's part back once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Scenario:
    """One run: the file it is kept in, its request, and the status that it ends with."""

    name: str
    request: Mapping[str, Any]
    status: str

    @property
    def pattern(self) -> str:
        """The pattern that is asked for."""
        return str(self.request["pattern"])

    def __str__(self) -> str:
        return self.name


def failing(agent: str) -> dict[str, str]:
    return {"agent": agent, "request": "FAIL"}


def hanging(agent: str) -> dict[str, str]:
    return {"agent": agent, "request": "HANG"}


def slow(agent: str) -> dict[str, str]:
    return {"agent": agent, "request": "SLOW"}


def sequential(*agents: Any, **more: Any) -> dict[str, Any]:
    return {"pattern": "sequential", "request": "tides", "agents": list(agents), **more}


def parallel(*agents: Any, **more: Any) -> dict[str, Any]:
    return {"pattern": "parallel", "request": "tides", "agents": list(agents), **more}


def hierarchical(*workers: Any, **more: Any) -> dict[str, Any]:
    return {"pattern": "hierarchical", "request": "tides", "workers": list(workers), **more}


def event_driven(data: str = "tides", **more: Any) -> dict[str, Any]:
    return {"pattern": "event-driven", "event": "DataReceived", "request": data, **more}


LED = {"manager": "content-manager"}
NESTED = {"pattern": "parallel", "name": "stage", "agents": ["web", "news"]}
MISSING_ONE = {"pattern": "parallel", "name": "stage", "agents": ["web", failing("news")], "require": {"at_least": 1}}
LOSING = {"pattern": "sequential", "name": "stage", "agents": [slow("web"), "social"]}
WON = {"pattern": "parallel", "name": "stage", "agents": [slow("web"), "news"], "require": "any"}
BUDGET = {"tokens": 40_000}

SCENARIOS = (
    Scenario("sequential-success", sequential("research", "writer"), "completed"),
    Scenario("sequential-nested", sequential("research", NESTED, "writer"), "completed"),
    Scenario("sequential-partial", sequential(MISSING_ONE, "writer"), "partial"),
    Scenario("sequential-failure", sequential("research", failing("writer"), "editor"), "failed"),
    Scenario("sequential-timeout", sequential("research", hanging("writer"), "editor", deadline_seconds=3), "failed"),
    Scenario("sequential-budget", sequential("research", "writer", budget={"tokens": 1000}), "budget_exhausted"),
    Scenario("parallel-success", parallel("web", "news", "social", aggregator="aggregator"), "completed"),
    Scenario("parallel-inputs", {**parallel(), "agent": "writer", "inputs": ["a", "b", "c"], "width": 2}, "completed"),
    Scenario("parallel-partial", parallel("web", failing("news"), "social", require={"at_least": 2}), "partial"),
    Scenario("parallel-failure", parallel("web", failing("news")), "failed"),
    Scenario(
        "parallel-timeout", parallel("web", hanging("news"), deadline_seconds=3, require={"at_least": 1}), "partial"
    ),
    Scenario("parallel-race", parallel(slow("web"), "news", require="any"), "completed"),
    Scenario("parallel-called-off", parallel(slow("web"), "news", require="any", aggregator="aggregator"), "completed"),
    Scenario("parallel-nested-lost", parallel(LOSING, "news", require="any", aggregator="aggregator"), "completed"),
    Scenario("sequential-nested-race", sequential(WON, "writer"), "completed"),
    Scenario("parallel-budget", parallel("web", "news", "social", budget=BUDGET), "completed"),
    Scenario(
        "hierarchical-success", {"pattern": "hierarchical", "preset": "editorial", "request": "tides"}, "completed"
    ),
    Scenario("hierarchical-rework", {**hierarchical("writer", "editor", **LED), "request": "REWORK"}, "completed"),
    Scenario(
        "hierarchical-planned", {"pattern": "hierarchical", "planner": "planner", "request": "tides"}, "completed"
    ),
    Scenario(
        "hierarchical-partial", hierarchical("writer", failing("research"), require={"at_least": 1}, **LED), "partial"
    ),
    Scenario("hierarchical-failure", hierarchical("writer", failing("research"), **LED), "failed"),
    Scenario("hierarchical-timeout", hierarchical("writer", hanging("research"), deadline_seconds=3, **LED), "failed"),
    Scenario("event-driven-success", event_driven(), "completed"),
    Scenario("event-driven-limit", event_driven(limits={"max_hops": 0}), "partial"),
    Scenario("event-driven-partial", event_driven("FAIL"), "partial"),
    Scenario("event-driven-failure", event_driven("FAIL", require="all"), "failed"),
    Scenario("event-driven-timeout", event_driven("HANG", deadline_seconds=3), "partial"),
)
