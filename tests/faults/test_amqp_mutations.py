"""Conversations with bytes changed at random: whatever comes of each, it ends, and nothing of ours breaks over it."""

import asyncio
import logging
from random import Random

import pytest

from tests.support.amqp_ground import Ground
from tests.support.amqp_wire import (
    Code,
    accepted,
    attach_receiver,
    attach_sender,
    disposition,
    flow,
    message,
    performative,
    rejected,
    request,
    transfer,
    uint,
)
from tests.support.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONVERSATIONS = 300
PEEK = request("com.microsoft:peek-message", {"from-sequence-number": 1, "message-count": 5})
#: Constructors of AMQP's types and edges of its sizes, which change more than random bytes do.
_TELLING = (0x00, 0x01, 0x40, 0x45, 0x53, 0x70, 0x80, 0xA0, 0xC0, 0xD0, 0xF0, 0xFF)


def conversation(queue: str) -> list[bytes]:
    """Everything a client does, without a mistake."""
    return [
        attach_sender(queue),
        attach_receiver(f"{queue}/$management", to="replies"),
        attach_sender(f"{queue}/$management", handle=2),
        attach_receiver(queue, handle=3),
        flow(credit=100),
        flow(handle=3, credit=100),
        transfer(message(b"m", text="a", number=1)),
        transfer(message(bytes(600)), number=1, more=True),
        transfer(b"", number=1),
        transfer(PEEK, handle=2, number=2),
        disposition(0, accepted()),
        disposition(1, rejected("com.microsoft:dead-letter", {"DeadLetterReason": "r"})),
        performative(Code.DETACH, uint(0), True),
        performative(Code.END),
        performative(Code.CLOSE),
    ]


def changed(frame: bytes, draw: Random) -> bytes:
    """A frame with some bytes changed, cut off, or added; its size tells the truth more often than not."""
    if len(frame) <= 8:
        # It has been cut off before.
        return frame + draw.randbytes(4)
    data = bytearray(frame)
    kind = draw.random()
    if kind < 0.7:
        for _ in range(draw.randint(1, 3)):
            place = draw.randrange(len(data)) if draw.random() < 0.2 else draw.randrange(8, len(data))
            data[place] = draw.choice((*_TELLING, draw.randrange(256)))
        return bytes(data)
    if kind < 0.8:
        return bytes(data[: draw.randrange(len(data))])
    data = data[: draw.randint(8, len(data))] if kind < 0.9 else data + draw.randbytes(draw.randint(1, 20))
    return len(data).to_bytes(4) + bytes(data[4:])


async def hold(ground: Ground, queue: str, seed: int) -> None:
    """Hold one conversation, each frame read by itself, and see it end."""
    draw = Random(seed)
    frames = conversation(queue)
    for _ in range(draw.randint(1, 3)):
        place = draw.randrange(len(frames))
        frames[place] = changed(frames[place], draw) if draw.random() < 0.9 else draw.choice(frames)
    wire = await ground.connect()
    await wire.open()
    for frame in frames:
        await wire.say_what_can_be_said(frame)
        await asyncio.sleep(0)
    await wire.say_what_can_be_said(performative(Code.CLOSE))
    await wire.half_close()
    await wire.ended()


async def test_a_conversation_with_random_mistakes_ends_without_a_fault_of_ours(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    connected = ground.namespace.listener.connections
    queue = await ground.namespace.queue()
    for seed in range(CONVERSATIONS):
        await hold(ground, queue, seed)
        faults = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert not faults, f"seed {seed}: {faults[0].getMessage()}"
    await eventually(lambda: ground.namespace.listener.connections == connected)
    ground.lines()
