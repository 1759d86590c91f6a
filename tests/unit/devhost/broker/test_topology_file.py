"""Reading topologies: both forms, and a clear word for everything that cannot be used."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devhost.broker.errors import TopologyError
from devhost.broker.topology import (
    CorrelationFilter,
    EntityStatus,
    FalseFilter,
    QueueOptions,
    Rule,
    SqlFilter,
    SubscriptionOptions,
    TopicOptions,
    Topology,
    TrueFilter,
)
from devhost.broker.topology_file import load_topology, parse_topology

LONGEST = "P10675199DT2H48M5.4775807S"


def with_queue(**properties: Any) -> dict[str, Any]:
    return {"queues": [{"name": "q", **properties}]}


def with_rule(**rule: Any) -> dict[str, Any]:
    return {"topics": [{"name": "t", "subscriptions": [{"name": "s", "rules": [{"name": "r", **rule}]}]}]}


def rule_of(document: dict[str, Any]) -> Rule:
    return parse_topology(document).topics[0].subscriptions[0].rules[0]


def test_a_queue_is_read_with_the_resources_names() -> None:
    document = with_queue(
        lockDuration="PT5M",
        maxDeliveryCount=3,
        defaultMessageTimeToLive="P14D",
        deadLetteringOnMessageExpiration=True,
        requiresDuplicateDetection=True,
        duplicateDetectionHistoryTimeWindow="PT30S",
        requiresSession=True,
        maxMessageSizeInKilobytes=1024,
        maxSizeInMegabytes=2048,
        status="SendDisabled",
        enableBatchedOperations=False,
        userMetadata="mine",
    )
    expected = QueueOptions(
        "q",
        timedelta(minutes=5),
        3,
        timedelta(days=14),
        dead_lettering_on_message_expiration=True,
        requires_duplicate_detection=True,
        duplicate_detection_history_time_window=timedelta(seconds=30),
        requires_session=True,
        max_message_size_in_kilobytes=1024,
        max_size_in_megabytes=2048,
        status=EntityStatus.SEND_DISABLED,
        enable_batched_operations=False,
        user_metadata="mine",
    )
    assert parse_topology(document) == Topology((expected,))


def test_what_is_not_said_is_as_the_service_has_it() -> None:
    assert parse_topology({"queues": [{"name": "q"}], "topics": [{"name": "t", "subscriptions": [{"name": "s"}]}]}) == (
        Topology((QueueOptions("q"),), (TopicOptions("t", subscriptions=(SubscriptionOptions("s"),)),))
    )
    assert SubscriptionOptions("s").rules == (Rule("$Default", TrueFilter()),)


def test_the_longest_span_means_never() -> None:
    document = with_queue(defaultMessageTimeToLive=LONGEST, autoDeleteOnIdle=LONGEST)
    assert parse_topology(document).queues[0].default_message_time_to_live is None


def test_rules_of_each_kind_are_read() -> None:
    correlation = {"label": "x", "properties": {"type": "DataReceived", "n": 3, "b": True}}
    assert rule_of(with_rule(filterType="CorrelationFilter", correlationFilter=correlation)).filter == (
        CorrelationFilter(label="x", properties={"type": "DataReceived", "n": 3, "b": True})
    )
    assert rule_of(with_rule(filterType="SqlFilter", sqlFilter={"sqlExpression": "a=1"})).filter == SqlFilter("a=1")
    assert rule_of(with_rule(filterType="FalseFilter")).filter == FalseFilter()
    assert rule_of(with_rule(filterType="TrueFilter", action={"sqlExpression": ""})).filter == TrueFilter()


def test_the_emulators_configuration_is_read_too() -> None:
    document = {
        "UserConfig": {
            "Namespaces": [
                {
                    "Name": "sbemulatorns",
                    "Queues": [
                        {"Name": "q", "Properties": {"LockDuration": "PT1M", "ForwardTo": "", "MaxDeliveryCount": 3}}
                    ],
                    "Topics": [
                        {
                            "Name": "t",
                            "Properties": {"DefaultMessageTimeToLive": "PT1H"},
                            "Subscriptions": [
                                {
                                    "Name": "s",
                                    "Properties": {"RequiresSession": False},
                                    "Rules": [
                                        {
                                            "Name": "r1",
                                            "Properties": {
                                                "FilterType": "Correlation",
                                                "CorrelationFilter": {"Label": "x", "Properties": {"Prop1": "v"}},
                                            },
                                        },
                                        {
                                            "Name": "r2",
                                            "Properties": {
                                                "FilterType": "Sql",
                                                "SqlFilter": {"SqlExpression": "A = 1"},
                                            },
                                        },
                                    ],
                                }
                            ],
                        }
                    ],
                }
            ],
            "Logging": {"Type": "File"},
        }
    }
    rules = (Rule("r1", CorrelationFilter(label="x", properties={"Prop1": "v"})), Rule("r2", SqlFilter("A = 1")))
    topic = TopicOptions("t", timedelta(hours=1), subscriptions=(SubscriptionOptions("s", rules=rules),))
    assert parse_topology(document) == Topology((QueueOptions("q", max_delivery_count=3),), (topic,))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (with_queue(lockDuratoin="PT1M"), "queues[0].lockDuratoin: unknown key"),
        (with_queue(forwardTo="other"), "queues[0]: forwardTo: forwarding is not modelled"),
        (with_queue(forwardDeadLetteredMessagesTo="x"), "forwardDeadLetteredMessagesTo: forwarding is not modelled"),
        (with_queue(autoDeleteOnIdle="PT5M"), "autoDeleteOnIdle: deletion on idle is not modelled"),
        (with_queue(enablePartitioning=True), "enablePartitioning: partitioning is not modelled"),
        (with_queue(enableExpress=True), "enableExpress: express entities is not modelled"),
        (with_queue(lockDuration="5 minutes"), "queues[0].lockDuration: an ISO 8601 duration such as PT5M is needed"),
        (with_queue(lockDuration=300), "queues[0].lockDuration: an ISO 8601 duration"),
        (with_queue(lockDuration="PTx"), "queues[0].lockDuration: "),
        (with_queue(maxDeliveryCount="many"), "queues[0].maxDeliveryCount: "),
        (with_queue(status="Sleeping"), "queues[0].status: "),
        ({"queues": [{}]}, "queues[0].name: Field required"),
        ({"queues": {"name": "q"}}, "queues: "),
        ({"queue": []}, "queue: unknown key"),
        ([], "a topology is a JSON object"),
        (None, "a topology is a JSON object"),
        ({"UserConfig": {}}, "UserConfig.Namespaces: exactly one namespace is needed"),
        ({"UserConfig": []}, "UserConfig.Namespaces: exactly one namespace is needed"),
        (
            {"UserConfig": {"Namespaces": [{"Name": "n", "Queues": [{"Name": "q", "Properties": {"Lock": 1}}]}]}},
            "lock: un",
        ),
        (with_rule(filterType="SqlFilter"), "filterType is SqlFilter, and that filter is missing"),
        (with_rule(filterType="Correlation"), "topics[0].subscriptions[0].rules[0].filterType: "),
        (with_rule(action={"sqlExpression": "SET a = 1"}), "action: a rule's action is not modelled"),
        (with_rule(correlationFilter={"lable": "x"}), "rules[0].correlationFilter.lable: unknown key"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(document: object, message: str) -> None:
    with pytest.raises(TopologyError) as refused:
        parse_topology(document)
    assert message in str(refused.value)


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "topology.json"
    path.write_text(json.dumps({"queues": [{"name": "q", "a": 1}, {"nome": "r"}]}))
    with pytest.raises(TopologyError) as refused:
        load_topology(path)
    for part in (str(path), "queues[0].a: unknown key", "queues[1].name", "queues[1].nome"):
        assert part in str(refused.value)


def test_a_file_that_is_missing_or_no_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match=r"nowhere.json cannot be read: No such file"):
        load_topology(tmp_path / "nowhere.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(TopologyError, match=r"bad.json is not JSON"):
        load_topology(tmp_path / "bad.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe")
    with pytest.raises(TopologyError, match=r"binary.json is not JSON"):
        load_topology(tmp_path / "binary.json")
