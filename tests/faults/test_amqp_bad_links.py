"""Links to nowhere and links that make no sense: refused with the right error and one line; the connection lives."""

import gc
from collections.abc import Callable

import proton
import pytest

from devhost.amqp.values import Symbol
from devhost.broker.model import ReceiveMode
from tests.support.amqp_ground import Ground
from tests.support.amqp_wire import (
    Code,
    accepted,
    attach_receiver,
    attach_sender,
    begin_frame,
    composite,
    disposition,
    flow,
    frame,
    message,
    performative,
    transfer,
    uint,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

_NOWHERE = {
    "an unknown entity": "nothing-by-this-name",
    "no address": None,
    "an empty address": "",
    "slashes": "//",
    "a namespace without entity": "amqps://localhost/",
    "a management node without entity": "$management",
    "the management of an unknown entity": "nothing-by-this-name/$management",
    "something beneath a management node": "{queue}/$management/more",
    "a subscription of a queue": "{queue}/subscriptions/s",
    "a dead-letter queue of a dead-letter queue": "{queue}/$deadletterqueue/$deadletterqueue",
    "a path upwards": "{queue}/../{queue}",
    "a number": 7,
    "bytes": b"queue",
    "a list": ["queue"],
    "a name of sixty thousand characters": "x" * 60_000,
    "two lines": "queue\r\nWARNING a forged line",
}


@pytest.mark.parametrize("address", _NOWHERE.values(), ids=_NOWHERE)
@pytest.mark.parametrize("attach", [attach_sender, attach_receiver])
async def test_a_link_to_nowhere_is_refused_as_not_found_and_its_connection_goes_on(
    ground: Ground, attach: Callable[[object], bytes], address: object
) -> None:
    queue = await ground.namespace.queue()
    wire = await ground.open(attach(address.format(queue=queue) if isinstance(address, str) else address))
    # An attach without a target or source, and the cause in the detach that follows it.
    answer = await wire.hear(Code.ATTACH)
    assert (answer.field(5), answer.field(6)) == (None, None)
    assert (await wire.hear(Code.DETACH)).condition(2) == "amqp:not-found"
    assert "refused" in await ground.line()
    await wire.say(attach_sender(queue, handle=2), transfer(message(b"m"), handle=2))
    assert (await wire.hear(Code.DISPOSITION)).outcome() == "accepted"


async def test_a_link_the_entity_has_no_use_for_is_refused_as_not_allowed(ground: Ground) -> None:
    queue, topic = await ground.namespace.queue(), await ground.namespace.topic()
    await ground.namespace.subscription(topic, "s")
    talks = await ground.namespace.queue(requires_session=True)
    for attach in (
        attach_receiver(topic),
        attach_sender(f"{topic}/subscriptions/s"),
        attach_sender(f"{queue}/$deadletterqueue"),
        attach_receiver(talks),
    ):
        wire = await ground.open(attach)
        assert (await wire.hear(Code.DETACH)).condition(2) == "amqp:not-allowed"
        assert "refused" in await ground.line()


async def test_a_coordinator_of_transactions_is_refused_as_not_implemented(ground: Ground) -> None:
    target = composite(0x30, [Symbol("amqp:local-transactions")])
    fields = ("t", uint(0), False, None, None, composite(0x28), target, None, None, uint(0))
    wire = await ground.open(performative(Code.ATTACH, *fields))
    assert (await wire.hear(Code.DETACH)).condition(2) == "amqp:not-implemented"
    assert "refused: transactions are not supported" in await ground.line()


async def test_a_links_name_of_any_length_and_content_fits_on_one_line(ground: Ground) -> None:
    wire = await ground.open(attach_sender("nothing", name="first\nINFO forged " + "x" * 50_000))
    assert (await wire.hear(Code.DETACH)).condition(2) == "amqp:not-found"
    assert r"'first\nINFO forged" in await ground.line()


async def test_a_name_attached_twice_closes_the_connection(ground: Ground) -> None:
    queue = await ground.namespace.queue()
    wire = await ground.sender(queue)
    await wire.say(attach_sender(queue))
    assert (await wire.hear(Code.CLOSE)).condition() == "amqp:invalid-field"
    assert "link name already attached" in await ground.line()


async def test_a_link_too_many_closes_the_connection(ground: Ground) -> None:
    listener = await ground.listen(max_links=10)
    queue = await ground.namespace.queue()
    links = [attach_sender(queue, handle=handle) for handle in range(11)]
    wire = await ground.open(*links, listener=listener)
    assert (await wire.hear(Code.CLOSE)).condition() == "amqp:resource-limit-exceeded"
    assert "more than 10 links" in await ground.line()


async def test_sessions_that_end_before_their_links_leave_nothing_of_them_behind(ground: Ground) -> None:
    queue = await ground.namespace.queue()
    wire = await ground.open()
    links = attach_sender(queue), attach_receiver(queue), flow(credit=10)
    for _ in range(50):
        await wire.say(*links)
        await wire.hear(Code.ATTACH)
        # Proton frees a link twice whose session ended while somebody still held the link's wrapper.
        assert not [each for each in gc.get_objects() if isinstance(each, proton.Link)]
        await wire.say(performative(Code.END))
        await wire.hear(Code.END)
        await wire.say(begin_frame())
        await wire.hear(Code.BEGIN)
    await ground.fill(queue, 1, 10)
    (waiting,) = await ground.broker.receive_now(queue, max_messages=10, mode=ReceiveMode.PEEK_LOCK)
    assert waiting.delivery_count == 0


async def test_frames_that_mean_nothing_here_are_passed_over(ground: Ground) -> None:
    queue = await ground.namespace.queue()
    wire = await ground.sender(queue)
    await wire.say(
        frame(b""),
        frame(b"", kind=7),
        disposition(1000, accepted()),
        transfer(message(b"m")),
    )
    assert (await wire.hear(Code.DISPOSITION)).outcome() == "accepted"


async def test_a_transfer_on_a_refused_link_goes_nowhere(ground: Ground) -> None:
    wire = await ground.open(attach_sender("nothing-by-this-name"))
    await wire.hear(Code.DETACH)
    assert "refused" in await ground.line()
    queue = await ground.namespace.queue()
    await wire.say(
        transfer(message(b"lost")), attach_sender(queue, handle=1), transfer(message(b"m"), handle=1, number=1)
    )
    heard = await wire.hear(Code.DISPOSITION)
    while heard.field(1) != 1:
        heard = await wire.hear(Code.DISPOSITION)
    assert heard.outcome() == "accepted"
