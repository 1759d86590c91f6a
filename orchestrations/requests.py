"""What can be asked of the patterns: one public request type each, and each may stand inside any other.

A request is JSON with a `pattern`, and nodes to ask. A node is an agent's name (`"web"`), an agent with a name or a
request of its own (`{"agent": "writer", "name": "second-draft"}`), or another pattern's request (`{"pattern":
"parallel", "agents": ["web", "news"]}`). A nested request without a `request` of its own works on what its parent
was given and what came before it.

To add a pattern: add its request here, and to `Node` and `AnyRequest`; then see `orchestrations.registry`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Discriminator, Field, JsonValue, Tag, ValidationInfo, field_validator, model_validator

from orchestrations.event_terms import EventTerms
from orchestrations.passes import PassRules
from orchestrations.presets import MODERATION, SUPPORT, filled_in
from orchestrations.requirements import AtLeast, First, Requirement
from orchestrations.team_terms import MAX_TEAM, TeamTerms, check_team
from orchestrations.voting_rules import MAX_VOTERS, AskJudge, NoDecision, TieRule, Vote, VoteTerms
from shared.contracts import AgentCard, AgentName, Contract, JsonData

MAX_WIDTH = 1000
"""The most nodes that one pattern may hold."""
MAX_DEPTH = 5
"""How deep patterns may stand in one another; a pattern without nested ones is 1 deep."""
MAX_NODES = 2000
"""The most nodes in a request with everything nested in it."""

MERGE_SECONDS = 900.0
"""How long an aggregator may take after the answers are in."""

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

    `name` tells apart two nodes of one agent; `request` is given to it instead of the pattern's own.
    """

    agent: AgentName
    name: NodeName | None = None
    request: JsonData = None


class PatternRequest(Contract):
    """What the requests of all patterns have in common.

    `deadline_seconds` counts from the start of the run, and of a nested pattern from its own. `idempotency_key` makes
    asking twice asking once; only the outermost request may have one.
    """

    pattern: str
    name: NodeName | None = Field(default=None, description="What this node is called when it is nested.")
    request: JsonData = Field(
        default=None, description="What is asked: text or JSON. Nested: the parent's, if left out."
    )
    deadline_seconds: float | None = Field(default=None, gt=0, le=_WEEK, allow_inf_nan=False)
    budget: BudgetLimit | None = None
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=255)

    default_deadline_seconds: ClassVar[float] = 3600

    def nodes(self) -> tuple["Placed", ...]:
        """Every node that this pattern may ask, in order, each once."""
        raise NotImplementedError

    def planned(self) -> tuple["Placed", ...]:
        """The nodes that it is known from the start to ask; the others appear once they are."""
        return self.nodes()

    def agent_names(self) -> tuple[str, ...]:
        """Every agent that it or what is nested in it may ask, each once."""
        found = (agent_of(placed.node) for _, _, placed in walk(self))
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


class SequentialRequest(PatternRequest):
    """Agents one after another, each given the request and what the earlier ones made."""

    pattern: Literal["sequential"] = "sequential"
    agents: Annotated[tuple["Node", ...], Field(min_length=1, max_length=MAX_WIDTH)]

    def nodes(self) -> tuple["Placed", ...]:
        """The steps, in their order."""
        return in_order("agents", self.agents)


