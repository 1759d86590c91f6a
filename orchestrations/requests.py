"""What can be asked of the patterns: one public request type each, and each may stand inside any other.

A request is JSON with a `pattern`, and nodes to ask. A node is an agent's name (`"web"`), an agent with a name or a
request of its own (`{"agent": "writer", "name": "second-draft"}`), or another pattern's request (`{"pattern":
"parallel", "agents": ["web", "news"]}`). A nested request without a `request` of its own works on what its parent
was given and what came before it.

To add a pattern: add its request here, and to `Node` and `AnyRequest`; then see `orchestrations.registry`.
"""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from orchestrations.event_terms import EventTerms
from orchestrations.nodes import MAX_WIDTH, AgentNode, NodeName, PatternRequest, Placed, in_order, name_of
from orchestrations.passes import PassRules
from orchestrations.presets import EDITORIAL, MODERATION, SUPPORT, filled_in
from orchestrations.requirements import Requirement, required
from orchestrations.team_terms import MAX_TEAM, TeamTerms, check_team
from orchestrations.voting_rules import MAX_VOTERS, AskJudge, NoDecision, TieRule, Vote, VoteTerms
from shared.contracts import AgentName, Contract, GivenData, JsonData, TaskId

MERGE_SECONDS = 900.0
"""How long an aggregator may take after the answers are in."""


class ResumeFrom(Contract):
    """An earlier sequence, by its run's id, and the step of it to begin at."""

    run: TaskId
    step: NodeName


class SequentialRequest(PatternRequest):
    """Agents one after another, each given the request and what the earlier ones made.

    With `resume_from` the run begins at a step, with what the steps before it made in an earlier run; `agents` and
    `request` are then that run's, unless given.
    """

    pattern: Literal["sequential"] = "sequential"
    agents: Annotated[tuple["Node", ...], Field(max_length=MAX_WIDTH)] = ()
    resume_from: ResumeFrom | None = None

    def nodes(self) -> tuple["Placed", ...]:
        """The steps, in their order."""
        return in_order("agents", self.agents)

    @model_validator(mode="after")
    def _asks_somebody(self) -> Self:
        if not self.agents and self.resume_from is None:
            raise ValueError("agents: give at least one agent")
        return self


class ParallelRequest(PatternRequest):
    """Many agents at once, or one over many inputs, and perhaps an aggregator that merges their answers.

    Give `agents`, or one `agent` with `inputs`, each of which it is given as `{"request": ..., "input": ...}` (or alone
    when there is no request). `width` is how many may work at once. `deadline_seconds` is how long their answers are
    waited for; an aggregator has up to 15 minutes after that.
    """

    pattern: Literal["parallel"] = "parallel"
    agents: Annotated[tuple["Node", ...], Field(max_length=MAX_WIDTH)] = ()
    agent: AgentName | None = None
    inputs: Annotated[tuple[GivenData, ...], Field(max_length=MAX_WIDTH)] = ()
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
        asked = len(self.branches())
        if (count := required(self.require, asked)) > asked:
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

    @property
    def most_asked(self) -> int:
        """A router may get the conversation back, and be asked once more each time."""
        return self.max_passes + 2

    def planned(self) -> tuple["Placed", ...]:
        """The router; who comes next is its choice."""
        return self.nodes()[:1]


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

    @property
    def most_asked(self) -> int:
        """Once a round."""
        return self.max_rounds


class HierarchicalRequest(TeamTerms, PatternRequest):
    """A manager hands parts to workers, and reviews and merges what they return; a worker may lead a team of its own.

    Give the `workers`, or a `planner` that chooses them among `agents` (all there are, if left out) within `limits`.
    `needs` says which workers wait for which: `{"editor": ["writer"]}`. A manager may send parts back `rework` times.
    `require` counts the workers whose part is made and accepted. Without a `manager` nothing is reviewed or merged.
    `preset` fills in what is left out; "editorial" has a research manager and a content manager with their teams.
    """

    pattern: Literal["hierarchical"] = "hierarchical"
    preset: Literal["editorial"] | None = None
    workers: Annotated[tuple["Node", ...], Field(max_length=MAX_TEAM)] = ()

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        return filled_in(given, {"editorial": EDITORIAL})

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


_NO_NODE = (
    "give an agent's name, an agent with a name or request of its own, or another pattern: sequential, parallel,"
    " hierarchical, event-driven, consensus, handoff or review-loop"
)


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
    Discriminator(_kind, custom_error_type="no_node", custom_error_message=_NO_NODE),
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
