"""What is stored of a run: one document for the run, one for each step, in one partition.

No two agents ever rewrite one document: a step's document belongs to whoever holds its claim.
"""

import re
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, JsonValue

from shared.contracts import (
    AgentName,
    AgentResult,
    Contract,
    ErrorInfo,
    JsonData,
    MaybeTraceparent,
    RunResult,
    StepId,
    TaskId,
    Usage,
)
from shared.status import RunStatus, StepStatus

LOST = "RunnerLost"
"""The error's type of an attempt whose runner stopped without a word."""
_NOT_BEGUN = frozenset({LOST, "DeadlinePassed", "BudgetExhausted"})
"""The errors of a step whose last claim ended before its agent was called: too often lost, too late, too dear."""

_TASK_ID = re.compile(r"[!-~]{1,100}")


def is_task_id(text: str) -> bool:
    """Whether a run may have this id, see `TaskId`; what somebody asks for may be any text at all."""
    return _TASK_ID.fullmatch(text) is not None


def _is_empty(value: tuple[str, ...]) -> bool:
    return not value


class PlannedStep(Contract):
    """A step that a run is going to take. `name` is what people call it."""

    step_id: StepId
    name: str
    agent: AgentName


class RunDocument(Contract):
    """A run. `type` is its pattern, `workflow` the name under which it was asked for.

    `input` is what its agents work on, `request` the whole of what was asked. `called_off` are the paths of steps, and
    of nested patterns with all their steps, that nobody waits for any more though the run goes on. `traceparent` is the
    context of the span that began it, where telemetry is on.
    """

    schema_version: Literal[1] = 1
    task_id: TaskId
    type: str
    workflow: str
    status: RunStatus = RunStatus.PENDING
    input: JsonData
    request: JsonValue = None
    plan: tuple[PlannedStep, ...]
    created_at: AwareDatetime
    updated_at: AwareDatetime
    completed_at: AwareDatetime | None = None
    result: RunResult | None = None
    called_off: Annotated[tuple[StepId, ...], Field(exclude_if=_is_empty)] = ()
    traceparent: MaybeTraceparent = None

    def has_called_off(self, step_id: str) -> bool:
        """Whether nobody waits for this step any more, or for the nested pattern that it is a step of."""
        return any(step_id == path or step_id.startswith(f"{path}.") for path in self.called_off)


class Attempt(Contract):
    """One attempt at a step that did not end it, and why.

    `answer_lost` says that its process stopped when it had asked a model, or may have: what was answered is lost.
    """

    attempt: int
    started_at: AwareDatetime
    ended_at: AwareDatetime
    error: ErrorInfo
    usage: Usage = Usage()
    answer_lost: bool = False


class StepDocument(Contract):
    """A step that a runner has claimed. `lease_until` is when its claim may be taken over."""

    schema_version: Literal[1] = 1
    task_id: TaskId
    step_id: StepId
    agent: AgentName
    status: StepStatus
    attempt: int
    owner: str
    lease_until: AwareDatetime
    enqueued_at: AwareDatetime
    started_at: AwareDatetime
    completed_at: AwareDatetime | None = None
    result: AgentResult | None = None
    attempts: tuple[Attempt, ...] = ()

    @property
    def calls_repeated(self) -> int:
        """How many attempts were made again although a model may have answered them: each may be paid for twice."""
        not_begun = self.result is not None and self.result.error is not None and self.result.error.type in _NOT_BEGUN
        made_again = self.attempts[:-1] if not_begun or self.status is StepStatus.WAITING else self.attempts
        return sum(attempt.answer_lost for attempt in made_again)


class RunRecord(Contract):
    """A run with the steps that have been claimed so far."""

    run: RunDocument
    steps: tuple[StepDocument, ...] = ()
