"""The local broker with faults: it loses locks, forgets completions, and tells of the points of a delivery."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from devhost.broker.broker import Broker
from devhost.broker.errors import MessageLockLost
from devhost.broker.model import Delivery, Scalar
from tests.faults.host.faults import Deed, Point, current

AGENT_QUEUES = "-tasks"
"""How the names of agents' queues end; all others are served without faults."""


class FaultyBroker(Broker):
    """A broker with the faults of this life, for the queues of agents."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._locked: dict[UUID, tuple[str, int]] = {}
        self._forgotten: set[tuple[str, int]] = set()
        current().broker = self

    async def receive(self, entity: str, **options: Any) -> list[Delivery]:
        """As the broker does."""
        return self._handed_over(entity, await super().receive(entity, **options))

    async def receive_now(self, entity: str, **options: Any) -> list[Delivery]:
        """As the broker does."""
        return self._handed_over(entity, await super().receive_now(entity, **options))

    async def complete(self, entity: str, lock_token: UUID, **options: Any) -> None:
        """As the broker does. A completion that is lost leaves the message to be delivered again, once each."""
        if not entity.endswith(AGENT_QUEUES):
            await super().complete(entity, lock_token, **options)
            return
        fault = current().meet(Point.COMPLETE, "before")
        message = self._locked.pop(lock_token, (entity, 0))
        if fault is not None and fault.does is Deed.LOSE and message not in self._forgotten:
            self._forgotten.add(message)
            await super().abandon(entity, lock_token, **options)
            raise MessageLockLost("injected")
        await super().complete(entity, lock_token, **options)
        current().meet(Point.COMPLETE, "after")

    async def abandon(
        self, entity: str, lock_token: UUID, properties: Mapping[str, Scalar] | None = None, **options: Any
    ) -> None:
        """As the broker does."""
        if not entity.endswith(AGENT_QUEUES):
            await super().abandon(entity, lock_token, properties, **options)
            return
        current().meet(Point.GIVE_BACK, "before")
        self._locked.pop(lock_token, None)
        await super().abandon(entity, lock_token, properties, **options)
        current().meet(Point.GIVE_BACK, "after")

    def _handed_over(self, entity: str, deliveries: list[Delivery]) -> list[Delivery]:
        if deliveries and entity.endswith(AGENT_QUEUES):
            for delivery in deliveries:
                if delivery.lock_token is not None:
                    self._locked[delivery.lock_token] = (entity, delivery.sequence_number)
            current().meet(Point.DELIVER, "after")
        return deliveries

    async def lose_locks(self) -> None:
        """End the locks of all messages that are being handled, as if their time were over."""
        for token, (entity, _) in list(self._locked.items()):
            del self._locked[token]
            await super().abandon(entity, token)
