"""The causal tree: who is asked to react, what is cut before anything is paid for, and that every tree ends."""

import random

import pytest

from orchestrations.causality import CausalTree, Cut, CutReason, Published, Reaction, subscribers_of
from shared.cards import AgentCard, EventSubscription
from shared.contracts import EventDraft
from shared.events import EventLimits
from tests.support.documents import a_card


def on(name: str, *types: str, may_repeat: bool = False) -> AgentCard:
    """An agent that reacts to these event types."""
    return a_card(name, subscribes=[EventSubscription(type=each, may_repeat=may_repeat) for each in types])


def a_tree(*agents: AgentCard, **limits: int) -> CausalTree:
    return CausalTree(subscribers_of(agents), EventLimits(**limits))


def draft(event_type: str) -> EventDraft:
    return EventDraft(type=event_type)


def names(reactions: tuple[Reaction, ...]) -> list[str]:
    return [reaction.name for reaction in reactions]


def grown(tree: CausalTree, first: str, publishes: dict[str, list[str]]) -> CausalTree:
    """The tree once every agent has reacted; `publishes` are the event types that each agent always publishes."""
    waiting = list(tree.react(tree.begin(draft(first))))
    while waiting:
        reaction = waiting.pop(0)
        for event in tree.publish(reaction, map(draft, publishes.get(reaction.agent, []))):
            waiting += tree.react(event)
    return tree


READY_MADE = (
    on("archiver", "DataReceived"),
    on("notifier", "DataReceived", "AnalysisCompleted"),
    on("analyst", "DataReceived"),
)


def test_an_event_reaches_each_agent_that_subscribes_once_in_order_of_name() -> None:
    tree = a_tree(*READY_MADE)
    assert names(tree.react(tree.begin(draft("DataReceived")))) == ["e1.analyst", "e1.archiver", "e1.notifier"]


def test_an_event_says_what_caused_it_and_how_many_hops_it_is_from_the_first() -> None:
    tree = a_tree(*READY_MADE)
    analyst, *_ = tree.react(tree.begin(draft("DataReceived")))
    [event] = tree.publish(analyst, [draft("AnalysisCompleted")])
    assert (event.id, event.hop, event.cause, event.by) == ("e2", 1, "e1", "e1.analyst")
    assert names(tree.react(event)) == ["e2.notifier"]
    assert not tree.cuts


def test_an_event_that_nobody_subscribes_to_is_published_all_the_same() -> None:
    tree = a_tree(on("analyst", "DataReceived"))
    [analyst] = tree.react(tree.begin(draft("DataReceived")))
    [event] = tree.publish(analyst, [draft("Unheard")])
    assert tree.react(event) == ()
    assert [each.id for each in tree.events] == ["e1", "e2"]


# -- loops ------------------------------------------------------------------------------------------------------


def test_an_agent_that_causes_its_own_cause_reacts_once() -> None:
    tree = grown(a_tree(on("echo", "Said")), "Said", {"echo": ["Said"]})
    assert [reaction.name for reaction in tree.reactions] == ["e1.echo"]
    assert tree.cuts == [Cut(CutReason.REPEAT, "Said", "e2", "echo")]
    assert str(tree.cuts[0]) == "echo has already reacted to Said on the way to e2"
    assert not tree.truncated


def test_two_agents_that_answer_each_other_each_react_once() -> None:
    tree = grown(a_tree(on("ping", "Pong"), on("pong", "Ping")), "Ping", {"ping": ["Ping"], "pong": ["Pong"]})
    assert [reaction.agent for reaction in tree.reactions] == ["pong", "ping"]
    assert [(cut.reason, cut.agent) for cut in tree.cuts] == [(CutReason.REPEAT, "pong")]


def test_an_agent_may_react_to_one_type_on_two_branches() -> None:
    """Only what is on its own causal path is a repetition."""
    agents = (on("left", "Start"), on("right", "Start"), on("sink", "Side"))
    tree = grown(a_tree(*agents), "Start", {"left": ["Side"], "right": ["Side"]})
    assert [reaction.name for reaction in tree.reactions if reaction.agent == "sink"] == ["e2.sink", "e3.sink"]
    assert not tree.cuts


def test_an_agent_may_react_to_two_types_on_one_path() -> None:
    tree = grown(a_tree(on("both", "First", "Second")), "First", {"both": ["Second"]})
    assert [reaction.name for reaction in tree.reactions] == ["e1.both", "e2.both"]


def test_an_agent_whose_spec_allows_it_goes_on_until_the_hops_are_used_up() -> None:
    tree = grown(a_tree(on("echo", "Said", may_repeat=True), max_hops=3), "Said", {"echo": ["Said"]})
    assert [event.hop for event in tree.events] == [0, 1, 2, 3]
    assert [(cut.reason, cut.event) for cut in tree.cuts] == [(CutReason.HOPS, "e4")]
    assert tree.truncated


def test_a_run_without_hops_publishes_only_its_first_event() -> None:
    tree = grown(a_tree(*READY_MADE, max_hops=0), "DataReceived", {"analyst": ["AnalysisCompleted"]})
    assert [event.id for event in tree.events] == ["e1"]
    assert [cut.reason for cut in tree.cuts] == [CutReason.HOPS]


def test_a_run_publishes_no_more_events_than_it_may() -> None:
    tree = grown(
        a_tree(on("echo", "Said", may_repeat=True), max_hops=32, max_events=4), "Said", {"echo": ["Said", "Said"]}
    )
    assert len(tree.events) == 4
    assert {cut.reason for cut in tree.cuts} == {CutReason.EVENTS}
    assert tree.truncated


@pytest.mark.parametrize("seed", range(40))
def test_whatever_the_agents_publish_the_tree_ends_within_its_limits(seed: int) -> None:
    """Random agents over few types, many of which may repeat: the worst that a catalog can hold."""
    chance = random.Random(seed)
    types = [f"T{number}" for number in range(4)]
    agents = [
        on(f"a{number}", *chance.sample(types, chance.randint(1, 3)), may_repeat=chance.random() < 0.5)
        for number in range(5)
    ]
    publishes = {agent.name: chance.choices(types, k=chance.randint(0, 3)) for agent in agents}
    tree = grown(a_tree(*agents, max_hops=6, max_events=60), chance.choice(types), publishes)
    by_id = {event.id: event for event in tree.events}
    assert len(tree.events) <= 60
    assert len({reaction.name for reaction in tree.reactions}) == len(tree.reactions)
    for event in tree.events:
        assert event.hop == len(causes(event, by_id)) <= 6
    for reaction in tree.reactions:
        earlier = [by for by in tree.reactions if by.name in [each.by for each in lineage(reaction.event, by_id)]]
        repeats = [by for by in earlier if (by.agent, by.event.draft.type) == key(reaction)]
        allowed = any(each.may_repeat for agent in agents if agent.name == reaction.agent for each in agent.subscribes)
        assert allowed or not repeats


def key(reaction: Reaction) -> tuple[str, str]:
    return reaction.agent, reaction.event.draft.type


def lineage(event: Published, by_id: dict[str, Published]) -> list[Published]:
    """The event and all that caused it, last first."""
    return [event, *causes(event, by_id)]


def causes(event: Published, by_id: dict[str, Published]) -> list[Published]:
    found = []
    while event.cause is not None:
        event = by_id[event.cause]
        found.append(event)
    return found