class ParallelRequest(PatternRequest):
    """Many agents at once, or one over many inputs, and perhaps an aggregator that merges their answers.

    Give `agents`, or one `agent` with `inputs`, each of which it is given as `{"request": ..., "input": ...}` (or alone
    when there is no request). `width` is how many may work at once. `deadline_seconds` is how long their answers are
    waited for; an aggregator has up to 15 minutes after that.
    """

    pattern: Literal["parallel"] = "parallel"
    agents: Annotated[tuple["Node", ...], Field(max_length=MAX_WIDTH)] = ()
    agent: AgentName | None = None
    inputs: Annotated[tuple[JsonData, ...], Field(max_length=MAX_WIDTH)] = ()
    require: Requirement = "all"
    width: int | None = Field(default=None, ge=1, le=MAX_WIDTH)
    aggregator: "Node | None" = None

    default_deadline_seconds: ClassVar[float] = 30

    def branches(self) -> tuple["Placed", ...]:
        """The nodes that are asked at once."""
        if self.agent is None:
            return in_order("agents", self.agents)
        return tuple(
            Placed(
                f"inputs.{place}", f"{self.agent}-{place + 1}", AgentNode(agent=self.agent, request=self._task(item))
            )
            for place, item in enumerate(self.inputs)
        )

    def merger(self) -> "Placed | None":
        """The aggregator, if there is one."""
        return None if self.aggregator is None else Placed("aggregator", name_of(self.aggregator), self.aggregator)

    def nodes(self) -> tuple["Placed", ...]:
        """Everyone at once, then the aggregator."""
        merger = self.merger()
        return (*self.branches(), merger) if merger else self.branches()

    @property
    def seconds_in_all(self) -> float:
        """The time for the answers, and for merging them."""
        return self.seconds + (MERGE_SECONDS if self.aggregator is not None else 0)

    def _task(self, item: JsonData) -> JsonData:
        return item if self.request is None else {"request": self.request, "input": item}

    @model_validator(mode="after")
    def _asks_somebody(self) -> Self:
        if (self.agent is None) != (not self.inputs):
            raise ValueError("inputs: one agent goes with inputs, and inputs with one agent")
        if (self.agent is None) == (not self.agents):
            raise ValueError("agents: give agents, or one agent with inputs, and not both")
        asked, needed = len(self.branches()), self.require
        count = needed.at_least if isinstance(needed, AtLeast) else needed.first if isinstance(needed, First) else 1
        if count > asked:
            raise ValueError(f"require: {count} of {asked} cannot answer")
        return self


class ConsensusRequest(VoteTerms, PatternRequest):
    """Voters answer one question, and a rule makes one decision of their ballots.

    `preset` fills in what is left out; "moderation" has three moderators and a judge. `tie` is what happens when no
    option wins: "no_decision", "judge" or "person". `width` is how many voters are asked at once; by default no more
    than could decide the vote. `deadline_seconds` is how long ballots are waited for; a judge or a person has time
    after that.
    """

    pattern: Literal["consensus"] = "consensus"
    preset: Literal["moderation"] | None = None
    voters: Annotated[tuple["Node", ...], Field(min_length=1, max_length=MAX_VOTERS)]
    tie: TieRule = NoDecision()
    width: int | None = Field(default=None, ge=1, le=MAX_VOTERS)

    default_deadline_seconds: ClassVar[float] = 120

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        return filled_in(given, {"moderation": MODERATION})

    def vote(self) -> Vote:
        """The vote apart from who does the work."""
        terms = {name: getattr(self, name) for name in VoteTerms.model_fields if name != "voters"}
        return Vote(voters=tuple(name_of(voter) for voter in self.voters), **terms)

    def nodes(self) -> tuple["Placed", ...]:
        """The voters in the order in which they are asked, then the judge."""
        judge = self.tie.agent if isinstance(self.tie, AskJudge) else None
        return (*self.planned(), Placed("tie.agent", judge, judge)) if judge else self.planned()

    def planned(self) -> tuple["Placed", ...]:
        """The voters; a judge is asked only when nobody wins."""
        return in_order("voters", self.voters)

    @property
    def seconds_in_all(self) -> float:
        """The time for the ballots, and for whoever decides when nobody wins."""
        return self.seconds + (self.tie.deadline_seconds or self.tie.default_deadline_seconds)


