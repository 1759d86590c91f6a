"""What the address of a link names: an entity, an entity's management node, or the claims node.

Clients write addresses as bare paths, with a leading slash, or as whole URLs, and in any case. Source: the Service Bus
AMQP guide (`<entity>`, `<topic>/Subscriptions/<name>`, `<entity>/$DeadLetterQueue`, `<entity>/$management`, `$cbs`).
"""

import re
from dataclasses import dataclass
from enum import Enum

CLAIMS_NODE = "$cbs"
_MANAGEMENT_SUFFIX = "/$management"
_URL_START = re.compile(r"^[a-z][a-z0-9+.-]*://[^/]*", re.IGNORECASE)


class NodeKind(Enum):
    """What is at an address."""

    ENTITY = "entity"
    MANAGEMENT = "management"
    CLAIMS = "claims"


@dataclass(frozen=True, slots=True)
class Node:
    """An address taken apart; `entity` is the broker's path, empty for the claims node."""

    kind: NodeKind
    entity: str = ""


def parse_address(address: str | None) -> Node | None:
    """The node an address names; None when it names nothing."""
    path = _URL_START.sub("", address or "").strip("/")
    lowered = path.lower()
    if lowered == CLAIMS_NODE:
        return Node(NodeKind.CLAIMS)
    if lowered == _MANAGEMENT_SUFFIX[1:] or not path:
        return None
    if lowered.endswith(_MANAGEMENT_SUFFIX):
        return Node(NodeKind.MANAGEMENT, lowered.removesuffix(_MANAGEMENT_SUFFIX))
    return Node(NodeKind.ENTITY, lowered)
