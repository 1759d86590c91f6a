"""What an orchestrator hands to the activities of this room, and what it gets back."""

import operator
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, JsonValue

from orchestrations.requests import AnyRequest
from shared.budget import NO_LIMIT, Allowance
from shared.cards import AgentCard
from shared.contracts import (
    AgentAccount,
    AgentInput,
    AgentName,
    Budget,
    Contract,
    EarlierOutput,
    ErrorInfo,
    ForWhom,
    MaybeTraceparent,
    RunResult,
    StepId,
    TaskId,
    Usage,
)
from shared.events import Event
from shared.status import RunStatus


class BeginRun(Contract):
    """A run whose orchestrator has begun; `request` is as the orchestrator was given it."""

    task_id: TaskId
    request: AnyRequest


class Begun(Contract):
    """The agents that the run may ask, as they are now, so that a replay asks the same ones; or why it may not run.

    `reused` is what its first steps made in an earlier run, so that they are not asked again. `calls_off` is false in
    the histories of runs that began when nothing was called off yet, so that a replay calls nothing off either.
    `traceparent` is the context of the span that began the run, which goes with everything that it asks for.
    """

    agents: Mapping[AgentName, AgentCard] = {}
    reused: tuple[EarlierOutput, ...] = ()
    refused: ErrorInfo | None = None
    calls_off: Annotated[bool, Field(exclude_if=operator.not_)] = False
    traceparent: MaybeTraceparent = None


class QueuedStep(Contract):
    """One agent of a fan-out. `given` is its input's place among the inputs of the dispatch."""

    step_id: StepId
    agent: AgentName
    given: int = Field(ge=0)
    deadline: AwareDatetime
    reply_event: str
    budget: Budget = Budget()


class Dispatch(ForWhom):
    """The steps of one fan-out, sent together. Those that are given the same share one input."""

    task_id: TaskId
    reply_to: TaskId
    inputs: tuple[AgentInput, ...]
    steps: tuple[QueuedStep, ...]
    traceparent: MaybeTraceparent = None


class Rejection(Contract):
    """A task that was not sent, and why; its agent will not answer."""

    step_id: StepId
    error: ErrorInfo


class Dispatched(Contract):
    """What came of a dispatch: every step not listed here is on its agent's queue."""

    rejected: tuple[Rejection, ...] = ()


class CallOff(Contract):
    """Steps of a run that nobody waits for any more. `nested` are those among them that are patterns."""

    task_id: TaskId
    steps: tuple[StepId, ...]
    nested: tuple[StepId, ...] = ()


class Publication(Contract):
    """Events of a run that go to the topic together."""

    events: tuple[Event, ...]
    traceparent: MaybeTraceparent = None


class PublishedEvents(Contract):
    """What came of a publication: the topic has all of the events, or refused them for good."""

    refused: ErrorInfo | None = None


class RunUpdate(Contract):
    """A run's new status, with its result once it is over."""

    task_id: TaskId
    status: RunStatus
    result: RunResult | None = None


class PlanUndo(Contract):
    """What is to be undone of a run now that it is cancelled, or has failed?"""

    task_id: TaskId
    occasion: Literal["on_cancel", "on_failure"]


class UndoStep(Contract):
    """A finished step, what it made, and the agent that undoes it."""

    step_id: StepId
    agent: AgentName
    undo: AgentName
    output: JsonValue = None


class UndoPlan(Contract):
    """The steps to undo in this order, with the undo agents' cards; `at_work` may still finish and come to them.

    `account` and `usage` are the run's so far, `request` is what was asked of it.
    """

    undo: tuple[UndoStep, ...] = ()
    agents: Mapping[AgentName, AgentCard] = {}
    request: JsonValue = None
    at_work: tuple[StepId, ...] = ()
    account: tuple[AgentAccount, ...] = ()
    usage: Usage = Usage()
    traceparent: MaybeTraceparent = None


class CancelRun(Contract):
    """A run that is to be ended as cancelled."""

    task_id: TaskId


class Recorded(Contract):
    """What came of recording a run: the store has it, or refused it for good."""

    refused: ErrorInfo | None = None


class NestedRun(ForWhom):
    """What the orchestrator of a nested pattern is started with.

    `task_id` is the root run's; `path` goes before the ids of its steps. `given` is what its nodes are given unless
    its request says otherwise.
    """

    task_id: TaskId
    path: StepId
    request: AnyRequest
    given: AgentInput
    agents: Mapping[AgentName, AgentCard]
    deadline: AwareDatetime
    budget: Allowance = NO_LIMIT
    calls_off: Annotated[bool, Field(exclude_if=operator.not_)] = False
    traceparent: MaybeTraceparent = None


class NestedResult(Contract):
    """What it returns: its result, and what it did not use of its budget."""

    result: RunResult
    left: Allowance
