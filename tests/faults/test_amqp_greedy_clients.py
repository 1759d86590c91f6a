"""Clients that ask for everything and take nothing: memory stays bounded, and nothing they were given is lost."""

import resource
import sys
from pathlib import Path

import pytest

from devhost.broker.model import ReceiveMode
from tests.support.amqp_ground import Ground
from tests.support.amqp_wire import (
    AMQP_HEADER,
    Code,
    attach_receiver,
    attach_sender,
    begin_frame,
    flow,
    message,
    open_frame,
    performative,
    request,
    transfer,
    uint,
)
from tests.support.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

ALL = 2**31 - 1
KIB, MIB = 1024, 1024 * 1024
#: What the two ends of a loopback connection hold in the kernel, at most.
KERNEL = 12 * MIB


def flow_of_no_window(*, credit: int) -> bytes:
    """All the credit there is, in a session that takes no transfer."""
    return performative(Code.FLOW, uint(0), uint(0), uint(0), uint(ALL), uint(1), uint(0), uint(credit))


async def stands_still(ground: Ground, queue: str) -> int:
    """How many messages are locked, once that number no longer grows while another client is served."""
    seen = [0]

    async def same() -> bool:
        assert await ground.bystander.is_served()
        seen.append(ground.broker.counts(queue).locked)
        return seen[-1] == seen[-2] > 0

    await eventually(same)
    return seen[-1]


async def all_come_back(ground: Ground, queue: str, count: int) -> bool:
    """Whether all messages can be received when the locks have expired."""
    assert ground.broker.counts(queue).total == count
    ground.namespace.advance(seconds=61)
    back = 0
    while found := await ground.broker.receive_now(queue, max_messages=100, mode=ReceiveMode.RECEIVE_AND_DELETE):
        back += len(found)
    return back == count


async def test_a_consumer_that_never_reads_gets_a_bounded_part_and_loses_nothing(ground: Ground) -> None:
    queue = await ground.namespace.queue()
    count, size = 400, 64 * KIB
    await ground.fill(queue, count, size)
    wire = await ground.connect()
    await wire.say(AMQP_HEADER, open_frame(), begin_frame(), attach_receiver(queue), flow(credit=ALL))
    locked = await stands_still(ground, queue)
    assert locked * size < KERNEL + 4 * MIB
    wire.vanish()
    assert "ended" in await ground.line()
    assert await all_come_back(ground, queue, count)


async def test_a_consumer_that_never_reads_is_given_up_when_it_is_silent_for_too_long(ground: Ground) -> None:
    listener = await ground.listen(idle_seconds=1.0)
    queue = await ground.namespace.queue()
    await ground.fill(queue, 300, 64 * KIB)
    wire = await ground.connect(listener)
    await wire.say(AMQP_HEADER, open_frame(), begin_frame(), attach_receiver(queue), flow(credit=ALL))
    await stands_still(ground, queue)
    await eventually(lambda: listener.connections == 0)
    assert "local-idle-timeout expired" in await ground.line()
    wire.vanish()
    assert await all_come_back(ground, queue, 300)


async def test_half_a_frame_and_then_silence_ends_with_the_idle_timeout(ground: Ground) -> None:
    listener = await ground.listen(idle_seconds=0.5)
    wire = await ground.open(transfer(message(b"m"))[:-4], listener=listener)
    assert (await wire.hear(Code.CLOSE)).condition() == "amqp:resource-limit-exceeded"
    assert await wire.ended() == b""
    assert "local-idle-timeout expired" in await ground.line()


async def test_a_consumer_whose_session_takes_no_transfer_draws_no_more_than_one_fill_of_the_output(
    ground: Ground,
) -> None:
    queue = await ground.namespace.queue()
    count, size = 400, 16 * KIB
    await ground.fill(queue, count, size)
    wire = await ground.open(attach_receiver(queue))
    await wire.hear(Code.ATTACH)
    await wire.say(flow_of_no_window(credit=ALL))
    locked = await stands_still(ground, queue)
    assert locked * size < 3 * MIB
    # It opens its window after all, and gets what has waited, and then the rest.
    await wire.say(flow(credit=ALL))
    for _ in range(count):
        await wire.hear(Code.TRANSFER)
    assert ground.broker.counts(queue).locked == count


