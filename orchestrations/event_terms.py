"""What an event-driven run is asked besides what every pattern is, and whether there are agents for it."""

from collections.abc import Mapping

from orchestrations.requirements import AllOrSome, AtLeast
from shared.cards import AgentCard
from shared.contracts import MAX_STEP_ID, Contract, EventType
from shared.events import Attribute, EventLimits, reaction_step_id


class EventTerms(Contract):
    """The first event, how far the events may lead, and how many reactions have to succeed."""

    event: EventType
    subject: Attribute | None = None
    source: Attribute | None = None
    limits: EventLimits = EventLimits()
    require: AllOrSome = AtLeast(at_least=1)

    def found_later(self, agents: Mapping[str, AgentCard]) -> tuple[str, ...]:
        """Whoever subscribes to anything."""
        return tuple(name for name, card in agents.items() if card.subscribes)

    def check_with(self, agents: Mapping[str, AgentCard], path: str) -> tuple[str, str] | None:
        """Somebody has to subscribe to the first event, and the reactions' step ids have to be short enough."""
        types = sorted({each.type for card in agents.values() for each in card.subscribes})
        if self.event not in types:
            return (
                "event",
                f"no agent subscribes to {self.event}; there are subscribers to {', '.join(types) or 'nothing'}",
            )
        prefix = f"{path}.e{self.limits.max_events}" if path else f"e{self.limits.max_events}"
        if max(len(reaction_step_id(prefix, name)) for name in self.found_later(agents)) > MAX_STEP_ID:
            return "name", f"the names on the way to its reactions have over {MAX_STEP_ID} characters"
        return None
