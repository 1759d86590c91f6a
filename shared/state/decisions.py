"""The decisions of the state store, as pure functions from the documents there are to the document to write.

Every store runs the same ones, inside whatever its own means of guarding a write is.
"""

from dataclasses import dataclass
from datetime import datetime

from shared.contracts import AgentResult, ErrorInfo, RunResult, Usage
from shared.errors import ClaimLost, NotFound
from shared.state.documents import Attempt, RunDocument, StepDocument
from shared.status import (
    RUN_TRANSITIONS,
    STEP_TRANSITIONS,
    RunStatus,
    StepStatus,
    check_transition,
    run_is_over,
    step_is_over,
)


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Who wants to run which step. `owner` is unique to the delivery that asks; the claim lasts until `lease_until`."""

    task_id: str
    step_id: str
    agent: str
    attempt: int
    owner: str
    enqueued_at: datetime
    now: datetime
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Claimed:
    """The step is the asker's to run, as the attempt that `step` says."""

    step: StepDocument


@dataclass(frozen=True, slots=True)
class Finished:
    """The step has its result already."""

    result: AgentResult


@dataclass(frozen=True, slots=True)
class Busy:
    """Another runner holds the step until `lease_until`."""

    lease_until: datetime


@dataclass(frozen=True, slots=True)
class NotWanted:
    """The step's run is over, so that nobody waits for it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """What is recorded contradicts the task: its run is unknown, or its step is another agent's."""

    reason: str


type ClaimDecision = Claimed | Finished | Busy | NotWanted | Foreign


def decide_claim(run: RunDocument | None, step: StepDocument | None, request: ClaimRequest) -> ClaimDecision:
    """Whether `request` gets the step. `Claimed` carries the document to write.

    A claim that ran out without a record is an attempt that was made: it goes into the log, so that an agent that
    takes its process down with it is not begun again for ever.
    """
    if step is not None and step.agent != request.agent:
        return Foreign(f"it is a step of {step.agent}")
    if step is not None and step.result is not None and step_is_over(step.status):
        return Finished(step.result)
    if run is None:
        return Foreign(f"no run {request.task_id} is known")
    if run_is_over(run.status):
        return NotWanted(f"its run is {run.status.value}")
    if step is not None and step.status is StepStatus.RUNNING and step.lease_until > request.now:
        return Busy(step.lease_until)
    check_transition(STEP_TRANSITIONS, step.status if step else StepStatus.PENDING, StepStatus.RUNNING)
    attempts = _attempts_made(step)
    claimed = StepDocument(
        task_id=request.task_id,
        step_id=request.step_id,
        agent=request.agent,
        status=StepStatus.RUNNING,
        attempt=max(request.attempt, len(attempts) + 1),
        owner=request.owner,
        lease_until=request.lease_until,
        enqueued_at=step.enqueued_at if step else request.enqueued_at,
        started_at=request.now,
        attempts=attempts,
    )
    return Claimed(claimed)


def decide_record(step: StepDocument | None, owner: str, result: AgentResult, now: datetime) -> StepDocument:
    """The step with its result. Raises `ClaimLost` unless `owner` still holds it."""
    held = _held_by(step, owner)
    check_transition(STEP_TRANSITIONS, held.status, result.status)
    return held.model_copy(update={"status": result.status, "result": result, "completed_at": now})


def decide_release(step: StepDocument | None, owner: str, attempt: Attempt) -> StepDocument:
    """The step waiting for its next attempt, `attempt` in its log. Raises `ClaimLost` unless `owner` holds it."""
    held = _held_by(step, owner)
    check_transition(STEP_TRANSITIONS, held.status, StepStatus.WAITING)
    return held.model_copy(update={"status": StepStatus.WAITING, "attempts": (*held.attempts, attempt)})


def decide_advance(
    run: RunDocument | None, task_id: str, to: RunStatus, result: RunResult | None, now: datetime
) -> RunDocument:
    """The run in status `to`; the run itself when it is there already, so that a repeated activity changes nothing.

    Raises `NotFound` and `IllegalTransition`.
    """
    if run is None:
        raise NotFound(f"no run {task_id}")
    if run.status is to:
        return run
    check_transition(RUN_TRANSITIONS, run.status, to)
    return run.model_copy(
        update={"status": to, "result": result, "updated_at": now, "completed_at": now if run_is_over(to) else None}
    )


def _attempts_made(step: StepDocument | None) -> tuple[Attempt, ...]:
    if step is None or step.status is not StepStatus.RUNNING:
        return step.attempts if step else ()
    lost = Attempt(
        attempt=step.attempt,
        started_at=step.started_at,
        ended_at=step.lease_until,
        error=ErrorInfo(type="RunnerLost", message="its runner stopped without recording a result", retryable=True),
        # It may have asked a model before it stopped, and unknown is not free.
        usage=Usage(cost_usd=None),
    )
    return (*step.attempts, lost)


def _held_by(step: StepDocument | None, owner: str) -> StepDocument:
    if step is None or step.owner != owner or step.status is not StepStatus.RUNNING:
        raise ClaimLost(f"step {step.step_id if step else '(none)'} is no longer claimed by {owner}")
    return step
