"""The Service Bus entities that the catalog needs, as the one document that everything else reads.

`infra/servicebus.json` is this, written by `make topology`; Bicep, the emulator's configuration and the local broker
read it there. Keys are those of the Bicep resources' properties.
"""

from typing import Any

from agents.catalog import Catalog
from shared import names

QUEUE_OPTIONS: dict[str, Any] = {
    "lockDuration": "PT5M",
    "maxDeliveryCount": names.MAX_DELIVERIES,
    "defaultMessageTimeToLive": "P14D",
    "deadLetteringOnMessageExpiration": True,
    "requiresDuplicateDetection": True,
    "duplicateDetectionHistoryTimeWindow": "PT10M",
    "requiresSession": False,
}


SUBSCRIPTION_OPTIONS: dict[str, Any] = {
    "lockDuration": "PT5M",
    "maxDeliveryCount": names.MAX_DELIVERIES,
    "defaultMessageTimeToLive": "P14D",
    "deadLetteringOnMessageExpiration": True,
    "deadLetteringOnFilterEvaluationExceptions": True,
    "requiresSession": False,
}

TOPIC_OPTIONS: dict[str, Any] = {
    "defaultMessageTimeToLive": "P14D",
    "requiresDuplicateDetection": True,
    "duplicateDetectionHistoryTimeWindow": "PT10M",
}

# A subscription starts with a rule of this name that chooses everything, unless it is said what the rule is.
_FIRST_RULE = "$Default"


def service_bus_topology(catalog: Catalog) -> dict[str, Any]:
    """The queues of the agents in `catalog` and the start queue, and the topic with its subscriptions; by name."""
    queues = sorted([names.START_QUEUE, *(card.queue for card in catalog.cards.values() if card.queue is not None)])
    reacting = sorted((card for card in catalog.cards.values() if card.subscribes), key=lambda card: card.name)
    subscriptions = [_subscription(card.name, [_rule_of(each.type) for each in card.subscribes]) for card in reacting]
    subscriptions.append(_subscription(names.OUTSIDE_EVENTS, [_outside_rule()]))
    topic = {"name": names.EVENTS_TOPIC, **TOPIC_OPTIONS, "subscriptions": subscriptions}
    return {"queues": [{"name": queue, **QUEUE_OPTIONS} for queue in queues], "topics": [topic]}


def _subscription(name: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    named = [
        {"name": _FIRST_RULE if number == 1 else f"type-{number}", **rule} for number, rule in enumerate(rules, start=1)
    ]
    return {"name": name, **SUBSCRIPTION_OPTIONS, "rules": named}


def _rule_of(event_type: str) -> dict[str, Any]:
    return {
        "filterType": "CorrelationFilter",
        "correlationFilter": {"label": event_type, "to": names.EVENTS_TO_AGENTS},
    }


def _outside_rule() -> dict[str, Any]:
    """Everything that no agent's rule may choose, so that no event goes unnoticed."""
    expression = f"sys.To IS NULL OR sys.To <> '{names.EVENTS_TO_AGENTS}'"
    return {"filterType": "SqlFilter", "sqlFilter": {"sqlExpression": expression}}
