"""What the holder of a conversation is given and what it answers: the contract between a handoff and its agents."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from shared.contracts import Contract, JsonData

MAX_REASON = 2000


class Colleague(Contract):
    """Somebody to whom the conversation may be passed."""

    name: str
    description: str


class TurnPaper(Contract):
    """What the holder of a conversation is given as its request.

    With no `colleagues`, or with `must_reply`, it has to reply itself; `must_reply` says why a pass is not possible.
    """

    request: JsonData
    colleagues: tuple[Colleague, ...] = ()
    passes_left: int = Field(default=0, ge=0)
    must_reply: str | None = None


class Turn(Contract):
    """What the holder does: it replies, or passes the conversation on. Exactly one of the two.

    `reason` tells the next holder, and people, why.
    """

    reply: JsonData = None
    pass_to: str | None = None
    reason: Annotated[str, StringConstraints(max_length=MAX_REASON)] = ""

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        if (self.reply is None) == (self.pass_to is None):
            raise ValueError("give either a reply or somebody to pass to")
        return self
