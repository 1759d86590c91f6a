"""A run as `GET task/{id}` shows it: the plan, and what is known of each step, put together from its documents."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import reduce

from pydantic import JsonValue

from shared.contracts import AgentResult, Contract, ErrorInfo, EventDraft, Outcome, Usage
from shared.state.documents import Attempt, PlannedStep, RunDocument, RunRecord, StepDocument
from shared.status import RunStatus, StepStatus, run_is_over, step_is_over

# How a step stands that no runner brought to its end, by what its run's account says of it.
_BY_ACCOUNT = {
    Outcome.ANSWERED: StepStatus.SUCCEEDED,
    Outcome.FAILED: StepStatus.FAILED,
    Outcome.TIMED_OUT: StepStatus.TIMED_OUT,
    Outcome.SKIPPED: StepStatus.SKIPPED,
}


class StepView(Contract):
    """One step. Times in seconds; `queue_seconds` is from the queue to the first claim, None until then."""

    step_id: str
    name: str
    agent: str
    status: StepStatus
    attempt: int = 0
    enqueued_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    queue_seconds: float | None = None
    run_seconds: float | None = None
    result: JsonValue = None
    error: ErrorInfo | None = None
    events: tuple[EventDraft, ...] = ()
    usage: Usage = Usage()
    attempts: tuple[Attempt, ...] = ()
    calls_repeated: int = 0


class TaskView(Contract):
    """A run, as anyone may see it.

    `calls_repeated` is how many model calls were, or may have been, paid for twice because a process stopped between
    asking and recording.
    """

    id: str
    type: str
    workflow: str
    status: RunStatus
    input: JsonValue
    steps: tuple[StepView, ...]
    result: JsonValue
    account: JsonValue
    error: ErrorInfo | None
    usage: Usage
    calls_repeated: int
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None


def task_view(record: RunRecord) -> TaskView:
    """The view of one run: the steps of its plan, then those that were found while it ran, in the order they began.

    Its usage is the sum over the steps, so that one which nobody waited for counts too.
    """
    run = record.run
    result = run.result
    claimed = {step.step_id: step for step in record.steps}
    accounted = {line.step_id: _BY_ACCOUNT[line.outcome] for line in result.account} if result else {}
    steps = tuple(
        _claimed_view(planned, claimed[planned.step_id], accounted.get(planned.step_id))
        if planned.step_id in claimed
        else _unclaimed_view(planned, accounted.get(planned.step_id, _unclaimed(run, planned.step_id)))
        for planned in (*run.plan, *_found_on_the_way(record))
    )
    return TaskView(
        id=run.task_id,
        type=run.type,
        workflow=run.workflow,
        status=run.status,
        input=run.input,
        steps=steps,
        result=result.result if result else None,
        account=[line.model_dump(mode="json") for line in result.account] if result else [],
        error=result.error if result else None,
        usage=_sum(step.usage for step in steps),
        calls_repeated=sum(step.calls_repeated for step in steps),
        created_at=run.created_at,
        updated_at=max([run.updated_at, *(step.completed_at or step.started_at for step in record.steps)]),
        completed_at=run.completed_at,
    )


def _found_on_the_way(record: RunRecord) -> list[PlannedStep]:
    """The steps that are not in the plan: a judge who was called, a specialist who was chosen, a further round."""
    begun = sorted(record.steps, key=lambda step: step.started_at)
    known = [(step.step_id, step.agent) for step in begun]
    known += [(line.step_id, line.agent) for line in (record.run.result.account if record.run.result else ())]
    found = dict(known)
    for planned in record.run.plan:
        found.pop(planned.step_id, None)
    return [PlannedStep(step_id=step_id, name=step_id, agent=agent) for step_id, agent in found.items()]


def _unclaimed(run: RunDocument, step_id: str) -> StepStatus:
    wanted = not run_is_over(run.status) and not run.has_called_off(step_id)
    return StepStatus.PENDING if wanted else StepStatus.SKIPPED


def _unclaimed_view(planned: PlannedStep, status: StepStatus) -> StepView:
    return StepView(step_id=planned.step_id, name=planned.name, agent=planned.agent, status=status)


def _claimed_view(planned: PlannedStep, step: StepDocument, accounted: StepStatus | None) -> StepView:
    result = step.result or AgentResult(
        status=StepStatus.SKIPPED, usage=_sum(attempt.usage for attempt in step.attempts)
    )
    first_start = step.attempts[0].started_at if step.attempts else step.started_at
    return StepView(
        step_id=planned.step_id,
        name=planned.name,
        agent=planned.agent,
        status=step.status if accounted is None or _is_final(step) else accounted,
        attempt=step.attempt,
        enqueued_at=step.enqueued_at,
        started_at=step.started_at,
        completed_at=step.completed_at,
        queue_seconds=_seconds(first_start - step.enqueued_at),
        run_seconds=_seconds(step.completed_at - step.started_at) if step.completed_at else None,
        result=result.output,
        error=result.error,
        events=result.events,
        usage=result.usage,
        attempts=step.attempts,
        calls_repeated=step.calls_repeated,
    )


def _is_final(step: StepDocument) -> bool:
    return step_is_over(step.status) or step.status is StepStatus.PARKED


def _sum(usages: Iterable[Usage]) -> Usage:
    return reduce(Usage.plus, usages, Usage())


def _seconds(duration: timedelta) -> float:
    return max(0.0, round(duration.total_seconds(), 4))
