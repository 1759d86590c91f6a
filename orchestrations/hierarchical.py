"""The hierarchical pattern (manager-worker): parts are handed to workers, reviewed and merged by who manages them.

Wiring: request, or planner -> workers, in stages, those that manage others as teams of their own -> manager, who
reviews, sends back, and merges -> result. Each team that is nested in another is a sub-orchestration.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from durabletask.task import OrchestrationContext

from orchestrations.account import skipped
from orchestrations.branches import Step
from orchestrations.frame import run_pattern
from orchestrations.nodes import Placed
from orchestrations.planning import as_team, make_plan, unplanned
from orchestrations.requests import HierarchicalRequest
from orchestrations.run import Answer, NodeCall, Run
from orchestrations.steps import call_node, call_nodes
from orchestrations.teamwork import (
    Reviewed,
    conclude,
    parts_required,
    read_review,
    review_request,
    stages,
    still_possible,
)
from shared.contracts import MAX_STEP_ID, AgentInput, EarlierOutput, RunResult


def hierarchical(ctx: OrchestrationContext, given: dict[str, Any]) -> Step[dict[str, Any]]:
    """Run a `HierarchicalRequest` and return a `RunResult`, both as JSON.

    Determinism contract: reads only its input, the orchestration's clock and the results of durable tasks.
    """
    return (yield from run_pattern(ctx, given, HierarchicalRequest, lead))


def lead(run: Run[HierarchicalRequest]) -> Step[RunResult]:
    """Have the work planned, if it is not; then done, reviewed and merged."""
    if run.request.planner is None:
        return (yield from _work(run, run.request, ()))
    examined, answers = yield from make_plan(run, run.request.planner)
    if examined.plan is None:
        return unplanned(examined, answers)
    return (yield from _work(run, as_team(examined.plan, run.request), answers))


def _work(run: Run[HierarchicalRequest], team: HierarchicalRequest, before: Sequence[Answer]) -> Step[RunResult]:
    current = yield from _made(run, team)
    everything = [*before, *current.values()]
    if team.manager is None:
        return conclude(team, current, everything)
    if sum(answer.succeeded for answer in current.values()) < parts_required(team):
        call = NodeCall("manager_1", team.manager, run.given)
        why = "not asked: there are too few parts to review"
        return conclude(team, current, [*everything, skipped(call, run.step_id(call.name), "NotNeeded", why)])
    reviewed = yield from _review(run, team, team.manager, current, everything)
    return conclude(team, current, everything, reviewed)


def _made(run: Run[HierarchicalRequest], team: HierarchicalRequest) -> Step[dict[str, Answer]]:
    """The parts by name, in the team's order; stage by stage, as long as they can be enough."""
    members = {placed.name: placed for placed in team.members()}
    found: dict[str, Answer] = {}
    for number, stage in enumerate(stages(members, team.needs), start=1):
        calls = []
        for name in stage:
            call = _call(run, team, members[name], found)
            why = _not_asked(team, name, found)
            if why is None:
                calls.append(call)
            else:
                found[name] = skipped(call, run.step_id(name), "NotNeeded", f"not asked: {why}")
        run.progress(stage=number, asked=len(calls), of=len(members))
        answers = (yield from call_nodes(run, calls)) if calls else ()
        found |= {answer.call.name: answer for answer in answers}
    return {name: found[name] for name in members}


def _not_asked(team: HierarchicalRequest, name: str, found: Mapping[str, Answer]) -> str | None:
    """Why a part is not asked for; None when it is."""
    for need in team.needs.get(name, ()):
        if not found[need].succeeded:
            return f"it needs {need}, which there is not"
    return None if still_possible(team, found) else "what is required could not be had any more"


def _call(
    run: Run[HierarchicalRequest], team: HierarchicalRequest, placed: Placed, found: Mapping[str, Answer]
) -> NodeCall:
    needed = (found[need] for need in team.needs.get(placed.name, ()))
    earlier = run.given.earlier + tuple(answer.output() for answer in needed if answer.succeeded)
    return NodeCall(placed.name, placed.node, run.given.model_copy(update={"earlier": earlier}))


def _review(
    run: Run[HierarchicalRequest],
    team: HierarchicalRequest,
    manager: str,
    current: dict[str, Answer],
    everything: list[Answer],
) -> Step[Reviewed]:
    """Let the manager review until it sends nothing back, or nothing may go back any more.

    `current` is kept at the last version of each part, `everything` gets every answer.
    """
    rounds = team.rework + 1
    reviewed = Reviewed()
    for number in range(1, rounds + 1):
        run.progress(review=number, by=manager)
        asked = review_request(run.given.request, current, last_round=number == rounds)
        earlier = run.given.earlier + tuple(part.output() for part in current.values() if part.succeeded)
        call = NodeCall(f"manager_{number}", manager, AgentInput(request=asked, earlier=earlier))
        answer = yield from call_node(run, call)
        everything.append(answer)
        reviewed = read_review(answer, current)
        back = {} if number == rounds else _fitting(run, reviewed.sent_back or {}, number + 1)
        if not back:
            break
        calls = [_rework(answer, current[name], name, comment, number + 1) for name, comment in back.items()]
        mended = yield from call_nodes(run, calls)
        everything += mended
        current |= {name: part for name, part in zip(back, mended, strict=True) if part.succeeded}
    return reviewed


def _fitting(run: Run[HierarchicalRequest], sent_back: Mapping[str, str], version: int) -> dict[str, str]:
    """The parts whose next version can have a step id."""
    return {name: said for name, said in sent_back.items() if len(run.step_id(_version(name, version))) <= MAX_STEP_ID}


def _rework(review: Answer, part: Answer, name: str, comment: str, version: int) -> NodeCall:
    """Ask for a part again: who made it is given what it was given, what it made of that, and the comment."""
    said = EarlierOutput(step_id=review.step_id, agent=review.call.asked, output={"part": name, "rework": comment})
    earlier = (*part.call.given.earlier, part.output(), said)
    return NodeCall(_version(name, version), part.call.node, part.call.given.model_copy(update={"earlier": earlier}))


def _version(name: str, number: int) -> str:
    """What a part is called when it is made for the `number`th time. No node's own name has an underscore in it."""
    return f"{name}_{number}"
