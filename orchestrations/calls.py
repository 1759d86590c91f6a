"""What an orchestrator hands to the activities of this room, and what it gets back."""

from shared.contracts import AgentCard, AgentInput, AgentTask, Contract, ErrorInfo, RunResult, StepId, TaskId
from shared.status import RunStatus


class AgentCall(Contract):
    """One agent asked once by an orchestrator."""

    step_id: StepId
    agent: AgentCard
    input: AgentInput


class Dispatch(Contract):
    """The tasks of one fan-out, sent together."""

    tasks: tuple[AgentTask, ...]


class Rejection(Contract):
    """A task that was not sent, and why; its agent will not answer."""

    step_id: StepId
    error: ErrorInfo


class Dispatched(Contract):
    """What came of a dispatch: every task not listed here is on its queue."""

    rejected: tuple[Rejection, ...] = ()


class RunUpdate(Contract):
    """A run's new status, with its result once it is over."""

    task_id: TaskId
    status: RunStatus
    result: RunResult | None = None
