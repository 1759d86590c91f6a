"""What is remembered: facts, and the turns of conversations. Each lies in a scope, under a key, until its time is over.

Of two entries under one key the later one is kept, whichever arrives first: `stamp` puts any two of them in the same
order everywhere, so that writers need no lock and may repeat themselves.
"""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, ConfigDict, Field, JsonValue, StringConstraints, TypeAdapter, model_validator

from shared.contracts import AgentName, Contract, SessionId, StepId, TaskId, TenantId

MAX_FACT_CHARS = 4000
MAX_LINE_CHARS = 8000
MAX_LINES = 10
MAX_VECTOR = 4096
MAX_ENTRIES = {"fact": 500, "turn": 200}
"""How many facts, or turns, one scope keeps: the newest."""
DEFAULT_TENANT = "default"
"""Whose memory it is when nobody says."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Text = Annotated[str, StringConstraints(min_length=1)]


class Scope(Contract):
    """Where something is remembered: in a session, with an agent, or (neither) with all agents of the tenant."""

    tenant: TenantId = DEFAULT_TENANT
    session: SessionId | None = None
    agent: AgentName | None = None

    @model_validator(mode="after")
    def _is_one_place(self) -> Self:
        if self.session is not None and self.agent is not None:
            raise ValueError("a scope is a session or an agent, not both")
        return self

    @property
    def path(self) -> str:
        """The scope as text; no two scopes have the same, because no id holds a slash."""
        if self.session is not None:
            return f"{self.tenant}/session/{self.session}"
        return f"{self.tenant}/agent/{self.agent}" if self.agent is not None else f"{self.tenant}/shared"


class Source(Contract):
    """Who remembered something: which agent, in which step of which run."""

    run: TaskId
    step: StepId
    agent: AgentName


class Embedding(Contract):
    """A text as the numbers that `model` turned it into; only numbers of one model can be compared."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    vector: Annotated[tuple[Annotated[float, Field(allow_inf_nan=False)], ...], Field(max_length=MAX_VECTOR)]


class Entry(Contract):
    """What facts and turns have in common. `expires_at` is when it is over, None for never."""

    schema_version: Literal[1] = 1
    scope: Scope
    key: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    source: Source
    at: AwareDatetime
    expires_at: AwareDatetime | None = None

    @property
    def stamp(self) -> str:
        """What decides which of two entries under one key is kept: the greater one, by time and then by content."""
        digest = hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]
        return f"{microseconds(self.at):018d}-{digest}"

    def lives(self, now: datetime) -> bool:
        """Whether its time is not over."""
        return self.expires_at is None or now < self.expires_at


class Fact(Entry):
    """Something an agent found worth keeping."""

    kind: Literal["fact"] = "fact"
    text: Annotated[Text, StringConstraints(max_length=MAX_FACT_CHARS)]
    embedding: Embedding | None = None


class Line(Contract):
    """What one speaker said."""

    speaker: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,39}$")]
    text: Annotated[Text, StringConstraints(max_length=MAX_LINE_CHARS)]


class Turn(Entry):
    """What was said in one step of a conversation, such as a question and its answer; it is never taken apart."""

    kind: Literal["turn"] = "turn"
    lines: Annotated[tuple[Line, ...], Field(min_length=1, max_length=MAX_LINES)]


type Memory = Annotated[Fact | Turn, Field(discriminator="kind")]
"""Anything that is remembered."""

MEMORY: TypeAdapter[Fact | Turn] = TypeAdapter(Memory, config=ConfigDict(defer_build=True))
"""Reads a stored text as what it is."""


def microseconds(time: datetime) -> int:
    """A time as a number that sorts as time does."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def key_of(text: str) -> str:
    """The key of a fact that nobody gave one: the same for the same text."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def line_of(speaker: str, said: JsonValue) -> Line:
    """What somebody said as a line. JSON becomes text, and of a long text the end is left out, which the line says."""
    text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    if len(text) > MAX_LINE_CHARS:
        kept = text[: MAX_LINE_CHARS - 60]
        text = f"{kept} [{len(text) - len(kept)} characters left out]"
    return Line(speaker=speaker, text=text or "(nothing)")