class HandoffRequest(PatternRequest):
    """A router takes a conversation and passes it to a specialist, which may pass it on.

    `preset` fills in what is left out; "support" has specialists for billing and for technical matters. `may_pass`
    names, for those who may not pass to everybody, to whom they may.
    """

    pattern: Literal["handoff"] = "handoff"
    preset: Literal["support"] | None = None
    router: "Node" = "router"
    specialists: Annotated[tuple["Node", ...], Field(min_length=1, max_length=50)]
    max_passes: int = Field(default=5, ge=1, le=20)
    may_pass: dict[NodeName, tuple[NodeName, ...]] = Field(default_factory=dict)

    default_deadline_seconds: ClassVar[float] = 900

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        return filled_in(given, {"support": SUPPORT})

    @field_validator("may_pass")
    @classmethod
    def _knows_everybody(cls, may_pass: dict[str, tuple[str, ...]], info: ValidationInfo) -> dict[str, Any]:
        nodes = (info.data.get("router"), *info.data.get("specialists", ()))
        members = {name_of(node) for node in nodes if node is not None}
        named = [*may_pass, *(target for targets in may_pass.values() for target in targets)]
        if unknown := [name for name in named if name not in members]:
            raise ValueError(f"{unknown[0]} is not part of this handoff")
        return may_pass

    def pass_rules(self) -> PassRules:
        """Who may hold the conversation, and who may pass it to whom."""
        return PassRules(tuple(placed.name for placed in self.nodes()), self.max_passes, self.may_pass)

    def nodes(self) -> tuple["Placed", ...]:
        """The router, then the specialists."""
        return (Placed("router", name_of(self.router), self.router), *in_order("specialists", self.specialists))

    def planned(self) -> tuple["Placed", ...]:
        """The router; who comes next is its choice."""
        return self.nodes()[:1]

    @model_validator(mode="after")
    def _turns_can_be_told_apart(self) -> Self:
        return check_turns(self)


class ReviewLoopRequest(PatternRequest):
    """A maker drafts and a checker reviews, until it is satisfied or the rounds run out.

    `unaccepted` says what a draft that was never accepted is worth: "fail", or "keep" for a partial result.
    """

    pattern: Literal["review-loop"] = "review-loop"
    maker: "Node" = "writer"
    checker: "Node" = "reviewer"
    max_rounds: int = Field(default=3, ge=1, le=10)
    unaccepted: Literal["fail", "keep"] = "fail"

    default_deadline_seconds: ClassVar[float] = 1800

    def nodes(self) -> tuple["Placed", ...]:
        """The maker and the checker."""
        return (
            Placed("maker", name_of(self.maker), self.maker),
            Placed("checker", name_of(self.checker), self.checker),
        )

    @model_validator(mode="after")
    def _turns_can_be_told_apart(self) -> Self:
        return check_turns(self)


class HierarchicalRequest(TeamTerms, PatternRequest):
    """A manager hands parts to workers, and reviews and merges what they return; a worker may lead a team of its own.

    Give the `workers`, or a `planner` that chooses them among `agents` (all there are, if left out) within `limits`.
    `needs` says which workers wait for which: `{"editor": ["writer"]}`. A manager may send parts back `rework` times.
    `require` counts the workers whose part is made and accepted. Without a `manager` nothing is reviewed or merged.
    """

    pattern: Literal["hierarchical"] = "hierarchical"
    workers: Annotated[tuple["Node", ...], Field(max_length=MAX_TEAM)] = ()

    def members(self) -> tuple["Placed", ...]:
        """The workers."""
        return in_order("workers", self.workers)

    def nodes(self) -> tuple["Placed", ...]:
        """The planner if there is one, the workers, then the manager. No worker's name can be one of theirs."""
        planner = (Placed("planner", "planner_1", self.planner),) if self.planner else ()
        manager = (Placed("manager", "manager_1", self.manager),) if self.manager else ()
        return (*planner, *self.members(), *manager)

    @model_validator(mode="after")
    def _is_a_team(self) -> Self:
        check_team(self, [placed.name for placed in self.members()])
        return self


class EventDrivenRequest(EventTerms, PatternRequest):
    """Agents react to an event, and to the events that reactions publish, until nothing is in flight any more.

    `event` is the type of the first event, `request` its data; `subject` and `source` go with it. `limits` says how far
    events may lead. `require` is how many reactions have to succeed: an agent that fails holds up no other.
    """

    pattern: Literal["event-driven"] = "event-driven"

    default_deadline_seconds: ClassVar[float] = 600

    def nodes(self) -> tuple["Placed", ...]:
        """None: who reacts follows from what the agents subscribe to."""
        return ()


