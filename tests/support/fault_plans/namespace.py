"""The message bus of a plan: the local host's own broker in memory, behind the app's `MessageBus`."""

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from agents.catalog import Catalog
from agents.topology import service_bus_topology
from devhost.broker.broker import Broker
from devhost.broker.model import Delivery, Message, ReceiveMode
from devhost.broker.topology_file import parse_topology
from shared import names
from shared.events import reaction_step_id
from shared.messaging.bus import OutgoingMessage
from tests.support.fault_plans.observed import Notebook, Sent
from tests.support.fault_plans.virtual_time import VirtualClock
from tests.support.inline_executor import InlineExecutor

_MANY = 1000


class Namespace:
    """Queues, the topic and its subscriptions, as the catalog's own topology has them but for the locks' length."""

    def __init__(self, broker: Broker, queues: Sequence[str], notebook: Notebook) -> None:
        self.broker = broker
        self.queues = queues
        self._notebook = notebook

    @classmethod
    async def open(cls, catalog: Catalog, lock: timedelta, notebook: Notebook) -> Self:
        """A namespace that is empty, on the event loop's time."""
        document = service_bus_topology(catalog)
        subscriptions = document["topics"][0]["subscriptions"]
        for entity in (*document["queues"], *subscriptions):
            entity["lockDuration"] = f"PT{int(lock.total_seconds())}S"
        queues = [str(queue["name"]) for queue in document["queues"] if queue["name"] != names.START_QUEUE]
        queues += [_path(each["name"]) for each in subscriptions if each["name"] != names.OUTSIDE_EVENTS]
        topology = parse_topology(document)
        broker = await Broker.open(Path(":memory:"), topology, VirtualClock(), executor=InlineExecutor())
        return cls(broker, queues, notebook)

    async def send(self, queue: str, messages: Sequence[OutgoingMessage]) -> None:
        """Hand messages to a queue."""
        numbers = await self.broker.schedule(queue, [_message(each) for each in messages])
        for number, message in zip(numbers, messages, strict=True):
            self._notebook.note(Sent, queue, message.message_id, steps_of(message.body), bool(number))

    async def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> None:
        """Hand messages to a topic; each subscription's copy is a message of its own."""
        numbers = await self.broker.schedule(topic, [_message(each) for each in messages])
        for queue in (each for each in self.queues if each.startswith(topic)):
            there = await self._ids(queue)
            for number, message in zip(numbers, messages, strict=True):
                if message.message_id in there:
                    asked = tuple(step for step in steps_of(message.body) if step.endswith(f".{_name(queue)}"))
                    self._notebook.note(Sent, queue, message.message_id, asked, bool(number))

    async def receive(self, queue: str) -> Delivery:
        """The next message of a queue, locked."""
        [delivery] = await self.broker.receive(queue, max_messages=1, mode=ReceiveMode.PEEK_LOCK)
        return delivery

    async def lying(self) -> frozenset[tuple[str, str]]:
        """Every message that waits, is locked, or is scheduled."""
        return frozenset([(queue, message) for queue in self.queues for message in await self._ids(queue)])

    async def dead(self) -> frozenset[tuple[str, str]]:
        """Every dead letter."""
        letters = [(queue, await self._ids(f"{queue}/$deadletterqueue")) for queue in self.queues]
        return frozenset((queue, message) for queue, found in letters for message in found)

    async def _ids(self, entity: str) -> set[str]:
        return {str(delivery.message.message_id) for delivery in await self._peek(entity)}

    async def _peek(self, entity: str) -> Sequence[Delivery]:
        return await self.broker.peek(entity, from_sequence_number=0, max_messages=_MANY)


def agent_of(queue: str) -> str:
    """The agent whose queue or subscription this is."""
    return _name(queue) if "/" in queue else queue.removesuffix("-tasks")


def steps_of(body: bytes) -> tuple[str, ...]:
    """The steps that a message asks for: a task's own, or one for each agent that an event asks to react."""
    read: dict[str, Any] = json.loads(body)
    if "step_id" in read:
        return (read["step_id"],)
    agents: Iterable[str] = read.get("reactors", "").split()
    return tuple(reaction_step_id(read["id"], agent) for agent in agents)


def _path(subscription: str) -> str:
    return f"{names.EVENTS_TOPIC}/subscriptions/{subscription}"


def _name(queue: str) -> str:
    return queue.rpartition("/")[2]


def _message(message: OutgoingMessage) -> Message:
    return Message(
        content=message.body,
        size=len(message.body) + 200,
        message_id=message.message_id,
        correlation_id=message.correlation_id,
        subject=message.label,
        to=message.to,
        content_type=message.content_type,
        scheduled_enqueue_time=message.enqueue_at,
        properties=dict(message.properties),
    )
