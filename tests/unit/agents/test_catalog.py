"""The catalog, an agent's limits, and the topology that follows from them."""

from datetime import timedelta
from typing import Any

import pytest

from agents.catalog import CATALOG, Catalog
from agents.topology import QUEUE_OPTIONS, service_bus_topology
from devhost.broker.topology import CorrelationFilter
from devhost.broker.topology_file import parse_topology
from shared.cards import EventSubscription
from shared.errors import ConfigurationError, NotFound
from shared.retry import RetryPolicy
from tests.support.app_world import an_agent


def test_the_content_pipelines_agents_are_there_in_order() -> None:
    pipeline = ["research", "writer", "editor", "publisher"]
    assert [spec.name for spec in CATALOG][:4] == pipeline
    assert list(CATALOG.cards) == [spec.name for spec in CATALOG]
    assert [CATALOG.cards[name].uses_model for name in pipeline] == [True, True, True, False]


def test_two_agents_of_one_name_are_refused_at_start() -> None:
    with pytest.raises(ConfigurationError, match="two agents are called twin"):
        Catalog([an_agent(name="twin"), an_agent(name="twin")])


@pytest.mark.parametrize("name", ["", "Upper", "under_score", "1st", "with space", "x" * 41, "a/b"])
def test_a_name_that_no_queue_or_function_could_bear_is_refused_at_start(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"agent .*: name: "):
        Catalog([an_agent(name=name)])


def test_a_time_limit_of_nothing_is_refused_at_start() -> None:
    with pytest.raises(ConfigurationError, match="timeout_seconds"):
        Catalog([an_agent(timeout=timedelta(0))])


def test_an_unknown_agent_is_not_found_and_the_known_are_named() -> None:
    with pytest.raises(NotFound, match="no agent is called 'ghost'; there are research, writer, editor, publisher"):
        CATALOG.spec("ghost")


def test_the_cards_cannot_be_changed() -> None:
    cards: Any = CATALOG.cards
    with pytest.raises(TypeError):
        cards["ghost"] = None


def test_a_card_says_where_an_agent_is_and_how_long_it_may_take() -> None:
    card = an_agent(name="fact-checker", timeout=timedelta(seconds=60)).card()
    assert (card.name, card.transport, card.queue) == ("fact-checker", "bus", "fact-checker-tasks")
    assert card.timeout_seconds == 60


def test_an_agent_called_as_an_activity_has_no_queue() -> None:
    assert an_agent(transport="activity").card().queue is None


def test_a_steps_time_covers_every_attempt_the_waits_between_and_a_wait_in_the_queue() -> None:
    policy = RetryPolicy(delays=(timedelta(seconds=5), timedelta(seconds=10)))
    spec = an_agent(timeout=timedelta(seconds=100), retry=policy)
    assert spec.step_timeout == timedelta(seconds=3 * 100 + 15) + timedelta(minutes=5)


def test_the_topology_has_a_queue_for_each_agent_on_the_bus_in_order_of_name() -> None:
    catalog = Catalog([an_agent(name="zeta"), an_agent(name="alpha"), an_agent(name="direct", transport="activity")])
    topology = service_bus_topology(catalog)
    assert [queue["name"] for queue in topology["queues"]] == ["alpha-tasks", "workflow-starts", "zeta-tasks"]


def on(*types: str) -> tuple[EventSubscription, ...]:
    """Subscriptions to these event types."""
    return tuple(EventSubscription(type=each) for each in types)


def test_the_topic_has_a_subscription_for_each_agent_that_reacts_with_a_rule_for_each_type() -> None:
    catalog = Catalog(
        [
            an_agent(name="notifier", subscribes=on("DataReceived", "Done")),
            an_agent(name="analyst", subscribes=on("Done")),
            an_agent(name="quiet"),
        ]
    )
    [topic] = parse_topology(service_bus_topology(catalog)).topics
    chosen = {each.name: [rule.filter for rule in each.rules] for each in topic.subscriptions}
    assert topic.name == "agent-events"
    assert list(chosen) == ["analyst", "notifier", "outside.events"]
    assert chosen["analyst"] == [CorrelationFilter(label="Done", to="agents")]
    assert chosen["notifier"] == [CorrelationFilter(label=each, to="agents") for each in ("DataReceived", "Done")]


def test_the_first_rule_of_every_subscription_replaces_the_one_that_chooses_everything() -> None:
    catalog = Catalog([an_agent(name="notifier", subscribes=on("DataReceived", "Done"))])
    [topic] = parse_topology(service_bus_topology(catalog)).topics
    assert [[rule.name for rule in each.rules] for each in topic.subscriptions] == [
        ["$Default", "type-2"],
        ["$Default"],
    ]


def test_an_agent_without_a_queue_cannot_subscribe() -> None:
    with pytest.raises(ConfigurationError, match="'direct' subscribes to events, so its transport has to be the bus"):
        Catalog([an_agent(name="direct", transport="activity", subscribes=on("Done"))])


def test_two_subscriptions_to_one_type_are_refused_at_start() -> None:
    with pytest.raises(ConfigurationError, match="subscribes twice"):
        Catalog([an_agent(subscribes=on("Done", "Done"))])


@pytest.mark.parametrize("kind", ["", "1st", "with space", "x" * 101])
def test_an_event_type_that_no_event_could_have_is_refused_at_start(kind: str) -> None:
    with pytest.raises(ConfigurationError, match="publishes"):
        Catalog([an_agent(publishes=(kind,))])


def test_every_queue_knows_repeated_messages_and_keeps_its_dead() -> None:
    assert QUEUE_OPTIONS["requiresDuplicateDetection"] is True
    assert QUEUE_OPTIONS["deadLetteringOnMessageExpiration"] is True
    assert (QUEUE_OPTIONS["lockDuration"], QUEUE_OPTIONS["maxDeliveryCount"]) == ("PT5M", 3)


def test_the_longest_wait_before_a_copy_lies_within_the_duplicate_detection_window() -> None:
    """Otherwise a repeated send of the same attempt would be taken for a new one."""
    assert QUEUE_OPTIONS["duplicateDetectionHistoryTimeWindow"] == "PT10M"
    assert all(spec.retry.longest < timedelta(minutes=10) for spec in CATALOG)
