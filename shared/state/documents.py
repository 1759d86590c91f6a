"""What is stored of a run: one document for the run, one for each step, in one partition.

No two agents ever rewrite one document: a step's document belongs to whoever holds its claim.
"""

import re
from typing import Literal

from pydantic import AwareDatetime, JsonValue

from shared.contracts import AgentName, AgentResult, Contract, ErrorInfo, JsonData, RunResult, StepId, TaskId, Usage
from shared.status import RunStatus, StepStatus

_TASK_ID = re.compile(r"[!-~]{1,100}")


def is_task_id(text: str) -> bool:
    """Whether a run may have this id, see `TaskId`; what somebody asks for may be any text at all."""
    return _TASK_ID.fullmatch(text) is not None


class PlannedStep(Contract):
    """A step that a run is going to take. `name` is what people call it."""

    step_id: StepId
    name: str
    agent: AgentName


class RunDocument(Contract):
    """A run. `type` is its pattern, `workflow` the name under which it was asked for.

    `input` is what its agents work on, `request` the whole of what was asked.
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


class Attempt(Contract):
    """One attempt at a step that did not end it, and why."""

    attempt: int
    started_at: AwareDatetime
    ended_at: AwareDatetime
    error: ErrorInfo
    usage: Usage = Usage()


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


class RunRecord(Contract):
    """A run with the steps that have been claimed so far."""

    run: RunDocument
    steps: tuple[StepDocument, ...] = ()
