"""The Service Bus entities that the catalog needs, as the one document that everything else reads.

`infra/servicebus.json` is this, written by `make topology`; Bicep, the emulator's configuration and the local broker
read it there. Keys are those of the Bicep resources' properties.
"""

from typing import Any

from agents.catalog import Catalog

QUEUE_OPTIONS: dict[str, Any] = {
    "lockDuration": "PT5M",
    "maxDeliveryCount": 3,
    "defaultMessageTimeToLive": "P14D",
    "deadLetteringOnMessageExpiration": True,
    "requiresDuplicateDetection": True,
    "duplicateDetectionHistoryTimeWindow": "PT10M",
    "requiresSession": False,
}


def service_bus_topology(catalog: Catalog) -> dict[str, Any]:
    """The queues of the agents in `catalog`, sorted by name; no topics yet."""
    queues = sorted(card.queue for card in catalog.cards.values() if card.queue is not None)
    return {"queues": [{"name": queue, **QUEUE_OPTIONS} for queue in queues], "topics": []}
