"""The catalog: every agent there is, checked and frozen before any function is made from it.

To add an agent, write its module and name it here; its queue, its functions and its line in `GET /api/agents` follow.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from pydantic import ValidationError

from agents.academic import ACADEMIC
from agents.aggregator import AGGREGATOR
from agents.analyst import ANALYST
from agents.archiver import ARCHIVER
from agents.content_manager import CONTENT_MANAGER
from agents.editor import EDITOR
from agents.judge import JUDGE
from agents.moderator_context import MODERATOR_CONTEXT
from agents.moderator_harm import MODERATOR_HARM
from agents.moderator_policy import MODERATOR_POLICY
from agents.news import NEWS
from agents.notifier import NOTIFIER
from agents.paper_analyst import PAPER_ANALYST
from agents.planner import PLANNER
from agents.publisher import PUBLISHER
from agents.research import RESEARCH
from agents.research_manager import RESEARCH_MANAGER
from agents.reviewer import REVIEWER
from agents.router import ROUTER
from agents.scraper import SCRAPER
from agents.social import SOCIAL
from agents.spec import AgentSpec
from agents.support_billing import SUPPORT_BILLING
from agents.support_technical import SUPPORT_TECHNICAL
from agents.web import WEB
from agents.writer import WRITER
from shared.cards import AgentCard
from shared.errors import ConfigurationError, NotFound


class Catalog:
    """A read-only set of agents by name. Raises `ConfigurationError` when two share a name, or one is not legal."""

    def __init__(self, agents: Iterable[AgentSpec]) -> None:
        specs: dict[str, AgentSpec] = {}
        for spec in agents:
            if spec.name in specs:
                raise ConfigurationError(f"two agents are called {spec.name}")
            _check_subscriptions(spec)
            specs[spec.name] = spec
        self._specs = specs
        self.cards: Mapping[str, AgentCard] = MappingProxyType({name: _card(spec) for name, spec in specs.items()})

    def __iter__(self) -> Iterator[AgentSpec]:
        return iter(self._specs.values())

    def spec(self, name: str) -> AgentSpec:
        """The agent called `name`. Raises `NotFound`, which lists those there are."""
        if name not in self._specs:
            raise NotFound(f"no agent is called {name!r}; there are {', '.join(self._specs)}")
        return self._specs[name]


def _check_subscriptions(spec: AgentSpec) -> None:
    types = [subscription.type for subscription in spec.subscribes]
    if types and spec.transport != "bus":
        raise ConfigurationError(f"agent {spec.name!r} subscribes to events, so its transport has to be the bus")
    if len(set(types)) != len(types):
        raise ConfigurationError(f"agent {spec.name!r} subscribes twice to one event type")


def _card(spec: AgentSpec) -> AgentCard:
    try:
        return spec.card()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ConfigurationError(f"agent {spec.name!r}: {first['loc'][0]}: {first['msg']}") from None


_CONTENT = (RESEARCH, WRITER, EDITOR, PUBLISHER)
_MODERATION = (MODERATOR_POLICY, MODERATOR_CONTEXT, MODERATOR_HARM, JUDGE)
_SUPPORT = (ROUTER, SUPPORT_BILLING, SUPPORT_TECHNICAL)
_RESEARCH = (WEB, ACADEMIC, NEWS, SOCIAL, AGGREGATOR)
_TEAMS = (PLANNER, RESEARCH_MANAGER, SCRAPER, PAPER_ANALYST, CONTENT_MANAGER)
_REACTING = (ANALYST, NOTIFIER, ARCHIVER)

CATALOG = Catalog([*_CONTENT, REVIEWER, *_MODERATION, *_SUPPORT, *_TEAMS, *_REACTING, *_RESEARCH])