async def test_many_greedy_links_of_one_connection_draw_little_more_than_one(ground: Ground) -> None:
    queue = await ground.namespace.queue()
    count, size, links = 400, 32 * KIB, 40
    await ground.fill(queue, count, size)
    wire = await ground.open(*(attach_receiver(queue, handle=handle) for handle in range(links)))
    for _ in range(links):
        await wire.hear(Code.ATTACH)
    none = (uint(0), uint(0), uint(0), uint(ALL))
    await wire.say(*(performative(Code.FLOW, *none, uint(each), uint(0), uint(ALL)) for each in range(links)))
    locked = await stands_still(ground, queue)
    assert locked * size < 5 * MIB
    await wire.say(performative(Code.CLOSE))
    await wire.ended()
    assert await all_come_back(ground, queue, count)


async def test_answers_that_are_not_taken_hold_back_the_requests_behind_them(ground: Ground) -> None:
    queue = await ground.namespace.queue()
    await ground.fill(queue, 20, 48 * KIB)
    address, asked = f"{queue}/$management", 300
    wire = await ground.open(attach_receiver(address, to="replies"), attach_sender(address))
    await wire.hear(Code.FLOW)
    before = _memory()
    peek = request("com.microsoft:peek-message", {"from-sequence-number": 1, "message-count": 20})
    for number in range(asked):
        await wire.say(transfer(peek, number=number))
    heard = 0
    while heard < asked:
        # Accepted in lumps; none of it is an answer, for which there is no credit.
        ended = await wire.hear(Code.DISPOSITION)
        first, last = ended.field(1), ended.field(2)
        assert isinstance(first, int)
        heard = (last if isinstance(last, int) else first) + 1
    assert await ground.bystander.is_served()
    # Each answer is about a megabyte.
    assert _memory() - before < 64 * MIB
    await wire.say(flow(credit=ALL))
    assert len((await wire.hear(Code.TRANSFER)).payload) > 0
    wire.vanish()
    assert "ended" in await ground.line()


async def test_messages_begun_and_never_finished_close_the_connection_at_the_limit(ground: Ground) -> None:
    listener = await ground.listen(max_partial_bytes=1 * MIB)
    queue = await ground.namespace.queue()
    wire = await ground.open(*(attach_sender(queue, handle=each) for each in range(10)), listener=listener)
    for each in range(10):
        for _ in range(4):
            begun = transfer(bytes(50_000), handle=each, number=each, more=True)
            await wire.say_what_can_be_said(begun)
    assert (await wire.hear(Code.CLOSE)).condition() == "amqp:resource-limit-exceeded"
    assert "begun and not finished" in await ground.line()
    assert ground.broker.counts(queue).total == 0


async def test_a_message_without_end_is_not_kept(ground: Ground) -> None:
    listener = await ground.listen(max_partial_bytes=1 * MIB)
    queue = await ground.namespace.queue()
    wire = await ground.open(attach_sender(queue), listener=listener)
    await wire.hear(Code.FLOW)
    for _ in range(100):
        await wire.say(transfer(bytes(60_000), more=True))
    await wire.say(transfer(b""))
    assert (await wire.hear(Code.DISPOSITION)).outcome() == "amqp:link:message-size-exceeded"
    assert "(6000000 bytes)" in await ground.line()


async def test_a_producer_that_overruns_its_credit_is_read_no_faster_than_it_is_stored(ground: Ground) -> None:
    listener = await ground.listen(max_pending_messages=10, link_credit=10)
    queue = await ground.namespace.queue()
    wire = await ground.sender(queue, listener)
    count = 300
    await wire.say(*(transfer(message(bytes(1000)), number=number) for number in range(count)))
    done = 0
    while done < count:
        ended = await wire.hear(Code.DISPOSITION)
        first, last = ended.field(1), ended.field(2)
        assert ended.outcome() == "accepted"
        assert isinstance(first, int)
        done = (last if isinstance(last, int) else first) + 1
    assert ground.broker.counts(queue).total == count


def _memory() -> int:
    """What this process has in memory, in bytes; where that is not told, the most it has had."""
    told = Path("/proc/self/statm")
    if told.exists():
        return int(told.read_text().split()[1]) * resource.getpagesize()
    unit = 1 if sys.platform == "darwin" else KIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
