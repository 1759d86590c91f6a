"""Messages that are none: rejected with the right error and one log line, nothing enqueued, and the link goes on."""

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import MessageSizeExceededError

from devhost.amqp.encoding import encode
from devhost.amqp.values import Described, Typed
from tests.support.amqp_ground import Ground
from tests.support.amqp_wire import Code, Wire, attach_sender, message, performative, transfer, uint

pytestmark = pytest.mark.asyncio(loop_scope="session")

BATCH = 0x80013700
LIMIT = 256 * 1024
#: Less than a frame may hold.
PIECE = 60_000


def section(code: int, value: object) -> bytes:
    return encode(Described(Typed("ulong", code), value))


def pieces(payload: bytes, *, number: int = 0, message_format: int = 0) -> list[bytes]:
    """A delivery in as many frames as it needs."""
    starts = range(0, len(payload), PIECE)
    return [
        transfer(
            payload[start : start + PIECE],
            number=number,
            message_format=message_format,
            more=start + PIECE < len(payload),
        )
        for start in starts
    ]


async def is_taken(wire: Wire, number: int = 1) -> bool:
    """Whether the link takes a message now, as the `number`th delivery."""
    await wire.say(transfer(message(b"good"), number=number))
    return (await wire.hear(Code.DISPOSITION)).outcome() == "accepted"


_NO_MESSAGE = {
    "garbage": b"\xff\xfe\xfd",
    "plain text": b"hello",
    "a section of an unknown code": section(0x11, []),
    "a section cut off": message(b"body")[:-1],
    "a section after the body": message(b"body") + section(0x73, []),
    "a length beyond the message": b"\x00\x53\x75\xb0\xff\xff\xff\xff",
    "properties that are no list": b"\x00\x53\x73\x41" + message(b"body"),
    "properties cut off": b"\x00\x53\x73\xc0\x02\x05\x40" + message(b"body"),
    "application properties that are no map": section(0x74, []) + message(b"body"),
    "an application property that is a list": section(0x74, {"p": [1]}) + message(b"body"),
    "a text that is no text": section(0x74, {"p": "qqqq"}).replace(b"qqqq", b"\xff\xff\xff\xff") + message(b"body"),
    "a time to live beyond its type": section(0x70, [None, None, Typed("ulong", 2**64 - 1)]) + message(b"body"),
    "values nested thousands deep": b"\x00\x53\x77" + b"\x00" * 5000 + b"\x40" * 5001,
}


@pytest.mark.parametrize("payload", _NO_MESSAGE.values(), ids=_NO_MESSAGE)
async def test_what_is_no_message_is_rejected_and_the_link_goes_on(ground: Ground, payload: bytes) -> None:
    queue = await ground.namespace.queue()
    wire = await ground.sender(queue)
    await wire.say(transfer(payload))
    assert (await wire.hear(Code.DISPOSITION)).outcome() == "amqp:decode-error"
    assert "refused" in await ground.line()
    assert await is_taken(wire)
    assert ground.broker.counts(queue).total == 1


_NO_VALUE = {
    "a time to live below zero": section(0x70, [None, None, -5]),
    "an identifier over the limit": section(0x73, ["x" * 129]),
    "a session id over the limit": section(0x73, [*[None] * 10, "x" * 129]),
}


@pytest.mark.parametrize("head", _NO_VALUE.values(), ids=_NO_VALUE)
async def test_a_message_with_a_value_that_is_not_allowed_is_rejected(ground: Ground, head: bytes) -> None:
    queue = await ground.namespace.queue()
    wire = await ground.sender(queue)
    await wire.say(transfer(head + message(b"body")))
    assert (await wire.hear(Code.DISPOSITION)).outcome() == "com.microsoft:argument-error"
    assert "refused" in await ground.line()
    assert await is_taken(wire)


def batch(*bodies: bytes) -> bytes:
    return b"".join(section(0x75, body) for body in bodies)


_BAD_BATCHES = {
    "garbage as the last message": batch(message(b"1"), message(b"2"), b"\xff"),
    "garbage as the first message": batch(b"\xff", message(b"1")),
    "a message with a body cut off": batch(message(b"1"), message(b"2")[:-1]),
    "no messages": section(0x73, []),
    "a value for messages": section(0x77, "text"),
    "data that are not bytes": section(0x75, "text"),
    "garbage": b"\xff\xff",
}


@pytest.mark.parametrize("payload", _BAD_BATCHES.values(), ids=_BAD_BATCHES)
async def test_nothing_of_a_batch_is_enqueued_when_one_message_is_bad(ground: Ground, payload: bytes) -> None:
    queue = await ground.namespace.queue()
    wire = await ground.sender(queue)
    await wire.say(transfer(payload, message_format=BATCH))
    assert (await wire.hear(Code.DISPOSITION)).outcome() == "amqp:decode-error"
    assert "refused" in await ground.line()
    assert ground.broker.counts(queue).total == 0
    await wire.say(transfer(batch(message(b"1"), message(b"2")), number=1, message_format=BATCH))
    assert (await wire.hear(Code.DISPOSITION)).outcome() == "accepted"
    assert ground.broker.counts(queue).total == 2