def _kind(value: Any) -> str | None:
    """Which of the forms of a node a value has."""
    if isinstance(value, str):
        return "name"
    if isinstance(value, dict):
        return "agent" if "agent" in value and "pattern" not in value else value.get("pattern")
    return "agent" if isinstance(value, AgentNode) else getattr(value, "pattern", None)


type Node = Annotated[
    Annotated[AgentName, Tag("name")]
    | Annotated[AgentNode, Tag("agent")]
    | Annotated[SequentialRequest, Tag("sequential")]
    | Annotated[ParallelRequest, Tag("parallel")]
    | Annotated[HierarchicalRequest, Tag("hierarchical")]
    | Annotated[EventDrivenRequest, Tag("event-driven")]
    | Annotated[ConsensusRequest, Tag("consensus")]
    | Annotated[HandoffRequest, Tag("handoff")]
    | Annotated[ReviewLoopRequest, Tag("review-loop")],
    Discriminator(_kind),
]
"""A node of a pattern: an agent, or another pattern."""

type AnyRequest = Annotated[
    Annotated[SequentialRequest, Tag("sequential")]
    | Annotated[ParallelRequest, Tag("parallel")]
    | Annotated[HierarchicalRequest, Tag("hierarchical")]
    | Annotated[EventDrivenRequest, Tag("event-driven")]
    | Annotated[ConsensusRequest, Tag("consensus")]
    | Annotated[HandoffRequest, Tag("handoff")]
    | Annotated[ReviewLoopRequest, Tag("review-loop")],
    Discriminator(_kind),
]
"""A request of any pattern."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A node where it stands: the request's field that holds it, such as `agents.0`, and its name in the pattern."""

    field: str
    name: str
    node: Node

    @property
    def agent(self) -> str | None:
        """The agent's name; None for a pattern."""
        return agent_of(self.node)


def in_order(field: str, nodes: Sequence[Node]) -> tuple[Placed, ...]:
    """The nodes of a list, each under its own name or else that of its agent or pattern."""
    return tuple(Placed(f"{field}.{number}", name_of(node), node) for number, node in enumerate(nodes))


def name_of(node: Node) -> str:
    """What a node is called within its pattern."""
    if isinstance(node, str):
        return node
    return node.name or (node.agent if isinstance(node, AgentNode) else node.pattern)


def agent_of(node: Node) -> str | None:
    """The agent that a node asks; None when it is a pattern."""
    if isinstance(node, str):
        return node
    return node.agent if isinstance(node, AgentNode) else None


def own_request(node: Node) -> JsonValue:
    """The request that a node has of its own, in place of its pattern's; None when it has none."""
    return None if isinstance(node, str) else node.request


def without_request(node: Node) -> Node:
    """The same node, given whatever it is asked with."""
    return node if isinstance(node, str) or node.request is None else node.model_copy(update={"request": None})


def again(name: str, before: int) -> str:
    """What a node is called that has been asked `before` times already in the same pattern."""
    return name if before == 0 else f"{name}-{before + 1}"


def check_turns[R: PatternRequest](request: R) -> R:
    """`request`, unless one of its nodes is called as another will be when it is asked again."""
    names = [placed.name for placed in request.nodes()]
    for placed in request.nodes():
        first, _, number = placed.name.rpartition("-")
        if number.isdigit() and first in names:
            raise ValueError(f"{placed.field}: {placed.name} is how {first} is called when it is asked again")
    return request


def path_of(prefix: str, name: str) -> str:
    """The path of a node called `name` in the pattern at `prefix`: its step's id, unique in the run."""
    return f"{prefix}.{name}" if prefix else name


def walk(request: PatternRequest, prefix: str = "", field: str = "") -> Iterable[tuple[str, str, Placed]]:
    """Every node of a request and of those nested in it, as (path, field, node), parents before children."""
    for placed in request.nodes():
        path, where = path_of(prefix, placed.name), path_of(field, placed.field)
        yield path, where, placed
        if isinstance(placed.node, PatternRequest):
            yield from walk(placed.node, path, where)
