"""What is to be undone of a run, read off its documents: a pure decision, and the activity's part that reads them."""

from collections.abc import Mapping
from datetime import datetime

from orchestrations.account import usage_of
from orchestrations.calls import BeginRun, PlanUndo, UndoPlan, UndoStep
from orchestrations.door import roster
from orchestrations.nodes import AgentNode, PatternRequest, walk
from shared import names
from shared.cards import AgentCard
from shared.contracts import OUTCOMES, AgentAccount, Outcome, Usage
from shared.errors import NotFound
from shared.resources import Resources
from shared.state.documents import RunRecord, StepDocument
from shared.status import StepStatus, step_is_over


async def plan_undo(asked: PlanUndo, agents: Mapping[str, AgentCard], resources: Resources) -> UndoPlan:
    """The plan for a run as it is recorded now. Raises `NotFound` and `StoreUnavailable`."""
    record = await resources.store.read_run(asked.task_id)
    if record is None:
        raise NotFound(f"there is no task {asked.task_id}")
    return undo_plan(record, asked.occasion, roster(agents, resources.settings), resources.clock.now())


def undo_plan(record: RunRecord, occasion: str, agents: Mapping[str, AgentCard], now: datetime) -> UndoPlan:
    """The undo agents of the steps that succeeded, the last finished first; none unless the request asks for it now.

    `at_work` are the steps whose agents may still finish, when that matters.
    """
    begun = BeginRun.model_validate({"task_id": record.run.task_id, "request": record.run.request})
    wanted = begun.request.compensate in (occasion, "always")
    undo = undo_agents(begun.request) if wanted else {}
    done = [step for step in record.steps if step.status is StepStatus.SUCCEEDED and not names.undoes(step.step_id)]
    done.sort(key=lambda step: step.completed_at or step.started_at, reverse=True)
    steps = tuple(
        UndoStep(step_id=step.step_id, agent=step.agent, undo=agent, output=step.result.output if step.result else None)
        for step in done
        if (agent := _undo_agent(step.step_id, undo)) is not None
    )
    at_work = [step.step_id for step in record.steps if step.status is StepStatus.RUNNING and step.lease_until > now]
    return UndoPlan(
        undo=steps,
        agents={step.undo: agents[step.undo] for step in steps if step.undo in agents},
        request=begun.request.request,
        at_work=tuple(step_id for step_id in at_work if _undo_agent(step_id, undo) is not None),
        account=account_of(record),
        usage=usage_of(_used(step) for step in record.steps),
        traceparent=record.run.traceparent,
    )


def undo_agents(request: PatternRequest) -> dict[str, str]:
    """The undo agent of each node that names one, by the node's path."""
    return {
        path: placed.node.undo
        for path, _, placed in walk(request)
        if isinstance(placed.node, AgentNode) and placed.node.undo is not None
    }


def _undo_agent(step_id: str, undo: Mapping[str, str]) -> str | None:
    """A node that was asked again has a number behind its path."""
    first, _, number = step_id.rpartition("-")
    return undo.get(step_id) or (undo.get(first) if number.isdigit() else None)


def account_of(record: RunRecord) -> tuple[AgentAccount, ...]:
    """The account of a run that is being cancelled: how its steps stand, those that were not begun skipped."""
    begun = {step.step_id: step for step in record.steps}
    asked = {planned.step_id: planned.agent for planned in record.run.plan}
    asked |= {step.step_id: step.agent for step in record.steps}
    return tuple(_line(step_id, agent, begun.get(step_id)) for step_id, agent in asked.items())


def _line(step_id: str, agent: str, step: StepDocument | None) -> AgentAccount:
    if step is None or not (step_is_over(step.status) or step.status is StepStatus.PARKED):
        cause = "not asked: the run was cancelled" if step is None else "stopped: the run was cancelled"
        return AgentAccount(step_id=step_id, agent=agent, outcome=Outcome.SKIPPED, cause=cause)
    error = step.result.error if step.result else None
    return AgentAccount(
        step_id=step_id, agent=agent, outcome=OUTCOMES[step.status], cause=error.message if error else None
    )


def _used(step: StepDocument) -> Usage:
    return step.result.usage if step.result else usage_of(attempt.usage for attempt in step.attempts)
