"""A broker that counts the operations of its clients, as the service would bill them."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, override
from uuid import UUID

from devhost.amqp.listener import AmqpListener
from devhost.broker.broker import Broker
from devhost.broker.model import Delivery, Message, Scalar
from devhost.broker.topology_file import load_topology
from devhost.clock import SystemClock
from tests.support.host_process import ROOT


class CountingBroker(Broker):
    """`counted` has the transfers it took, the messages in them, deliveries, and how they were settled."""

    counted: Counter[str]

    @override
    async def schedule(self, entity: str, messages: Sequence[Message]) -> list[int]:
        self.counted["transfers"] += 1
        self.counted["messages"] += len(messages)
        return await super().schedule(entity, messages)

    @override
    async def receive(self, entity: str, **how: Any) -> list[Delivery]:
        return self._delivered(await super().receive(entity, **how))

    @override
    async def receive_now(self, entity: str, **how: Any) -> list[Delivery]:
        return self._delivered(await super().receive_now(entity, **how))

    @override
    async def complete(self, entity: str, lock_token: UUID, **how: Any) -> None:
        await super().complete(entity, lock_token, **how)
        self.counted["completed"] += 1

    @override
    async def abandon(
        self, entity: str, lock_token: UUID, properties: Mapping[str, Scalar] | None = None, **how: Any
    ) -> None:
        await super().abandon(entity, lock_token, properties, **how)
        self.counted["abandoned"] += 1

    @override
    async def renew_lock(self, entity: str, lock_tokens: Sequence[UUID]) -> list[datetime]:
        self.counted["renewed"] += len(lock_tokens)
        return await super().renew_lock(entity, lock_tokens)

    def _delivered(self, deliveries: list[Delivery]) -> list[Delivery]:
        self.counted["deliveries"] += len(deliveries)
        return deliveries


@asynccontextmanager
async def counting_broker(folder: Path) -> AsyncIterator[tuple[CountingBroker, int]]:
    """A broker with the app's queues and topic, served over AMQP; and its port."""
    clock = SystemClock()
    topology = load_topology(ROOT / "infra" / "servicebus.json")
    broker = await CountingBroker.open(folder / "counting.db", topology, clock)
    broker.counted = Counter()
    listener = AmqpListener(broker, clock, port=0)
    await listener.start()
    try:
        yield broker, listener.port
    finally:
        await listener.stop()
        await broker.close()