async def test_nothing_of_a_batch_is_enqueued_when_one_message_is_not_allowed(ground: Ground) -> None:
    queue = await ground.namespace.queue()
    wire = await ground.sender(queue)
    await wire.say(transfer(batch(message(b"1"), _NO_VALUE["an identifier over the limit"]), message_format=BATCH))
    assert (await wire.hear(Code.DISPOSITION)).outcome() == "com.microsoft:argument-error"
    assert "refused" in await ground.line()
    assert ground.broker.counts(queue).total == 0


async def test_a_message_of_one_byte_over_256_kb_is_rejected_and_one_of_256_kb_is_not(ground: Ground) -> None:
    queue = await ground.namespace.queue()
    wire = await ground.sender(queue)
    overhead = len(message(bytes(LIMIT))) - LIMIT
    await wire.say(*pieces(message(bytes(LIMIT + 1 - overhead))))
    assert (await wire.hear(Code.DISPOSITION)).outcome() == "amqp:link:message-size-exceeded"
    assert "(262145 bytes)" in await ground.line()
    await wire.say(*pieces(message(bytes(LIMIT - overhead)), number=1))
    assert (await wire.hear(Code.DISPOSITION)).outcome() == "accepted"
    assert ground.broker.counts(queue).total == 1


async def test_the_stock_client_is_told_that_its_message_is_too_large_and_can_go_on(ground: Ground) -> None:
    queue = await ground.namespace.queue()
    async with (
        ServiceBusClient.from_connection_string(ground.namespace.connection, retry_total=0) as client,
        client.get_queue_sender(queue) as sender,
    ):
        with pytest.raises(MessageSizeExceededError):
            await sender.send_messages(ServiceBusMessage(bytes(LIMIT + 1)))
        await sender.send_messages(ServiceBusMessage(b"good"))
    assert ground.broker.counts(queue).total == 1
    assert "refused" in await ground.line()


async def test_a_batch_given_up_half_way_does_not_make_the_next_message_one(ground: Ground) -> None:
    queue = await ground.namespace.queue()
    wire = await ground.sender(queue)
    await wire.say(
        transfer(batch(message(b"1")), message_format=BATCH, more=True),
        transfer(b"", aborted=True),
        transfer(message(b"good"), number=1),
    )
    assert (await wire.hear(Code.DISPOSITION)).outcome() == "accepted"
    (shown,) = await ground.broker.peek(queue, from_sequence_number=0, max_messages=10)
    assert shown.message.content == message(b"good")


async def test_a_batch_on_a_link_attached_again_in_the_same_breath_is_split(ground: Ground) -> None:
    queue = await ground.namespace.queue()
    wire = await ground.sender(queue)
    await wire.say(
        performative(Code.DETACH, uint(0), True),
        attach_sender(queue),
        transfer(batch(message(b"1"), message(b"2")), message_format=BATCH),
    )
    assert (await wire.hear(Code.DISPOSITION)).outcome() == "accepted"
    assert ground.broker.counts(queue).total == 2


async def test_a_delivery_tag_over_32_bytes_closes_the_connection(ground: Ground) -> None:
    queue = await ground.namespace.queue()
    wire = await ground.sender(queue)
    await wire.say(transfer(batch(message(b"1"), message(b"2")), message_format=BATCH, tag=b"t" * 200))
    assert (await wire.hear(Code.CLOSE)).condition() == "amqp:decode-error"
    assert "cannot be read" in await ground.line()
    assert ground.broker.counts(queue).total == 0


async def test_a_delivery_out_of_turn_closes_the_connection(ground: Ground) -> None:
    queue = await ground.namespace.queue()
    wire = await ground.sender(queue)
    await wire.say(transfer(message(b"1")), transfer(message(b"2"), number=9))
    closed = await wire.hear(Code.CLOSE)
    assert closed.condition() == "amqp:session:invalid-field"
    assert "sequencing error" in await ground.line()


@pytest.mark.parametrize(("lost_from", "cut"), [(1, 0), (2, 30_000), (3, -1)])
async def test_a_client_that_vanishes_half_way_through_a_message_has_sent_nothing(
    ground: Ground, lost_from: int, cut: int
) -> None:
    queue = await ground.namespace.queue()
    wire = await ground.sender(queue)
    await wire.say(*pieces(message(b"whole")))
    assert (await wire.hear(Code.DISPOSITION)).outcome() == "accepted"
    frames = pieces(message(bytes(200_000)), number=1)
    await wire.say(*frames[:lost_from], frames[lost_from][:cut])
    wire.vanish()
    assert "ended" in await ground.line()
    (shown,) = await ground.broker.peek(queue, from_sequence_number=0, max_messages=10)
    assert shown.message.content == message(b"whole")
