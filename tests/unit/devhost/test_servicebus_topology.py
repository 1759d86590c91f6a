import json
import logging
from pathlib import Path
from typing import Any

import pytest

from devhost.broker.topology import QueueOptions, SubscriptionOptions, TopicOptions, Topology
from devhost.errors import StartError
from devhost.servicebus_topology import FILE, topology_for, wants
from devhost.worker.model import FunctionMetadata
from tests.support.functions import binding, function

SETTINGS = {
    "Bus": "Endpoint=sb://localhost;SharedAccessKeyName=R;SharedAccessKey=k;UseDevelopmentEmulator=true",
    "QUEUE": "from-setting",
}


def receiver(name: str, **properties: Any) -> FunctionMetadata:
    return function(name, binding("serviceBusTrigger", "m", connection="Bus", **properties))


def sender(name: str, **properties: Any) -> FunctionMetadata:
    output = binding("serviceBus", "out", is_output=True, connection="Bus", **properties)
    return function(name, binding("httpTrigger", "req"), output)


def needed(*functions: FunctionMetadata, app_dir: Path, chosen: Path | None = None) -> Topology:
    return topology_for(wants(functions, SETTINGS), app_dir, chosen)


def test_without_a_file_the_entities_are_exactly_those_the_bindings_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    topology = needed(
        receiver("a", queueName="%QUEUE%"),
        receiver("b", queueName="tasks/$deadletterqueue"),
        receiver("c", queueName="ordered", isSessionsEnabled=True),
        receiver("d", queueName="ORDERED"),
        receiver("e", topicName="events", subscriptionName="one"),
        receiver("f", topicName="Events", subscriptionName="two/$deadletterqueue"),
        sender("g", queueName="tasks"),
        sender("h", topicName="lonely"),
        function("i", binding("timerTrigger", "t")),
        app_dir=tmp_path,
    )
    assert topology == Topology(
        queues=(QueueOptions("from-setting"), QueueOptions("tasks"), QueueOptions("ordered", requires_session=True)),
        topics=(
            TopicOptions("events", subscriptions=(SubscriptionOptions("one"), SubscriptionOptions("two"))),
            TopicOptions("lonely"),
        ),
    )
    assert "made from the app's bindings" in caplog.text
    assert "from-setting" in caplog.text


def write(path: Path, **content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_the_apps_own_file_is_used_when_there_is_one(tmp_path: Path) -> None:
    write(tmp_path / FILE, queues=[{"name": "mine", "maxDeliveryCount": 2}])
    assert needed(receiver("a", queueName="mine"), app_dir=tmp_path).queues[0].max_delivery_count == 2


def test_a_chosen_file_comes_before_the_apps_own(tmp_path: Path) -> None:
    write(tmp_path / FILE, queues=[{"name": "mine"}])
    chosen = write(tmp_path / "other.json", queues=[{"name": "other"}])
    assert [queue.name for queue in needed(app_dir=tmp_path, chosen=chosen).queues] == ["other"]


def test_each_entity_the_file_lacks_is_named_with_its_function(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(
        tmp_path / FILE, queues=[{"name": "Mine"}], topics=[{"name": "events", "subscriptions": [{"name": "one"}]}]
    )
    needed(
        receiver("fine", queueName="mine/$deadletterqueue"),
        receiver("well", topicName="EVENTS", subscriptionName="ONE"),
        sender("good", topicName="events"),
        receiver("no_queue", queueName="absent"),
        receiver("no_subscription", topicName="events", subscriptionName="two"),
        sender("no_topic", topicName="elsewhere"),
        app_dir=tmp_path,
    )
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        f"function 'no_queue' uses absent, WHICH {path} DOES NOT CONTAIN: it will not work",
        f"function 'no_subscription' uses events/two, WHICH {path} DOES NOT CONTAIN: it will not work",
        f"function 'no_topic' sends to elsewhere, WHICH {path} DOES NOT CONTAIN: it will not work",
    ]


def test_a_chosen_file_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="does not exist"):
        needed(app_dir=tmp_path, chosen=tmp_path / "no.json")


def test_a_malformed_file_is_refused_with_its_key(tmp_path: Path) -> None:
    write(tmp_path / FILE, queues=[{"name": "q", "lockDurations": "PT1M"}])
    with pytest.raises(StartError, match="lockDurations"):
        needed(app_dir=tmp_path)


def test_a_missing_connection_is_named_with_the_output_that_uses_it() -> None:
    output = binding("serviceBus", "out", is_output=True, connection="Absent", queueName="q")
    with pytest.raises(StartError, match=r"function 'f', output 'out'.*Absent"):
        wants([function("f", binding("httpTrigger", "req"), output)], SETTINGS)
