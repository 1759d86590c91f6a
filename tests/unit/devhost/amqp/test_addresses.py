"""What link addresses name."""

import pytest

from devhost.amqp.addresses import Node, NodeKind, parse_address


@pytest.mark.parametrize(
    ("address", "node"),
    [
        ("queue", Node(NodeKind.ENTITY, "queue")),
        ("/Queue", Node(NodeKind.ENTITY, "queue")),
        ("amqps://localhost:5672/Queue", Node(NodeKind.ENTITY, "queue")),
        ("sb://ns.servicebus.windows.net/a/b", Node(NodeKind.ENTITY, "a/b")),
        ("Topic/Subscriptions/Sub", Node(NodeKind.ENTITY, "topic/subscriptions/sub")),
        ("queue/$DeadLetterQueue", Node(NodeKind.ENTITY, "queue/$deadletterqueue")),
        ("queue/$management", Node(NodeKind.MANAGEMENT, "queue")),
        (
            "t/Subscriptions/s/$DeadLetterQueue/$Management",
            Node(NodeKind.MANAGEMENT, "t/subscriptions/s/$deadletterqueue"),
        ),
        ("$cbs", Node(NodeKind.CLAIMS)),
        ("amqp://localhost/$CBS", Node(NodeKind.CLAIMS)),
    ],
)
def test_an_address_names_a_node(address: str, node: Node) -> None:
    assert parse_address(address) == node


@pytest.mark.parametrize("address", [None, "", "/", "amqps://localhost/", "$management", "///"])
def test_an_address_may_name_nothing(address: str | None) -> None:
    assert parse_address(address) is None
