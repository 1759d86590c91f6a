"""Requests to `$management` and `$cbs` that make no sense: the right status, one log line, and the next is served."""

from uuid import UUID, uuid4

import pytest

from devhost.amqp.decoding import decode
from devhost.amqp.encoding import encode
from devhost.amqp.values import Array, Described, Typed
from tests.support.amqp_ground import Ground
from tests.support.amqp_wire import (
    Code,
    Wire,
    attach_receiver,
    attach_sender,
    flow,
    message,
    request,
    transfer,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

PEEK = "com.microsoft:peek-message"
RENEW = "com.microsoft:renew-lock"
SETTLE = "com.microsoft:update-disposition"
SCHEDULE = "com.microsoft:schedule-message"
CANCEL = "com.microsoft:cancel-scheduled-message"
DEFERRED = "com.microsoft:receive-by-sequence-number"
ARGUMENT = "com.microsoft:argument-error"
GOOD = request(PEEK, {"from-sequence-number": 1, "message-count": 1})
TOKEN = Array("uuid", [uuid4()])


async def node(ground: Ground, address: str) -> Wire:
    """An open pair of links to a management or claims node."""
    wire = await ground.open(attach_receiver(address, to="replies"), flow(credit=1000), attach_sender(address))
    await wire.hear(Code.FLOW)
    return wire


async def answer(wire: Wire, asked: bytes, number: int = 0) -> dict[object, object]:
    """The application properties of the answer to a request."""
    await wire.say(transfer(asked, number=number))
    payload = (await wire.hear(Code.TRANSFER)).payload
    properties, _ = decode(payload, payload.index(b"\x00\x53\x74"))
    assert isinstance(properties, Described)
    assert isinstance(properties.value, dict)
    return properties.value


_BAD_REQUESTS = {
    "no operation": (request(None, {}), 400, ARGUMENT),
    "a number for an operation": (request(7, {}), 400, ARGUMENT),
    "an operation nobody knows": (request("com.microsoft:brew-coffee", {}), 501, "amqp:not-implemented"),
    "an operation of another node": (request("put-token", {}), 501, "amqp:not-implemented"),
    "an operation of fifty thousand characters": (request("x" * 50_000, {}), 501, "amqp:not-implemented"),
    "text for a number": (request(PEEK, {"from-sequence-number": "one"}), 400, ARGUMENT),
    "a truth for a number": (request(PEEK, {"message-count": True}), 400, ARGUMENT),
    "no tokens": (request(RENEW, {}), 400, ARGUMENT),
    "an empty list of tokens": (request(RENEW, {"lock-tokens": []}), 400, ARGUMENT),
    "text that is no token": (request(RENEW, {"lock-tokens": ["mine"]}), 400, ARGUMENT),
    "a token of nobody's, to renew": (request(RENEW, {"lock-tokens": TOKEN}), 410, "com.microsoft:message-lock-lost"),
    "a token of nobody's, to settle": (
        request(SETTLE, {"disposition-status": "completed", "lock-tokens": TOKEN}),
        410,
        "com.microsoft:message-lock-lost",
    ),
    "a status nobody knows": (
        request(SETTLE, {"disposition-status": "eaten", "lock-tokens": TOKEN}),
        400,
        "amqp:invalid-field",
    ),
    "no status": (request(SETTLE, {"lock-tokens": TOKEN}), 400, "amqp:invalid-field"),
    "no messages to schedule": (request(SCHEDULE, {"messages": []}), 400, ARGUMENT),
    "messages that are no list": (request(SCHEDULE, {"messages": "all"}), 400, ARGUMENT),
    "messages without a message": (request(SCHEDULE, {"messages": [{"message-id": "1"}]}), 400, ARGUMENT),
    "one bad message among those to schedule": (
        request(SCHEDULE, {"messages": [{"message": message(b"1")}, {"message": b"\xff\xff"}]}),
        400,
        "amqp:decode-error",
    ),
    "numbers that are text": (request(CANCEL, {"sequence-numbers": ["1"]}), 400, ARGUMENT),
    "a number beyond all": (
        request(CANCEL, {"sequence-numbers": [Typed("ulong", 2**64 - 1)]}),
        404,
        "com.microsoft:message-not-found",
    ),
    "a deferred message beyond all": (
        request(DEFERRED, {"sequence-numbers": [Typed("ulong", 2**64 - 1)]}),
        404,
        "com.microsoft:message-not-found",
    ),
    "a session that is not held": (
        request("com.microsoft:get-session-state", {"session-id": "s"}),
        410,
        "com.microsoft:session-lock-lost",
    ),
    "a session without name": (request("com.microsoft:renew-session-lock", {}), 400, ARGUMENT),
    "rules of a queue": (request("com.microsoft:enumerate-rules", {"skip": 0, "top": 9}), 404, "amqp:not-found"),
}


@pytest.mark.parametrize(("asked", "status", "condition"), _BAD_REQUESTS.values(), ids=_BAD_REQUESTS)
async def test_a_request_that_makes_no_sense_is_answered_with_what_is_wrong(
    ground: Ground, asked: bytes, status: int, condition: str
) -> None:
    queue = await ground.namespace.queue()
    wire = await node(ground, f"{queue}/$management")
    said = await answer(wire, asked)
    assert said["statusCode"] == status
    assert said["errorCondition"] == condition
    assert said["statusDescription"]
    assert "refused" in await ground.line()
    assert (await answer(wire, GOOD, 1))["statusCode"] == 204
    assert ground.broker.counts(queue).total == 0


_UNREADABLE = {
    "garbage": b"\xff\xff\xff",
    "text": b"GET / HTTP/1.1",
    "properties cut off": b"\x00\x53\x73\xc0\x7f\x05",
    "application properties that are no map": encode(Described(Typed("ulong", 0x74), ["operation"])),
    "a body nested thousands deep": b"\x00\x53\x77" + b"\x00" * 5000 + b"\x40" * 5001,
}


@pytest.mark.parametrize("asked", _UNREADABLE.values(), ids=_UNREADABLE)
async def test_a_request_that_cannot_be_read_is_rejected_and_the_next_one_served(ground: Ground, asked: bytes) -> None:
    wire = await node(ground, f"{await ground.namespace.queue()}/$management")
    await wire.say(transfer(asked))
    assert (await wire.hear(Code.DISPOSITION)).outcome() == "amqp:decode-error"
    assert "refused" in await ground.line()
    assert (await answer(wire, GOOD, 1))["statusCode"] == 204


async def test_a_request_over_the_size_limit_is_rejected_and_the_next_one_served(ground: Ground) -> None:
    wire = await node(ground, f"{await ground.namespace.queue()}/$management")
    for left in range(5, -1, -1):
        await wire.say(transfer(bytes(60_000), more=left > 0))
    assert (await wire.hear(Code.DISPOSITION)).outcome() == "amqp:link:message-size-exceeded"
    assert "refused" in await ground.line()
    assert (await answer(wire, GOOD, 1))["statusCode"] == 204


@pytest.mark.parametrize("reply_to", [None, 7, ["replies"], {"to": "replies"}, "elsewhere"])
async def test_an_answer_without_a_place_to_go_goes_where_the_nodes_answers_go(
    ground: Ground, reply_to: object
) -> None:
    wire = await node(ground, f"{await ground.namespace.queue()}/$management")
    assert (await answer(wire, request(PEEK, {}, reply_to=reply_to)))["statusCode"] == 204


async def test_a_request_without_any_link_for_the_answer_is_logged_and_the_next_one_served(ground: Ground) -> None:
    address = f"{await ground.namespace.queue()}/$management"
    wire = await ground.sender(address)
    await wire.say(transfer(GOOD))
    assert "no link for the response" in await ground.line()
    await wire.say(attach_receiver(address, to="replies"), flow(credit=10))
    assert (await answer(wire, GOOD, 1))["statusCode"] == 204


_BAD_CLAIMS = {
    "no operation": (request(None, {}), 400),
    "an operation nobody knows": (request("steal-token", "token"), 501),
    "an operation of another node": (GOOD, 501),
}


@pytest.mark.parametrize(("asked", "status"), _BAD_CLAIMS.values(), ids=_BAD_CLAIMS)
async def test_a_claim_that_makes_no_sense_is_answered_in_the_words_of_that_node(
    ground: Ground, asked: bytes, status: int
) -> None:
    wire = await node(ground, "$cbs")
    assert (await answer(wire, asked))["status-code"] == status
    assert "refused" in await ground.line()
    assert (await answer(wire, request("put-token", "any"), 1))["status-code"] == 200


@pytest.mark.parametrize("token", [None, 7, b"\xff", {"a": [1]}, "x" * 50_000])
async def test_a_token_of_any_kind_will_do(ground: Ground, token: object) -> None:
    wire = await node(ground, "$cbs")
    assert (await answer(wire, request("put-token", token)))["status-code"] == 200


async def test_one_bad_token_among_several_is_told_and_the_locks_of_the_others_hold(ground: Ground) -> None:
    queue = await ground.namespace.queue()
    await ground.fill(queue, 2, 10)
    wire = await node(ground, f"{queue}/$management")
    await wire.say(attach_receiver(queue, handle=2, name="r2"), flow(handle=2, credit=1))
    tag = (await wire.hear(Code.TRANSFER)).field(2)
    assert isinstance(tag, bytes)
    tokens = Array("uuid", [uuid4(), UUID(bytes_le=tag)])
    said = await answer(wire, request(SETTLE, {"disposition-status": "completed", "lock-tokens": tokens}))
    assert said["statusCode"] == 410
    assert "refused" in await ground.line()
    counts = ground.broker.counts(queue)
    assert (counts.total, counts.locked) == (2, 1)
