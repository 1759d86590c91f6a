"""The decisions of the state store, as pure functions from the documents there are to the event to write, if any.

Every store runs the same ones, inside whatever its own means of guarding a write is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared import names
from shared.contracts import AgentResult, ErrorInfo, RunResult, Usage
from shared.errors import ClaimLost, NotFound
from shared.state.documents import LOST, Attempt, RunDocument, StepDocument
from shared.state.events import RunAdvanced, StepClaimed, StepRecorded, StepReleased, StepRenewed, StepsCalledOff
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
    """Who wants to run which step. `owner` is unique to the delivery that asks; the claim lasts until `lease_until`.

    `asks_model` is whether its agent asks a model, so that one that is lost may have been paid for. A step that is
    parked is claimed only by who may `repeat` it.
    """

    task_id: str
    step_id: str
    agent: str
    attempt: int
    owner: str
    enqueued_at: datetime
    now: datetime
    lease_until: datetime
    asks_model: bool = True
    repeat: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """The step is the asker's to run, as the attempt that `step` says; `taken_over` from a runner that was lost."""

    step: StepDocument
    taken_over: bool = False


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
    """Nobody waits for the step: its run is over, or goes on without it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """What is recorded contradicts the task: its run is unknown, or its step is another agent's."""

    reason: str


type Refusal = Finished | Busy | NotWanted | Foreign
type ClaimDecision = Claimed | Refusal


def decide_claim(run: RunDocument | None, step: StepDocument | None, request: ClaimRequest) -> StepClaimed | Refusal:
    """Whether `request` gets the step: the event of it, or why not.

    A claim that ran out without a record is an attempt that was made: it goes into the log, so that an agent that
    takes its process down with it is not begun again for ever.
    """
    if step is not None and step.agent != request.agent:
        return Foreign(f"it is a step of {step.agent}")
    parked = step is not None and step.status is StepStatus.PARKED and not request.repeat
    if step is not None and step.result is not None and (parked or step_is_over(step.status)):
        return Finished(step.result)
    if run is None:
        return Foreign(f"no run {request.task_id} is known")
    unwanted = why_unwanted(run, request.step_id)
    if unwanted is not None:
        return unwanted
    if step is not None and step.status is StepStatus.RUNNING and step.lease_until > request.now:
        return Busy(step.lease_until)
    check_transition(STEP_TRANSITIONS, step.status if step else StepStatus.PENDING, StepStatus.RUNNING)
    lost = _lost_attempt(step, request.asks_model)
    made = len(step.attempts if step else ()) + (lost is not None)
    return StepClaimed(
        at=request.now,
        step_id=request.step_id,
        agent=request.agent,
        attempt=max(request.attempt, made + 1),
        owner=request.owner,
        lease_until=request.lease_until,
        enqueued_at=step.enqueued_at if step else request.enqueued_at,
        lost=lost,
    )


def is_taken_over(step: StepDocument | None) -> bool:
    """Whether a claim of this step, if granted, takes it from a runner that was lost."""
    return step is not None and step.status is StepStatus.RUNNING


def is_claimed_by(step: StepDocument, request: ClaimRequest) -> bool:
    """Whether the step is held as this very request, if granted, would have it held."""
    made = (step.owner, step.started_at, step.lease_until)
    return step.status is StepStatus.RUNNING and made == (request.owner, request.now, request.lease_until)


def why_unwanted(run: RunDocument, step_id: str) -> NotWanted | None:
    """Why nobody waits for this step of a run; None when somebody does."""
    undoing = run.status is RunStatus.CANCELLING and names.undoes(step_id)
    if run_is_over(run.status) or (run.status is RunStatus.CANCELLING and not undoing):
        return NotWanted(f"its run is {run.status.value}")
    return NotWanted("its run goes on without it") if run.has_called_off(step_id) else None


def decide_record(step: StepDocument | None, owner: str, result: AgentResult, now: datetime) -> StepRecorded | None:
    """The event of `owner` recording its result; None when that very result is recorded already.

    The second is how a record ends whose first answer was lost on the way. Raises `ClaimLost` unless `owner` still
    holds the step.
    """
    if step is not None and (step.owner, step.result, step.completed_at) == (owner, result, now):
        return None
    held = _held_by(step, owner)
    check_transition(STEP_TRANSITIONS, held.status, result.status)
    return StepRecorded(at=now, step_id=held.step_id, result=result)


def decide_renewal(step: StepDocument | None, owner: str, lease_until: datetime, now: datetime) -> StepRenewed:
    """The event of `owner` keeping its claim. Raises `ClaimLost` unless it still holds the step."""
    return StepRenewed(at=now, step_id=_held_by(step, owner).step_id, lease_until=lease_until)


def decide_release(step: StepDocument | None, owner: str, attempt: Attempt) -> StepReleased | None:
    """The event of a claim given back, `attempt` for its log; None when that very attempt was given back already.

    Raises `ClaimLost` unless `owner` holds the step.
    """
    if step is not None and (step.owner, step.status, step.attempts[-1:]) == (owner, StepStatus.WAITING, (attempt,)):
        return None
    held = _held_by(step, owner)
    check_transition(STEP_TRANSITIONS, held.status, StepStatus.WAITING)
    return StepReleased(at=attempt.ended_at, step_id=held.step_id, attempt=attempt)


def decide_advance(
    run: RunDocument | None, task_id: str, to: RunStatus, result: RunResult | None, now: datetime
) -> RunAdvanced | RunDocument:
    """The event of the run moving on; the run itself when it is there already, so that a repeat changes nothing.

    Raises `NotFound` and `IllegalTransition`.
    """
    if run is None:
        raise NotFound(f"no run {task_id}")
    if run.status is to:
        return run
    check_transition(RUN_TRANSITIONS, run.status, to)
    return RunAdvanced(at=now, to=to, result=result)


def decide_call_off(
    run: RunDocument | None, task_id: str, step_ids: Sequence[str], now: datetime
) -> StepsCalledOff | None:
    """The event of a run going on without some steps; None when it does so already, or wants none of them anyway.

    Raises `NotFound`.
    """
    if run is None:
        raise NotFound(f"no run {task_id}")
    new = () if run_is_over(run.status) else tuple(step for step in step_ids if not run.has_called_off(step))
    return StepsCalledOff(at=now, step_ids=new) if new else None


def _lost_attempt(step: StepDocument | None, asks_model: bool) -> Attempt | None:
    """The attempt before this one that is in no log yet: of a runner that was lost, or one that ended in parking."""
    if step is None or step.status not in (StepStatus.RUNNING, StepStatus.PARKED):
        return None
    error = ErrorInfo(type=LOST, message="its runner stopped without recording a result", retryable=True)
    if step.result is not None and step.result.error is not None:
        if step.result.error.type == LOST:
            return None
        error = step.result.error
    return Attempt(
        attempt=step.attempt,
        started_at=step.started_at,
        ended_at=step.completed_at or step.lease_until,
        error=error,
        # It may have asked a model before it stopped, and unknown is not free.
        usage=Usage(cost_usd=None),
        answer_lost=asks_model,
    )


def _held_by(step: StepDocument | None, owner: str) -> StepDocument:
    if step is None or step.owner != owner or step.status is not StepStatus.RUNNING:
        raise ClaimLost(f"step {step.step_id if step else '(none)'} is no longer claimed by {owner}")
    return step
