"""A broker for one test: on a manual clock, in a folder of the test's own, committing in the caller."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from devhost.broker.broker import Broker
from devhost.broker.model import Delivery, Message, ReceiveMode, SessionLock
from devhost.broker.topology import QueueOptions, Topology
from devhost.clock import ManualClock
from tests.support.inline_executor import InlineExecutor

LOCK, DELETE = ReceiveMode.PEEK_LOCK, ReceiveMode.RECEIVE_AND_DELETE
DEAD = "q/$deadletterqueue"


class Bench:
    """Opens brokers over one file and one clock; by default with one queue, `q`, with locks of a minute."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "broker.db"
        self.clock = ManualClock()
        self.topology = Topology((QueueOptions("q"),))
        self.opened: list[Broker] = []

    async def open(self, topology: Topology | None = None) -> Broker:
        """Open the file, again if it was open before; `topology` is kept for later calls."""
        if topology is not None:
            self.topology = topology
        broker = await Broker.open(self.path, self.topology, self.clock, executor=InlineExecutor())
        self.opened.append(broker)
        return broker

    async def queue(self, **options: Any) -> Broker:
        """Open with one queue `q` that has these options."""
        return await self.open(Topology((QueueOptions("q", **options),)))

    def advance(self, **by: float) -> None:
        """Move the clock: `seconds=30`."""
        self.clock.advance(timedelta(**by))

    async def close(self) -> None:
        """Close whatever is still open."""
        for broker in self.opened:
            await broker.close()


def message(body: str = "m", **fields: Any) -> Message:
    """A small message."""
    return Message(content=body.encode(), size=len(body), **fields)


def bodies(deliveries: Sequence[Delivery]) -> list[str]:
    """What they say."""
    return [delivery.message.content.decode() for delivery in deliveries]


async def take(broker: Broker, entity: str = "q", count: int = 1, session: SessionLock | None = None) -> list[Delivery]:
    """Lock what is there now."""
    return await broker.receive_now(entity, max_messages=count, mode=LOCK, session=session)


async def take_one(broker: Broker, entity: str = "q", session: SessionLock | None = None) -> Delivery:
    """Lock the one message that must be there."""
    (delivery,) = await take(broker, entity, session=session)
    return delivery


async def shown(broker: Broker, entity: str = "q") -> list[Delivery]:
    """All that the entity holds."""
    return await broker.peek(entity, from_sequence_number=0, max_messages=1000)


def token(delivery: Delivery) -> Any:
    """Its lock token, which it must have."""
    assert delivery.lock_token is not None
    return delivery.lock_token
