"""The causal tree of an event-driven run: what was published, who reacts to it, and what was cut and why. All pure.

Loops are cut when an event or a reaction is entered here, which is before anything is sent and any model is called:
an event too many hops from the first, or one more than the run may publish, is not published; an agent that has
already reacted to an event of that type on the way from the first event does not react again, unless its subscription
allows it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from shared.cards import AgentCard
from shared.contracts import EventDraft
from shared.events import EventLimits, reaction_step_id


class CutReason(StrEnum):
    """Why something was cut."""

    REPEAT = "repeat"  #: the agent has reacted to an event of this type on the way here
    HOPS = "hops"  #: the event would be too many hops from the first
    EVENTS = "events"  #: the run has published as many events as it may


@dataclass(frozen=True, slots=True)
class Published:
    """An event of the run. `path` is every (agent, event type) that led to it, `by` the reaction that published it."""

    id: str
    draft: EventDraft
    hop: int = 0
    cause: str | None = None
    by: str | None = None
    path: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Reaction:
    """An agent's reaction to an event; `name` is unique in the run."""

    name: str
    agent: str
    event: Published


@dataclass(frozen=True, slots=True)
class Cut:
    """What was not published, or who was not asked to react (`agent`), and why. `event` is the last event before it."""

    reason: CutReason
    type: str
    event: str
    agent: str

    def __str__(self) -> str:
        if self.reason is CutReason.REPEAT:
            return f"{self.agent} has already reacted to {self.type} on the way to {self.event}"
        wanted = f"{self.agent} wanted {self.type} published after {self.event}"
        if self.reason is CutReason.HOPS:
            return f"{wanted}, too many hops from the first event"
        return f"{wanted}, one event more than the run may have"


@dataclass
class CausalTree:
    """The tree as it grows. `subscribers` are the agents that react to each event type, frozen when the run began."""

    subscribers: Mapping[str, tuple[AgentCard, ...]]
    limits: EventLimits
    events: list[Published] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)

    def begin(self, draft: EventDraft) -> Published:
        """Enter the run's first event."""
        first = Published(_event_id(1), draft)
        self.events.append(first)
        return first

    def publish(self, reaction: Reaction, drafts: Iterable[EventDraft]) -> tuple[Published, ...]:
        """Enter the events that a reaction wants published; those that are to be published are returned."""
        return tuple(event for draft in drafts if (event := self._enter(reaction, draft)) is not None)

    def react(self, event: Published) -> tuple[Reaction, ...]:
        """Enter the reactions to an event; those that are to be asked for are returned, in the order of the agents."""
        asked = []
        for card in self.subscribers.get(event.draft.type, ()):
            if (card.name, event.draft.type) in event.path and not _may_repeat(card, event.draft.type):
                self.cuts.append(Cut(CutReason.REPEAT, event.draft.type, event.id, card.name))
            else:
                asked.append(Reaction(reaction_step_id(event.id, card.name), card.name, event))
        self.reactions += asked
        return tuple(asked)

    @property
    def truncated(self) -> bool:
        """Whether a limit kept something from happening. The end of a cycle is no limit: it is what cycles are for."""
        return any(cut.reason is not CutReason.REPEAT for cut in self.cuts)

    def _enter(self, reaction: Reaction, draft: EventDraft) -> Published | None:
        before = reaction.event
        reason = None
        if before.hop + 1 > self.limits.max_hops:
            reason = CutReason.HOPS
        elif len(self.events) >= self.limits.max_events:
            reason = CutReason.EVENTS
        if reason is not None:
            self.cuts.append(Cut(reason, draft.type, before.id, reaction.agent))
            return None
        event = Published(
            id=_event_id(len(self.events) + 1),
            draft=draft,
            hop=before.hop + 1,
            cause=before.id,
            by=reaction.name,
            path=(*before.path, (reaction.agent, before.draft.type)),
        )
        self.events.append(event)
        return event


def subscribers_of(agents: Iterable[AgentCard]) -> dict[str, tuple[AgentCard, ...]]:
    """The agents that react to each event type, in order of name."""
    found: dict[str, tuple[AgentCard, ...]] = {}
    for card in sorted(agents, key=lambda card: card.name):
        for subscription in card.subscribes:
            found[subscription.type] = (*found.get(subscription.type, ()), card)
    return found


def _may_repeat(card: AgentCard, event_type: str) -> bool:
    return any(each.type == event_type and each.may_repeat for each in card.subscribes)


def _event_id(number: int) -> str:
    return f"e{number}"
