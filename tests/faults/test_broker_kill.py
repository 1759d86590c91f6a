"""What the broker has acknowledged survives kill -9 at any moment."""

import asyncio
import itertools
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from devhost.broker.broker import Broker
from devhost.broker.model import ReceiveMode
from devhost.clock import SystemClock
from tests.support.broker_load import QUEUE, TOPOLOGY

KILLS, MESSAGES = 10, 20_000
ROUND = 10**6


class Account:
    """What the killed processes have told about each message."""

    def __init__(self) -> None:
        self.sent: set[int] = set()
        self.received: set[int] = set()
        self.asked: set[int] = set()
        self.completed: set[int] = set()
        self.came_back: list[int] = []

    def hear(self, line: bytes) -> None:
        what, number = line.split()
        self.book(what, int(number))

    def book(self, what: bytes, number: int) -> None:
        match what:
            case b"S":
                self.sent.add(number)
            case b"R":
                self.received.add(number)
                if number in self.completed:
                    self.came_back.append(number)
            case b"K":
                self.asked.add(number)
            case b"C":
                self.completed.add(number)


async def load_until_killed(path: Path, first: int, account: Account, sends: int) -> None:
    """Run the load and kill it once it has acknowledged `sends` messages."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.broker_load", str(path), str(first), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    enough = len(account.sent) + sends
    killed = False
    async for line in process.stdout:
        account.hear(line)
        if len(account.sent) >= enough and not killed:
            process.kill()
            killed = True
    assert await process.wait() == -9, "the load ended before it was killed"


def drawn_sends(draw: random.Random) -> Iterator[int]:
    """How many messages each of the processes gets to send; together they send them all."""
    cuts = [0, *sorted(draw.sample(range(1, MESSAGES), KILLS - 1)), MESSAGES]
    return (after - before for before, after in itertools.pairwise(cuts))


async def drained(path: Path) -> list[int]:
    """Everything the broker still has, received."""
    broker = await Broker.open(path, TOPOLOGY, SystemClock())
    numbers: list[int] = []
    while got := await broker.receive_now(QUEUE, max_messages=500, mode=ReceiveMode.RECEIVE_AND_DELETE):
        numbers += [int(one.message.content.split(b".")[0]) for one in got]
    await broker.close()
    return numbers


async def test_ten_kills_lose_nothing_acknowledged_and_bring_nothing_completed_back(tmp_path: Path) -> None:
    account, path = Account(), tmp_path / "broker.db"
    for kill, sends in enumerate(drawn_sends(random.Random())):
        await load_until_killed(path, (kill + 1) * ROUND, account, sends)
    left = await drained(path)
    for number in left:
        account.book(b"R", number)
    assert len(account.sent) >= MESSAGES
    assert len(left) == len(set(left))
    assert account.came_back == []
    assert account.sent - account.received == set()
    assert account.sent - account.asked - set(left) == set()
