"""The decisions of a handoff: what a holder's answer means, and whether the conversation may be passed on as it asks.

The first holder is the router. It may get the conversation back, so that a specialist who was chosen wrongly can say
so; everybody else holds it once. No pass is made twice, so that a conversation goes back and forth at most once
between two agents, and comes to an end whatever the agents want.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from pydantic import JsonValue, ValidationError

from shared.contracts import ErrorInfo
from shared.turns import Turn


@dataclass(frozen=True, slots=True)
class PassRules:
    """Who may hold the conversation, and who may pass it to whom.

    `members` begin with the router. `allowed` names the targets of those who may not pass to everybody; `limit` is how
    many passes there may be in all.
    """

    members: tuple[str, ...]
    limit: int
    allowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def router(self) -> str:
        """Who holds the conversation first."""
        return self.members[0]


@dataclass(frozen=True, slots=True)
class Replied:
    """The conversation has its reply."""

    reply: JsonValue


@dataclass(frozen=True, slots=True)
class PassedOn:
    """The conversation goes to `target`."""

    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class PassRefused:
    """The conversation cannot be passed on so; `error.type` is the kind of the obstacle."""

    error: ErrorInfo
    target: str


type Move = Replied | PassedOn | PassRefused


def read_turn(output: JsonValue) -> Turn | ErrorInfo:
    """A holder's answer as a turn. Text, and JSON that has neither a reply nor a target, is a reply; what claims to be
    a turn and is none is an error.
    """
    if not isinstance(output, dict) or not {"reply", "pass_to"} & set(output):
        if output is None:
            return ErrorInfo(type="InvalidTurn", message="the answer is empty")
        return Turn(reply=output)
    try:
        return Turn.model_validate(output)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the turn"
        return ErrorInfo(type="InvalidTurn", message=f"{where}: {first['msg']}")


def after_turn(rules: PassRules, holders: Sequence[str], turn: Turn) -> Move:
    """What follows from the turn of the last of `holders`, who held the conversation in this order."""
    if turn.pass_to is None:
        return Replied(turn.reply)
    obstacle = _obstacle(rules, holders, turn.pass_to)
    if obstacle is not None:
        return PassRefused(obstacle, turn.pass_to)
    return PassedOn(turn.pass_to, turn.reason)


def targets(rules: PassRules, holders: Sequence[str]) -> tuple[str, ...]:
    """To whom the last of `holders` may pass the conversation, in the order of the members."""
    return tuple(member for member in rules.members if _obstacle(rules, holders, member) is None)


def passes_left(rules: PassRules, holders: Sequence[str]) -> int:
    """How many more passes there may be."""
    return max(0, rules.limit - (len(holders) - 1))


def _obstacle(rules: PassRules, holders: Sequence[str], target: str) -> ErrorInfo | None:
    holder = holders[-1]
    if target not in rules.members:
        return ErrorInfo(type="UnknownTarget", message=f"{target[:100]!r} is not part of this handoff")
    if target == holder:
        return ErrorInfo(type="PassedToItself", message=f"{holder} holds the conversation already")
    if target not in rules.allowed.get(holder, rules.members):
        return ErrorInfo(type="TargetNotAllowed", message=f"{holder} may not pass to {target}")
    if passes_left(rules, holders) == 0:
        return ErrorInfo(type="PassLimit", message=f"the conversation was passed on {rules.limit} times already")
    if target != rules.router and target in holders:
        return ErrorInfo(type="PassedBefore", message=f"{target} held the conversation already")
    if (holder, target) in pairwise(holders):
        return ErrorInfo(type="PassedBefore", message=f"{holder} passed the conversation to {target} before")
    return None
