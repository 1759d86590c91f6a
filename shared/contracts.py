"""The messages and results that cross a door, versioned and validated: unknown fields are refused.

`AgentTask` goes to an agent's queue, `AgentResult` comes back, `RunResult` is what every pattern returns.
"""

import math
import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, model_validator

from shared import names
from shared.status import RunStatus, StepStatus

MAX_JSON_DEPTH = 64
"""How deep values may lie in one another. Parsers stop at about 200, and a value is stored inside documents."""

ARTIFACT_KEY = "$artifact"
"""The one key of the object that stands for a value kept as an artifact."""

MAX_EVENTS = 20
"""How many events one agent call may publish."""

TaskId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        pattern=r"^[!-~]*$",
        description="The run's id, and its orchestration's instance id: printable ASCII without spaces.",
    ),
]
MAX_POSTPONED = 24 * 60
"""How often a task is put off, a minute each time in the end, before it is given up."""
MAX_STEP_ID = 64
"""The most characters of a step's id."""
StepId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
AgentName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
_WHOSE = r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}$"
TenantId = Annotated[str, Field(pattern=_WHOSE, description="Whose memory is used: a customer, a team.")]
SessionId = Annotated[str, Field(pattern=_WHOSE, description="The conversation that a run belongs to.")]
EventType = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9._-]{0,99}$", description="What happened: DataReceived.")]


MAX_GIVEN_DEPTH = 32
"""The same for what people ask and agents answer: patterns put it into values of their own, one for each nesting."""


def bounded(value: JsonValue, most: int = MAX_JSON_DEPTH) -> JsonValue:
    """`value`, when it is JSON and lies at most `most` deep in itself; raises `ValueError` otherwise."""
    waiting = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if depth > most:
            raise ValueError(f"values may lie at most {most} deep in one another")
        if isinstance(item, float) and not math.isfinite(item):
            raise ValueError("NaN and Infinity are no JSON")
        children = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        waiting.extend((child, depth + 1) for child in children)
    return value


JsonData = Annotated[JsonValue, AfterValidator(bounded)]
"""JSON from outside, which has to survive being stored and read again."""

GivenData = Annotated[JsonValue, AfterValidator(partial(bounded, most=MAX_GIVEN_DEPTH))]
"""What people ask and agents answer: JSON that still fits once patterns have wrapped it."""


class Contract(BaseModel):
    """A frozen value that refuses fields it does not know."""

    # Schemas are built on first use: a cold start then pays only for those that its request needs.
    # What a message held stays out of the errors about it, because errors are logged and sent to observers.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, hide_input_in_errors=True)


def _unsaid(value: str | None) -> bool:
    return value is None


_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def well_formed(traceparent: str | None) -> str | None:
    """`traceparent` if it has the form of W3C Trace Context, which says to ignore any other; None otherwise."""
    return traceparent if traceparent is not None and _TRACEPARENT.fullmatch(traceparent) else None


Traceparent = Annotated[str | None, Field(max_length=100), AfterValidator(well_formed)]
"""The context of a span. One that is malformed counts as none: a trace begins, and the work goes on."""
MaybeTraceparent = Annotated[Traceparent, Field(exclude_if=_unsaid)]
"""The context of the span that began a run. Without one, it is left out of messages, histories and documents."""
MaybeTenant = Annotated[TenantId | None, Field(exclude_if=_unsaid)]
MaybeSession = Annotated[SessionId | None, Field(exclude_if=_unsaid)]


class ForWhom(Contract):
    """For whom something is done, which decides what agents remember: the tenant, and the session of a conversation.

    What is not said is left out of the JSON, which is then what earlier versions of the app write and read.
    """

    tenant: MaybeTenant = None
    session: MaybeSession = None


class ArtifactRef(Contract):
    """A large value that lies in the artifact store. `address` holds its content's hash; `size` is in bytes."""

    address: str
    size: int
    content_type: str
    location: str = ""


class EarlierOutput(Contract):
    """What an earlier step of the same run made."""

    step_id: StepId
    agent: AgentName
    output: JsonData


class AgentInput(Contract):
    """What an agent is given: the request as it was made, and what earlier steps made of it."""

    request: JsonData
    earlier: tuple[EarlierOutput, ...] = ()


class Budget(Contract):
    """What one agent call may use at most: the tokens out of each model call, and how many attempts may cost something.

    Where budgets are kept, so many attempts were paid for ahead; those that cost nothing do not count.
    """

    max_output_tokens: int | None = Field(default=None, ge=1)
    paid_attempts: int | None = Field(default=None, ge=1)


class ReplyTo(Contract):
    """Which orchestration waits for the answer, and under which event name."""

    instance_id: TaskId
    event: str = Field(min_length=1, max_length=200)


