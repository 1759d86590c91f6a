"""A message on its way from a producer through the broker to a consumer."""

from datetime import UTC, datetime
from typing import Any

import pytest
from proton import Message as StockMessage

from devhost.amqp.messages import encode_delivery, parse
from devhost.broker.model import Delivery, Message, MessageState

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def received(message: Message) -> StockMessage:
    delivery = Delivery(
        message=message,
        sequence_number=1,
        enqueued_sequence_number=1,
        enqueued_time=NOW,
        expires_at=None,
        delivery_count=0,
        state=MessageState.ACTIVE,
        lock_token=None,
        locked_until=None,
        dead_letter_source=None,
        dead_letter_reason=None,
        dead_letter_description=None,
    )
    found = StockMessage()
    found.decode(encode_delivery(delivery))
    return found


@pytest.mark.parametrize("fields", [{}, {"subject": "s", "correlation_id": "c", "reply_to": "r"}])
def test_a_message_sent_without_an_id_is_given_one_that_stays(fields: dict[str, Any]) -> None:
    message = parse(StockMessage(body=b"x", **fields).encode())
    first, second = received(message), received(message)
    assert first.id == second.id == message.message_id
    assert first.id
    assert {name: getattr(first, name) for name in fields} == fields
    assert parse(StockMessage(body=b"x").encode()).message_id != message.message_id


@pytest.mark.parametrize("given", ["mine", ""])
def test_the_id_a_message_was_sent_with_is_left_alone(given: str) -> None:
    message = parse(StockMessage(id=given, body=b"x").encode())
    assert (message.message_id, received(message).id) == (given, given)
