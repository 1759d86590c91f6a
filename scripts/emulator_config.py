"""The configuration of Microsoft's Service Bus emulator, made from the topology in `infra/servicebus.json`'s form.

The emulator takes the same entities under capital letters, with shorter limits: a message lives for an hour at most,
and duplicates are known for five minutes (github.com/Azure/azure-service-bus-emulator-installer, the schema of its
`Config.json`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

NAMESPACE = "sbemulatorns"
LONGEST_LIFE, LONGEST_DUPLICATE_WINDOW = "PT1H", "PT5M"
_SHORTER = {
    "defaultMessageTimeToLive": LONGEST_LIFE,
    "duplicateDetectionHistoryTimeWindow": LONGEST_DUPLICATE_WINDOW,
}
_PARTS = ("name", "subscriptions", "rules")


def emulator_config(topology: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """The document for the emulator's `Config.json`."""
    namespace = {
        "Name": NAMESPACE,
        "Queues": [_entity(queue) for queue in topology["queues"]],
        "Topics": [_topic(topic) for topic in topology["topics"]],
    }
    return {"UserConfig": {"Namespaces": [namespace], "Logging": {"Type": "Console"}}}


def _topic(topic: Mapping[str, Any]) -> dict[str, Any]:
    subscriptions = [
        {**_entity(each), "Rules": [_rule(rule) for rule in each.get("rules", ())]} for each in topic["subscriptions"]
    ]
    return {**_entity(topic), "Subscriptions": subscriptions}


def _entity(entity: Mapping[str, Any]) -> dict[str, Any]:
    properties = {_capital(key): _SHORTER.get(key, value) for key, value in entity.items() if key not in _PARTS}
    return {"Name": entity["name"], "Properties": properties}


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    kind = rule["filterType"]
    fields = {_capital(key): value for key, value in rule[kind[:1].lower() + kind[1:]].items()}
    return {"Name": rule["name"], "Properties": {"FilterType": kind.removesuffix("Filter"), kind: fields}}


def _capital(key: str) -> str:
    return key[:1].upper() + key[1:]
