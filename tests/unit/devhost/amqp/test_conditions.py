"""What clients are told of errors."""

import re

from devhost.amqp.conditions import AmqpError, description_of
from devhost.broker.errors import EntityNotFound, MessageLockLost


def test_a_missing_entity_is_described_in_the_words_that_clients_look_for() -> None:
    text = description_of(EntityNotFound("there is no queue 'q'"))
    assert re.match(r"The messaging entity .* could not be found", text)
    assert "'q'" in text


def test_other_errors_are_described_by_their_text_or_else_their_name() -> None:
    assert description_of(AmqpError("amqp:not-allowed", "not that")) == "not that"
    assert description_of(MessageLockLost()) == "MessageLockLost"
