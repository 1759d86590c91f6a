"""What is written into the file comes back the same."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from devhost.broker.codec import (
    DeadLetter,
    decode_dead_letter,
    decode_message,
    decode_properties,
    decode_scalar,
    encode_dead_letter,
    encode_header,
    encode_properties,
    encode_scalar,
)
from devhost.broker.model import Message, Scalar
from devhost.broker.records import decode_options, encode_options, kind_of
from devhost.broker.topology import (
    CorrelationFilter,
    EntityStatus,
    FalseFilter,
    QueueOptions,
    Rule,
    SqlFilter,
    SubscriptionOptions,
    TopicOptions,
    TrueFilter,
)

SCALARS: dict[str, Scalar] = {
    "text": 'a "b" \ud800 \0',
    "whole": 2**63,
    "real": -1.5,
    "whole real": 1.0,
    "yes": True,
    "bytes": b"\x00\xff",
    "time": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    "uuid": UUID(int=5),
    "decimal": Decimal("1.10"),
    "nothing": None,
}


def test_properties_keep_their_values_and_types() -> None:
    back = decode_properties(encode_properties(SCALARS))
    assert back == SCALARS
    assert {name: type(value) for name, value in back.items()} == {name: type(v) for name, v in SCALARS.items()}
    assert decode_properties(encode_properties({})) == {}


def test_what_is_no_scalar_is_refused() -> None:
    with pytest.raises(TypeError, match="list is not a property type"):
        encode_scalar([1])  # type: ignore[arg-type]
    assert decode_scalar("plain") == "plain"


def test_a_message_keeps_every_field() -> None:
    message = Message(
        content=b"\x00body",
        size=7,
        message_id="a",
        session_id="b",
        correlation_id="c",
        subject="d",
        to="e",
        reply_to="f",
        reply_to_session_id="g",
        content_type="h",
        partition_key="b",
        time_to_live=timedelta(days=3, microseconds=1),
        scheduled_enqueue_time=datetime(2026, 1, 1, tzinfo=UTC),
        properties=SCALARS,
    )
    header, properties = encode_header(message), encode_properties(message.properties)
    assert decode_message(header, properties, session_id="b", size=7, content=b"\x00body") == message


def test_a_bare_message_stays_bare() -> None:
    message = Message(content=b"", size=0)
    assert decode_message(encode_header(message), None, session_id=None, size=0, content=b"") == message


def test_a_dead_letters_mark_keeps_what_is_missing_missing() -> None:
    for mark in (DeadLetter("q", "r", "d"), DeadLetter("q", None, None)):
        assert decode_dead_letter(encode_dead_letter(mark)) == mark
    assert decode_dead_letter(None) is None


@pytest.mark.parametrize(
    "options",
    [
        QueueOptions("q", default_message_time_to_live=timedelta(days=1), status=EntityStatus.DISABLED),
        TopicOptions("t", user_metadata="x"),
        SubscriptionOptions(
            "s",
            rules=(
                Rule("a", TrueFilter()),
                Rule("b", FalseFilter()),
                Rule("c", SqlFilter("x = @p", {"@p": datetime(2026, 1, 1, tzinfo=UTC)})),
                Rule("d", CorrelationFilter(label="l", properties=SCALARS)),
            ),
        ),
    ],
)
def test_options_keep_every_field(options: QueueOptions | TopicOptions | SubscriptionOptions) -> None:
    assert decode_options(kind_of(options), encode_options(options)) == options