class AgentTask(ForWhom):
    """One piece of work on an agent's queue. Without `reply_to`, the sender wants no answer.

    `repeat` is a person's word that a parked step may be done once more. `postponed` counts how often it was put off
    because something that the app needs did not answer.
    """

    schema_version: Literal[1] = 1
    task_id: TaskId
    step_id: StepId
    agent: AgentName
    input: AgentInput | ArtifactRef
    attempt: int = Field(default=1, ge=1, le=100)
    deadline: AwareDatetime | None = None
    reply_to: ReplyTo | None = None
    budget: Budget = Budget()
    traceparent: Traceparent = None
    repeat: bool = False
    postponed: int = Field(default=0, ge=0, le=MAX_POSTPONED)

    @model_validator(mode="after")
    def _ids_make_a_legal_message_id(self) -> Self:
        if self.task_id.startswith("@") or any(c in self.task_id for c in "/\\?#:"):
            raise ValueError("task_id must not begin with @ nor contain / \\ ? # :")
        if len(self.message_id) > names.MAX_MESSAGE_ID:
            raise ValueError(f"task_id and step_id together exceed a message id of {names.MAX_MESSAGE_ID} characters")
        return self

    @property
    def message_id(self) -> str:
        """The MessageId under which this attempt is sent."""
        return names.message_id(self.task_id, self.step_id, self.attempt)


class ErrorInfo(Contract):
    """Why something failed: the error's type, its message, and whether another attempt could have helped."""

    type: str
    message: str
    retryable: bool = False

    def __str__(self) -> str:
        return f"{self.type}: {self.message}"


class Usage(Contract):
    """What model calls used. `cost_usd` is None when the model's price is unknown: unknown is not free."""

    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    cost_usd: float | None = Field(default=0.0, ge=0, allow_inf_nan=False)
    model: str | None = None

    def plus(self, other: Self) -> Self:
        """Both together; an unknown cost makes the sum unknown, two models leave the model unnamed."""
        known = self.cost_usd is not None and other.cost_usd is not None
        models = {usage.model for usage in (self, other) if usage.model or usage.input_tokens or usage.output_tokens}
        return type(self)(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost_usd=round((self.cost_usd or 0) + (other.cost_usd or 0), 9) if known else None,
            model=models.pop() if len(models) == 1 else None,
        )


class EventDraft(Contract):
    """An event that an agent, or the start of a run, wants published. Its identity and causes come with publication."""

    type: EventType
    data: JsonData = None
    subject: str | None = Field(default=None, min_length=1, max_length=200)


class AgentResult(Contract):
    """What one agent call came to. `events` are what the agent wants published; only event-driven runs do so.

    One with `retry_after_seconds` is not the end: who called the agent directly asks again after that time.
    """

    status: Literal[
        StepStatus.SUCCEEDED,
        StepStatus.FAILED,
        StepStatus.SKIPPED,
        StepStatus.TIMED_OUT,
        StepStatus.REJECTED,
        StepStatus.PARKED,
    ]
    output: JsonData = None
    error: ErrorInfo | None = None
    events: Annotated[tuple[EventDraft, ...], Field(max_length=MAX_EVENTS)] = ()
    usage: Usage = Usage()
    attempt: int = 1
    retry_after_seconds: float | None = Field(default=None, ge=0)
    started_at: datetime | None = None
    completed_at: datetime | None = None


class Outcome(StrEnum):
    """How an agent that was asked stands in a run's account."""

    ANSWERED = "answered"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    SKIPPED = "skipped"


OUTCOMES: Mapping[StepStatus, Outcome] = {
    StepStatus.SUCCEEDED: Outcome.ANSWERED,
    StepStatus.FAILED: Outcome.FAILED,
    StepStatus.REJECTED: Outcome.FAILED,
    StepStatus.PARKED: Outcome.FAILED,
    StepStatus.TIMED_OUT: Outcome.TIMED_OUT,
    StepStatus.SKIPPED: Outcome.SKIPPED,
}
"""How an agent stands in the account, by the status of its result."""


class AgentAccount(Contract):
    """One line of a run's account: which agent was asked, and what came of it, with the cause."""

    step_id: StepId
    agent: AgentName
    outcome: Outcome
    cause: str | None = None


class RunResult(Contract):
    """What every pattern returns. Never `completed` while something asked for is missing."""

    status: Literal[
        RunStatus.COMPLETED, RunStatus.PARTIAL, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.BUDGET_EXHAUSTED
    ]
    result: JsonValue = None
    account: tuple[AgentAccount, ...] = ()
    usage: Usage = Usage()
    error: ErrorInfo | None = None
