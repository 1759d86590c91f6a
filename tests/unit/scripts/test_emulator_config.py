"""The emulator's configuration says what the topology says, within the emulator's limits."""

from dataclasses import replace
from datetime import timedelta

from devhost.broker.topology import QueueOptions, SubscriptionOptions, TopicOptions
from devhost.broker.topology_file import load_topology, parse_topology
from scripts.emulator_config import emulator_config
from scripts.topology import EMULATOR_FILE, TOPOLOGY_FILE, rendered_for_emulator

HOUR, FIVE_MINUTES = timedelta(hours=1), timedelta(minutes=5)


def shortened[T: (QueueOptions, TopicOptions)](entity: T) -> T:
    window = FIVE_MINUTES if entity.requires_duplicate_detection else entity.duplicate_detection_history_time_window
    return replace(entity, default_message_time_to_live=HOUR, duplicate_detection_history_time_window=window)


def shortened_subscription(subscription: SubscriptionOptions) -> SubscriptionOptions:
    return replace(subscription, default_message_time_to_live=HOUR)


def test_the_file_for_the_emulator_is_the_one_computed_from_the_catalog() -> None:
    assert EMULATOR_FILE.read_text() == rendered_for_emulator(), "run `make topology`"


def test_the_local_broker_reads_both_files_as_the_same_entities_but_for_the_emulators_limits() -> None:
    ours, theirs = load_topology(TOPOLOGY_FILE), load_topology(EMULATOR_FILE)
    assert theirs.queues == tuple(shortened(queue) for queue in ours.queues)
    assert theirs.topics == tuple(
        replace(shortened(topic), subscriptions=tuple(shortened_subscription(each) for each in topic.subscriptions))
        for topic in ours.topics
    )


def test_rules_keep_the_names_of_message_properties_as_they_are() -> None:
    rule = {
        "name": "$Default",
        "filterType": "CorrelationFilter",
        "correlationFilter": {"label": "done", "properties": {"eventType": "DataReceived"}},
    }
    topic = {"name": "events", "subscriptions": [{"name": "analyst", "maxDeliveryCount": 3, "rules": [rule]}]}
    topology = {"queues": [], "topics": [topic]}
    assert parse_topology(emulator_config(topology)) == parse_topology(topology)


def test_the_emulator_takes_no_more_than_fifty_entities() -> None:
    topology = load_topology(EMULATOR_FILE)
    assert len(topology.queues) + len(topology.topics) <= 50
    assert all(len(topic.subscriptions) <= 50 for topic in topology.topics)
