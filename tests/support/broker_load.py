"""A process that uses the broker under load until it is killed: `python -m tests.support.broker_load FILE FIRST_ID`.

It tells on standard output what happens to each message, in writes that are never torn: `S` sent (acknowledged),
`R` received, `K` completion asked for, `C` completed (acknowledged), each with the message's number.
"""

import asyncio
import itertools
import os
import random
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from devhost.broker.broker import Broker
from devhost.broker.model import Message, ReceiveMode
from devhost.broker.topology import QueueOptions, Topology
from devhost.clock import SystemClock

QUEUE = "load"
TOPOLOGY = Topology((QueueOptions(QUEUE, lock_duration=timedelta(minutes=5), max_delivery_count=2000),))
PRODUCERS, CONSUMERS = 8, 4


def tell(what: str, numbers: Iterable[int]) -> None:
    """One write, far below what a pipe keeps whole."""
    os.write(1, "".join(f"{what} {number}\n" for number in numbers).encode())


async def produce(broker: Broker, numbers: Iterable[int]) -> None:
    draw = random.Random()
    while True:
        batch = list(itertools.islice(numbers, draw.randint(1, 20)))
        await broker.send(QUEUE, [Message(b"%d" % number + b"." * 1000, 1000) for number in batch])
        tell("S", batch)


async def consume(broker: Broker) -> None:
    draw = random.Random()
    while True:
        got = await broker.receive(QUEUE, max_messages=draw.randint(1, 20), mode=ReceiveMode.PEEK_LOCK)
        found = [(int(one.message.content.split(b".")[0]), one.lock_token) for one in got]
        tell("R", [number for number, _ in found])
        # Some stay locked, as with a consumer that hangs.
        chosen = [(number, token) for number, token in found if token is not None and draw.random() < 0.8]
        tell("K", [number for number, _ in chosen])
        await asyncio.gather(*(broker.complete(QUEUE, token) for _, token in chosen))
        tell("C", [number for number, _ in chosen])


async def main(path: Path, first: int) -> None:
    broker = await Broker.open(path, TOPOLOGY, SystemClock())
    numbers = itertools.count(first)
    async with asyncio.TaskGroup() as group:
        for _ in range(PRODUCERS):
            group.create_task(produce(broker, numbers))
        for _ in range(CONSUMERS):
            group.create_task(consume(broker))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
