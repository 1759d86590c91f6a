"""What can happen to a run, as events: the log of a run is made of these, and its documents are what they add up to.

An event is written in the same operation as the change it tells of, and is never changed afterwards.
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field, TypeAdapter

from shared.contracts import AgentName, AgentResult, Contract, RunResult, StepId
from shared.state.documents import Attempt, RunDocument, StepDocument
from shared.status import RunStatus


class RunCreated(Contract):
    """A run was asked for. It holds everything that is known of the run at its start."""

    kind: Literal["run_created"] = "run_created"
    at: AwareDatetime
    run: RunDocument


class RunAdvanced(Contract):
    """A run went on to another status, with its result once it is over."""

    kind: Literal["run_advanced"] = "run_advanced"
    at: AwareDatetime
    to: RunStatus
    result: RunResult | None = None


class StepsCalledOff(Contract):
    """A run goes on and waits for these steps no more; a nested pattern's path stands for all the steps in it."""

    kind: Literal["steps_called_off"] = "steps_called_off"
    at: AwareDatetime
    step_ids: tuple[StepId, ...] = Field(min_length=1)


class StepClaimed(Contract):
    """A runner took a step. `lost` is the attempt of an earlier one that stopped without a word, if there was one."""

    kind: Literal["step_claimed"] = "step_claimed"
    at: AwareDatetime
    step_id: StepId
    agent: AgentName
    attempt: int
    owner: str
    lease_until: AwareDatetime
    enqueued_at: AwareDatetime
    lost: Attempt | None = None


class StepRenewed(Contract):
    """The runner of a step is still at work, and keeps its claim until `lease_until`."""

    kind: Literal["step_renewed"] = "step_renewed"
    at: AwareDatetime
    step_id: StepId
    lease_until: AwareDatetime


class StepReleased(Contract):
    """An attempt at a step failed, and another is scheduled."""

    kind: Literal["step_released"] = "step_released"
    at: AwareDatetime
    step_id: StepId
    attempt: Attempt


class StepRecorded(Contract):
    """A step has its result."""

    kind: Literal["step_recorded"] = "step_recorded"
    at: AwareDatetime
    step_id: StepId
    result: AgentResult


class RunFound(Contract):
    """A run as it was found when its log was begun: it was written by a version that kept no log."""

    kind: Literal["run_found"] = "run_found"
    at: AwareDatetime
    run: RunDocument


class StepFound(Contract):
    """A step as it was found when its run's log was begun."""

    kind: Literal["step_found"] = "step_found"
    at: AwareDatetime
    step_id: StepId
    step: StepDocument


type OfRun = RunCreated | RunAdvanced | StepsCalledOff | RunFound
type OfStep = StepClaimed | StepRenewed | StepReleased | StepRecorded | StepFound
type RunEvent = OfRun | OfStep

_AnyEvent = Annotated[
    RunCreated
    | RunAdvanced
    | StepsCalledOff
    | RunFound
    | StepClaimed
    | StepRenewed
    | StepReleased
    | StepRecorded
    | StepFound,
    Field(discriminator="kind"),
]

EVENT: TypeAdapter[RunEvent] = TypeAdapter(_AnyEvent, config=ConfigDict(defer_build=True))
"""Reads an event of any kind."""


class NumberedEvent(Contract):
    """An event with its place in the log of its run. The first is 1, there are no gaps, and a number never changes."""

    sequence: int = Field(ge=1)
    event: _AnyEvent


class EventLog(Contract):
    """The log of one run. `request_units` is what the store is known to have charged for it; None where it is free."""

    task_id: str
    events: tuple[NumberedEvent, ...]
    request_units: float | None = None
