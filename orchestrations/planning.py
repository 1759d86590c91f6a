"""Making the plan of a team: the planner is asked, its plan is checked, and it may mend it twice.

Wiring: goal, agents, limits -> planner -> check -> (reasons -> planner -> check, at most twice) -> the team's request.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue, ValidationError

from orchestrations.account import run_result
from orchestrations.asking import input_bytes
from orchestrations.branches import Step
from orchestrations.nodes import AgentNode
from orchestrations.requests import HierarchicalRequest, Node
from orchestrations.run import Answer, NodeCall, Run
from orchestrations.steps import call_node
from shared.budget import Allowance, set_aside, upper_bound
from shared.cards import AgentCard
from shared.contracts import ARTIFACT_KEY, MAX_STEP_ID, AgentInput, EarlierOutput, ErrorInfo, RunResult
from shared.plans import AvailableAgent, Plan, PlannedTask, PlanningRequest, plan_problems, team_of
from shared.status import RunStatus

MENDS = 2
"""How often a planner may mend a plan that was refused."""

_ROUND_SUFFIX = len("manager_4")
_PROBLEMS_TOLD = 30


@dataclass(frozen=True, slots=True)
class Examined:
    """A planner's answer: a plan that can be carried out, or the reasons why there is none.

    `mendable` says whether asking the planner again may help.
    """

    plan: Plan | None = None
    problems: tuple[str, ...] = ()
    mendable: bool = True


def make_plan(run: Run[HierarchicalRequest], planner: str) -> Step[tuple[Examined, tuple[Answer, ...]]]:
    """Ask the planner until its plan can be carried out, three times at most; what came of it, and its answers."""
    available = available_agents(run.request, run.agents)
    asked = PlanningRequest(
        goal=run.given.request,
        agents=tuple(AvailableAgent(name=c.name, description=c.description, manages=c.manages) for c in available),
        limits=run.request.limits,
    ).model_dump(mode="json")
    answers: list[Answer] = []
    examined, told = Examined(), run.given.earlier
    for attempt in range(1, MENDS + 2):
        run.progress(planning=attempt)
        call = NodeCall(f"planner_{attempt}", planner, AgentInput(request=asked, earlier=told))
        answer = yield from call_node(run, call)
        answers.append(answer)
        examined = examine(answer, run, {card.name: card for card in available})
        if examined.plan is not None or not examined.mendable:
            break
        told = (*run.given.earlier, *_refusal(answer, examined))
    return examined, tuple(answers)


def available_agents(request: HierarchicalRequest, agents: Mapping[str, AgentCard]) -> tuple[AgentCard, ...]:
    """Those that a plan may name: the request's choice, or everyone; the planner has no part in its plan."""
    chosen = request.agents or tuple(agents)
    return tuple(agents[name] for name in chosen if name != request.planner)


def examine(answer: Answer, run: Run[HierarchicalRequest], agents: Mapping[str, AgentCard]) -> Examined:
    """Check a planner's answer. What a model made up wrongly can be mended; a planner that failed otherwise cannot."""
    error = answer.result.error
    if not answer.succeeded:
        message = error.message if error else f"the planner {answer.result.status}"
        return Examined(problems=(message,), mendable=error is not None and error.type == "ModelAnswerInvalid")
    if isinstance(answer.result.output, dict) and ARTIFACT_KEY in answer.result.output:
        return Examined(problems=("the plan is too long to be checked; write shorter instructions",))
    try:
        plan = Plan.model_validate(answer.result.output)
    except ValidationError as invalid:
        return Examined(problems=_schema_problems(invalid))
    limits = run.request.limits
    problems = [*plan_problems(plan, agents, limits), *_long_paths(plan, run.path)]
    if not problems:
        problems += _over_budget(plan, agents, run.budget, input_bytes(run.given))
    return Examined(problems=tuple(problems[:_PROBLEMS_TOLD])) if problems else Examined(plan=plan)


def as_team(plan: Plan, request: HierarchicalRequest) -> HierarchicalRequest:
    """The request that a plan comes to: managers are teams of their own."""
    workers, needs = _members(plan, None, request)
    return request.model_copy(update={"workers": workers, "needs": needs, "planner": None})


def unplanned(examined: Examined, answers: tuple[Answer, ...]) -> RunResult:
    """The result of a run whose planner made no plan that could be carried out: it names every reason."""
    message = f"no plan after {len(answers)} tries: {'; '.join(examined.problems)}"
    return run_result(RunStatus.FAILED, answers, error=ErrorInfo(type="PlanRefused", message=message[:2000]))


def _members(
    plan: Plan, manager: str | None, request: HierarchicalRequest
) -> tuple[tuple[Node, ...], dict[str, tuple[str, ...]]]:
    tasks = team_of(plan, manager)
    nodes = tuple(_member(plan, task, request) for task in tasks)
    return nodes, {task.id: tuple(dict.fromkeys(task.needs)) for task in tasks if task.needs}


def _member(plan: Plan, task: PlannedTask, request: HierarchicalRequest) -> Node:
    asked: JsonValue = {"goal": request.request, "task": task.instruction}
    workers, needs = _members(plan, task.id, request)
    if not workers:
        return AgentNode(agent=task.agent, name=task.id, request=asked)
    return HierarchicalRequest(
        name=task.id,
        manager=task.agent,
        workers=workers,
        needs=needs,
        request=asked,
        rework=request.rework,
        deadline_seconds=request.seconds,
    )


def _refusal(answer: Answer, examined: Examined) -> tuple[EarlierOutput, ...]:
    """The planner's own plan, if it made one, and why it was refused."""
    said = answer.output()
    reasons = EarlierOutput(
        step_id=f"{answer.step_id}_refused", agent=said.agent, output={"refused": list(examined.problems)}
    )
    return (said, reasons) if answer.succeeded else (reasons,)


def _schema_problems(invalid: ValidationError) -> tuple[str, ...]:
    errors = invalid.errors(include_url=False, include_input=False)[:_PROBLEMS_TOLD]
    return tuple(f"{'.'.join(map(str, error['loc'])) or 'the plan'}: {error['msg']}" for error in errors)


def _long_paths(plan: Plan, prefix: str) -> list[str]:
    by_id = {task.id: task for task in plan.tasks}
    found = []
    for task in plan.tasks:
        length, at, seen = len(prefix) + _ROUND_SUFFIX, task, set[str]()
        while at.id not in seen:
            seen.add(at.id)
            length += len(at.id) + 1
            at = by_id.get(at.manager or "", at)
        if length > MAX_STEP_ID:
            found.append(f"task {task.id}: its id and those of its managers are too long together; make them shorter")
    return found


def _over_budget(plan: Plan, agents: Mapping[str, AgentCard], left: Allowance, given_bytes: int) -> list[str]:
    """Whether the plan can be paid for, even if nothing that a task is given from others counts."""
    for task in plan.tasks:
        amount = upper_bound(agents[task.agent], given_bytes + len(task.instruction.encode()))
        rest = set_aside(left, amount)
        if rest is None:
            return [f"the budget does not reach for task {task.id} and those before it: plan fewer or cheaper tasks"]
        left = rest
    return []
