"""What all patterns' requests have in common, and the nodes that they hold: an agent, or another pattern.

A node's names on the way to it, joined by dots, are its step's id; `walk` finds every node with its path and field.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, JsonValue, model_validator

from shared.cards import AgentCard
from shared.contracts import AgentName, Contract, ForWhom, JsonData

MAX_WIDTH = 1000
"""The most nodes that one pattern may hold."""
MAX_DEPTH = 5
"""How deep patterns may stand in one another; a pattern without nested ones is 1 deep."""
MAX_NODES = 2000
"""The most nodes in a request with everything nested in it."""

_WEEK = 7 * 24 * 3600.0

NodeName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
"""What a node is called within its pattern; the names on the way to it, joined by dots, are its step's id."""


class BudgetLimit(Contract):
    """What a run, with everything nested in it, may use at most: tokens in and out together, and US dollars."""

    tokens: int | None = Field(default=None, ge=1, le=10**12)
    usd: float | None = Field(default=None, gt=0, le=1e9, allow_inf_nan=False)

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.tokens is None and self.usd is None:
            raise ValueError("a budget limits tokens, usd, or both")
        return self


class AgentNode(Contract):
    """One agent in a pattern, when its name alone does not say enough.

    `name` tells apart two nodes of one agent; `request` is given to it instead of the pattern's own. `undo` is the
    agent that takes back what this one did, where the run's request says when.
    """

    agent: AgentName
    name: NodeName | None = None
    request: JsonData = None
    undo: AgentName | None = None


class PatternRequest(ForWhom):
    """What the requests of all patterns have in common.

    `deadline_seconds` counts from the start of the run, and of a nested pattern from its own. `idempotency_key` makes
    asking twice asking once. `tenant` and `session` say whose memory the run's agents use. These three only the
    outermost request may have.
    """

    pattern: str
    name: NodeName | None = Field(default=None, description="What this node is called when it is nested.")
    request: JsonData = Field(
        default=None, description="What is asked: text or JSON. Nested: the parent's, if left out."
    )
    deadline_seconds: float | None = Field(default=None, gt=0, le=_WEEK, allow_inf_nan=False)
    budget: BudgetLimit | None = None
    compensate: Literal["never", "on_cancel", "on_failure", "always"] = Field(
        default="never", description="When the undo agents of finished steps are run, the last finished step first."
    )
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=255)

    default_deadline_seconds: ClassVar[float] = 3600

    def nodes(self) -> tuple["Placed", ...]:
        """Every node that this pattern may ask, in order, each once."""
        raise NotImplementedError

    def planned(self) -> tuple["Placed", ...]:
        """The nodes that it is known from the start to ask; the others appear once they are."""
        return self.nodes()

    @property
    def most_asked(self) -> int:
        """How often one of its nodes may be asked at most."""
        return 1

    def agent_names(self) -> tuple[str, ...]:
        """Every agent that it or what is nested in it may ask, each once."""
        nodes = [placed.node for _, _, placed in walk(self)]
        found = [agent_of(node) for node in nodes]
        found += [node.undo for node in nodes if isinstance(node, AgentNode)]
        return tuple(dict.fromkeys(name for name in found if name is not None))

    def may_ask(self, agents: Mapping[str, AgentCard]) -> tuple[str, ...]:
        """The same, and those of the agents there are that only turn out to be asked while it runs."""
        nested = (placed.node for _, _, placed in walk(self) if isinstance(placed.node, PatternRequest))
        later = (name for request in (self, *nested) for name in request.found_later(agents))
        return tuple(dict.fromkeys([*self.agent_names(), *later]))

    def found_later(self, agents: Mapping[str, AgentCard]) -> tuple[str, ...]:  # noqa: ARG002
        """The agents that this pattern, without those nested in it, may find only while it runs."""
        return ()

    def check_with(self, agents: Mapping[str, AgentCard], path: str) -> tuple[str, str] | None:  # noqa: ARG002
        """What cannot be run with these agents at this path, as (field, reason); unknown nodes are found elsewhere."""
        return None

    @property
    def seconds(self) -> float:
        """The deadline asked for, or the pattern's own."""
        return self.deadline_seconds or self.default_deadline_seconds

    @property
    def seconds_in_all(self) -> float:
        """How long the whole may take; more than the deadline where something is done after it."""
        return self.seconds

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        seen: set[str] = set()
        for placed in self.nodes():
            if placed.name in seen:
                raise ValueError(f"{placed.field}: two nodes are called {placed.name}: give one another name")
            seen.add(placed.name)
        return self

    @model_validator(mode="after")
    def _turns_can_be_told_apart(self) -> Self:
        names = [placed.name for placed in self.nodes()] if self.most_asked > 1 else []
        for placed in self.nodes():
            first, _, number = placed.name.rpartition("-")
            if number.isdigit() and first in names:
                raise ValueError(f"{placed.field}: {placed.name} is how {first} is called when it is asked again")
        return self


type AnyNode = AgentName | AgentNode | PatternRequest
"""A node of a pattern: an agent's name, an agent that its name says too little of, or another pattern."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A node where it stands: the request's field that holds it, such as `agents.0`, and its name in the pattern."""

    field: str
    name: str
    node: AnyNode

    @property
    def agent(self) -> str | None:
        """The agent's name; None for a pattern."""
        return agent_of(self.node)


def in_order(field: str, nodes: Sequence[AnyNode]) -> tuple[Placed, ...]:
    """The nodes of a list, each under its own name or else that of its agent or pattern."""
    return tuple(Placed(f"{field}.{number}", name_of(node), node) for number, node in enumerate(nodes))


def name_of(node: AnyNode) -> str:
    """What a node is called within its pattern."""
    if isinstance(node, str):
        return node
    return node.name or (node.agent if isinstance(node, AgentNode) else node.pattern)


def agent_of(node: AnyNode) -> str | None:
    """The agent that a node asks; None when it is a pattern."""
    if isinstance(node, str):
        return node
    return node.agent if isinstance(node, AgentNode) else None


def own_request(node: AnyNode) -> JsonValue:
    """The request that a node has of its own, in place of its pattern's; None when it has none."""
    return None if isinstance(node, str) else node.request


def without_request(node: AnyNode) -> AnyNode:
    """The same node, given whatever it is asked with."""
    return node if isinstance(node, str) or node.request is None else node.model_copy(update={"request": None})


def again(name: str, before: int) -> str:
    """What a node is called that has been asked `before` times already in the same pattern."""
    return name if before == 0 else f"{name}-{before + 1}"


def path_of(prefix: str, name: str) -> str:
    """The path of a node called `name` in the pattern at `prefix`: its step's id, unique in the run."""
    return f"{prefix}.{name}" if prefix else name


def walk(request: PatternRequest, prefix: str = "", field: str = "") -> Iterable[tuple[str, str, Placed]]:
    """Every node of a request and of those nested in it, as (path, field, node), parents before children.

    The path of a node that may be asked again is that of the last time, which is the longest.
    """
    for placed in request.nodes():
        path, where = path_of(prefix, again(placed.name, request.most_asked - 1)), path_of(field, placed.field)
        yield path, where, placed
        if isinstance(placed.node, PatternRequest):
            yield from walk(placed.node, path, where)
