"""What a team is asked besides what every pattern is, and whether there are agents for it."""

from collections.abc import Collection, Mapping
from typing import Annotated

from pydantic import Field

from orchestrations.requirements import AllOrSome, AtLeast
from shared.cards import AgentCard
from shared.contracts import AgentName, Contract
from shared.plans import PlanLimits, TaskName, cycles

MAX_TEAM = 50
"""The most workers of one manager."""


class TeamTerms(Contract):
    """Who plans and who manages, which workers wait for which, and how many parts there have to be."""

    manager: AgentName | None = None
    needs: dict[TaskName, tuple[TaskName, ...]] = Field(default_factory=dict)
    planner: AgentName | None = None
    agents: Annotated[tuple[AgentName, ...], Field(max_length=1000)] = ()
    limits: PlanLimits = PlanLimits()
    rework: int = Field(default=1, ge=0, le=3)
    require: AllOrSome = "all"

    def found_later(self, agents: Mapping[str, AgentCard]) -> tuple[str, ...]:
        """Whoever a planner may choose."""
        return (self.agents or tuple(agents)) if self.planner else ()

    def check_with(self, agents: Mapping[str, AgentCard], path: str) -> tuple[str, str] | None:  # noqa: ARG002
        """A manager has to be an agent that manages, and the agents to choose from have to exist."""
        if self.manager in agents and not agents[str(self.manager)].manages:
            able = ", ".join(name for name, card in agents.items() if card.manages) or "none"
            return "manager", f"{self.manager} cannot manage others; agents that can: {able}"
        if self.agents and set(self.agents) == {self.planner}:
            return "agents", f"a plan has no part for its planner: name others than {self.planner}"
        unknown = [name for name in self.agents if name not in agents]
        return ("agents", f"no agent is called {unknown[0]}; there are {', '.join(agents)}") if unknown else None


def check_team(terms: TeamTerms, workers: Collection[str]) -> None:
    """Raise `ValueError`, which begins with the field, when the terms contradict each other or the workers' names."""
    if (terms.planner is None) == (not workers):
        raise ValueError("workers: give workers, or a planner, and not both")
    if terms.planner is None and terms.agents:
        raise ValueError("agents: only a planner chooses among them")
    if terms.planner is not None and (terms.needs or isinstance(terms.require, AtLeast)):
        raise ValueError("planner: needs and require go with workers that are given")
    if isinstance(terms.require, AtLeast) and terms.require.at_least > len(workers):
        raise ValueError(f"require: {terms.require.at_least} of {len(workers)} cannot be there")
    for name in (*terms.needs, *(need for needs in terms.needs.values() for need in needs)):
        if name not in workers:
            raise ValueError(f"needs: no worker is called {name}")
    for circle in cycles(terms.needs):
        raise ValueError(f"needs: they go round in a circle: {' -> '.join(circle)}")
