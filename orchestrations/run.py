"""One run of a pattern, as its generator sees it: what it was asked, what it may use, how long it has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from durabletask.task import OrchestrationContext

from orchestrations.nodes import AgentNode, AnyNode, PatternRequest, path_of
from shared.budget import NO_LIMIT, Allowance
from shared.cards import AgentCard
from shared.contracts import AgentAccount, AgentInput, AgentResult, EarlierOutput, ForWhom
from shared.status import StepStatus


@dataclass(frozen=True, slots=True)
class NodeCall:
    """A node to ask. `name` is unique in the pattern: a node asked twice is called differently each time.

    Its agent is given `given`, or the node's own request in place of `given.request`.
    """

    name: str
    node: AnyNode
    given: AgentInput

    def input(self) -> AgentInput:
        """What the node is given in the end."""
        own = None if isinstance(self.node, str) else self.node.request
        return self.given if own is None else self.given.model_copy(update={"request": own})

    @property
    def asked(self) -> str:
        """The agent or the pattern that is asked."""
        if isinstance(self.node, str):
            return self.node
        return self.node.agent if isinstance(self.node, AgentNode) else self.node.pattern


@dataclass
class Run[R: PatternRequest]:
    """One run. `path` is empty but for nested ones; `budget` is what is left now, kept by the steps.

    `reused` is what the first steps made in an earlier run. `whose` is the same for all that is nested in a run.
    `left_open` are the calls that have begun and that nobody waits for any more, until they are called off.
    `traceparent` is the context of the span that began the run, if it is traced.
    """

    ctx: OrchestrationContext
    request: R
    task_id: str
    agents: Mapping[str, AgentCard]
    given: AgentInput
    deadline: datetime
    path: str = ""
    budget: Allowance = field(default=NO_LIMIT)
    reused: tuple[EarlierOutput, ...] = ()
    whose: ForWhom = field(default_factory=ForWhom)
    calls_off: bool = False
    left_open: list[NodeCall] = field(default_factory=list)
    traceparent: str | None = None

    @staticmethod
    def time(ctx: OrchestrationContext) -> datetime:
        """The orchestration's own time. The SDK gives it without a zone; it is UTC."""
        return ctx.current_utc_datetime.replace(tzinfo=UTC)

    @property
    def now(self) -> datetime:
        """The orchestration's own time."""
        return self.time(self.ctx)

    def step_id(self, name: str) -> str:
        """The id of the step called `name`."""
        return path_of(self.path, name)

    def progress(self, **facts: Any) -> None:
        """Say how far the run is, in a few small facts that anyone may see who asks the task hub."""
        self.ctx.set_custom_status({"pattern": self.request.pattern, **facts})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a node came to. An agent's account has one line, a pattern's one for each agent in it.

    `partial` says that a nested pattern is missing something its own request could do without.
    """

    call: NodeCall
    step_id: str
    result: AgentResult
    account: tuple[AgentAccount, ...]
    partial: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether the node did what it was asked."""
        return self.result.status is StepStatus.SUCCEEDED

    def output(self) -> EarlierOutput:
        """What it made, as later nodes are given it."""
        return EarlierOutput(step_id=self.step_id, agent=self.call.asked, output=self.result.output)
