"""A plan for a team, as a planner makes it, and a manager's review of what the team made."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from shared.cards import AgentCard
from shared.contracts import ARTIFACT_KEY, AgentName, Contract, JsonData

TaskName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Instruction = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
MAX_TASKS = 100
"""The most tasks that any plan may have."""


class PlannedTask(Contract):
    """One task of a plan: who does it, and what.

    A task that others name as their `manager` is that of a manager, whose instruction is the goal of its team. `needs`
    are tasks of the same team that have to be done first, and whose results this one is given.
    """

    id: TaskName
    agent: AgentName
    instruction: Instruction
    manager: TaskName | None = None
    needs: tuple[TaskName, ...] = ()


class Plan(Contract):
    """Who does what, and in which order. Tasks without a manager are the master's own."""

    tasks: Annotated[tuple[PlannedTask, ...], Field(min_length=1, max_length=MAX_TASKS)]


class PlanLimits(Contract):
    """How large a plan may be: levels of managers and workers, tasks under one manager, and tasks in all."""

    max_depth: int = Field(default=3, ge=1, le=4)
    max_width: int = Field(default=8, ge=1, le=50)
    max_tasks: int = Field(default=20, ge=1, le=MAX_TASKS)


class AvailableAgent(Contract):
    """An agent that a plan may name, and whether it may manage others."""

    name: AgentName
    description: str
    manages: bool


class PlanningRequest(Contract):
    """What a planner is asked: the goal as it was given, who there is, and how large the plan may be."""

    goal: JsonData
    agents: Annotated[tuple[AvailableAgent, ...], Field(min_length=1)]
    limits: PlanLimits


class Rework(Contract):
    """A part that goes back to who made it, and what has to be mended."""

    part: TaskName
    comment: Instruction


class TeamReview(Contract):
    """A manager's answer: the parts that are not good enough yet, and the others merged into one text.

    A long text may be a reference to an artifact.
    """

    rework: Annotated[tuple[Rework, ...], Field(max_length=MAX_TASKS)] = ()
    merged: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] | dict[str, JsonData]

    @model_validator(mode="after")
    def _has_a_text(self) -> Self:
        if not isinstance(self.merged, str) and set(self.merged) != {ARTIFACT_KEY}:
            raise ValueError("merged: a text, or a reference to one")
        return self


def plan_problems(plan: Plan, agents: Mapping[str, AgentCard], limits: PlanLimits) -> tuple[str, ...]:
    """Every reason why `plan` cannot be carried out, in words that its planner can act on; none when it can."""
    return (
        *_repeated_ids(plan),
        *_unknown_agents(plan, agents),
        *_wrong_managers(plan, agents),
        *_wrong_needs(plan),
        *_cycles(plan),
        *_too_large(plan, limits),
    )


def team_of(plan: Plan, manager: str | None) -> tuple[PlannedTask, ...]:
    """The tasks under one manager; under None, the master's own."""
    return tuple(task for task in plan.tasks if task.manager == manager)


def _repeated_ids(plan: Plan) -> Iterator[str]:
    ids = [task.id for task in plan.tasks]
    for repeated in sorted({each for each in ids if ids.count(each) > 1}):
        yield f"{ids.count(repeated)} tasks have the id {repeated}; give each its own"


def _unknown_agents(plan: Plan, agents: Mapping[str, AgentCard]) -> Iterator[str]:
    for task in plan.tasks:
        if task.agent not in agents:
            yield f"task {task.id}: there is no agent {task.agent}; there are {', '.join(sorted(agents))}"


def _wrong_managers(plan: Plan, agents: Mapping[str, AgentCard]) -> Iterator[str]:
    ids = {task.id for task in plan.tasks}
    for task in plan.tasks:
        if task.manager is not None and task.manager not in ids:
            yield f"task {task.id}: its manager {task.manager} is no task of the plan"
    managing = {task.manager for task in plan.tasks}
    for task in plan.tasks:
        card = agents.get(task.agent)
        if task.id in managing and card is not None and not card.manages:
            able = ", ".join(sorted(name for name, each in agents.items() if each.manages)) or "none"
            yield f"task {task.id}: {task.agent} cannot manage others; agents that can: {able}"


def _wrong_needs(plan: Plan) -> Iterator[str]:
    by_id = {task.id: task for task in plan.tasks}
    for task in plan.tasks:
        for need in dict.fromkeys(task.needs):
            if need not in by_id:
                yield f"task {task.id}: it needs {need}, which is no task of the plan"
            elif by_id[need].manager != task.manager:
                yield f"task {task.id}: it needs {need}, which is in another team; only tasks of one team can wait"


def _cycles(plan: Plan) -> Iterator[str]:
    managers = {task.id: [task.manager] if task.manager else [] for task in plan.tasks}
    for cycle in cycles(managers):
        yield f"the managers go round in a circle: {' -> '.join(cycle)}"
    for cycle in cycles({task.id: task.needs for task in plan.tasks}):
        yield f"the needs go round in a circle: {' -> '.join(cycle)}"


def _too_large(plan: Plan, limits: PlanLimits) -> Iterator[str]:
    if len(plan.tasks) > limits.max_tasks:
        yield f"the plan has {len(plan.tasks)} tasks; it may have {limits.max_tasks}"
    teams = dict.fromkeys(task.manager for task in plan.tasks)
    for manager in teams:
        size = len(team_of(plan, manager))
        if size > limits.max_width:
            under = f"manager {manager}" if manager else "the master"
            yield f"{under} has {size} tasks to hand out; it may have {limits.max_width}"
    managers = {task.id: task.manager for task in plan.tasks}
    deepest = max((_depth(task.id, managers), task.id) for task in plan.tasks)
    if deepest[0] > limits.max_depth:
        yield f"task {deepest[1]} is {deepest[0]} levels deep; a plan may have {limits.max_depth}"


def _depth(task: str, managers: Mapping[str, str | None]) -> int:
    """How many levels down a task is; those of a circle have no depth, and it is reported as what it is."""
    seen: list[str] = []
    at: str | None = task
    while at is not None and at in managers:
        if at in seen:
            return 0
        seen.append(at)
        at = managers[at]
    return len(seen)


def cycles(edges: Mapping[str, Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """The circles in a graph, each from its smallest member back to it; a graph of `edges` to unknown names is fine."""
    found: dict[frozenset[str], tuple[str, ...]] = {}
    finished: set[str] = set()
    for start in sorted(edges):
        _visit(start, edges, [], finished, found)
    return tuple(found.values())


def _visit(
    at: str,
    edges: Mapping[str, Sequence[str]],
    trail: list[str],
    finished: set[str],
    found: dict[frozenset[str], tuple[str, ...]],
) -> None:
    if at in trail:
        circle = trail[trail.index(at) :]
        first = circle.index(min(circle))
        found.setdefault(frozenset(circle), (*circle[first:], *circle[:first], min(circle)))
        return
    if at in finished:
        return
    for following in sorted(set(edges.get(at, ()))):
        _visit(following, edges, [*trail, at], finished, found)
    finished.add(at)
