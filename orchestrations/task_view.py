"""A run as `GET task/{id}` shows it: the plan, and what is known of each step, put together from its documents."""

from datetime import datetime, timedelta

from pydantic import JsonValue

from shared.contracts import AgentResult, Contract, ErrorInfo, Usage
from shared.state.documents import Attempt, PlannedStep, RunRecord, StepDocument
from shared.status import RunStatus, StepStatus, run_is_over


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
    usage: Usage = Usage()
    attempts: tuple[Attempt, ...] = ()


class TaskView(Contract):
    """A run, as anyone may see it."""

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
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None


def task_view(record: RunRecord) -> TaskView:
    """The view of one run. While it runs, its usage is the sum over the steps so far."""
    run = record.run
    claimed = {step.step_id: step for step in record.steps}
    over = run_is_over(run.status)
    steps = tuple(_step_view(planned, claimed.get(planned.step_id), over=over) for planned in run.plan)
    usage = Usage()
    for step in steps:
        usage = usage.plus(step.usage)
    result = run.result
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
        usage=result.usage if result else usage,
        created_at=run.created_at,
        updated_at=max([run.updated_at, *(step.completed_at or step.started_at for step in record.steps)]),
        completed_at=run.completed_at,
    )


def _step_view(planned: PlannedStep, step: StepDocument | None, *, over: bool) -> StepView:
    if step is None:
        # A step nobody claimed before its run ended never will be.
        status = StepStatus.SKIPPED if over else StepStatus.PENDING
        return StepView(step_id=planned.step_id, name=planned.name, agent=planned.agent, status=status)
    result = step.result or AgentResult(status=StepStatus.SKIPPED)
    first_start = step.attempts[0].started_at if step.attempts else step.started_at
    return StepView(
        step_id=planned.step_id,
        name=planned.name,
        agent=planned.agent,
        status=step.status,
        attempt=step.attempt,
        enqueued_at=step.enqueued_at,
        started_at=step.started_at,
        completed_at=step.completed_at,
        queue_seconds=_seconds(first_start - step.enqueued_at),
        run_seconds=_seconds(step.completed_at - step.started_at) if step.completed_at else None,
        result=result.output,
        error=result.error,
        usage=result.usage,
        attempts=step.attempts,
    )


def _seconds(duration: timedelta) -> float:
    return max(0.0, round(duration.total_seconds(), 4))
