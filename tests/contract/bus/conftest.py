"""The buses that the contract is held against: the twin in memory, and Service Bus over AMQP to the local broker."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from azure.servicebus import ServiceBusReceivedMessage

from devhost.amqp.listener import AmqpListener
from devhost.broker.broker import Broker
from devhost.broker.model import ReceiveMode
from devhost.broker.topology import (
    CorrelationFilter,
    QueueOptions,
    Rule,
    SqlFilter,
    SubscriptionOptions,
    TopicOptions,
    Topology,
)
from devhost.clock import ManualClock
from shared.messaging.bus import MessageBus, OutgoingMessage
from shared.messaging.memory import MemoryBus
from shared.messaging.servicebus import Namespace, ServiceBus

QUEUE, OTHER = "work-tasks", "other-tasks"
TOPIC = "happenings"
LIT, DIM = f"{TOPIC}/lit", f"{TOPIC}/dim"
"""The subscriptions of `TOPIC`: for what is labelled Lit and addressed to agents, and for what is not so addressed."""
ENTITIES = (QUEUE, OTHER, LIT, DIM)

START = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Bus:
    """A bus over `ENTITIES`. `taken` empties a queue or subscription; a scheduled message is there with its time.

    `kill` makes a message a dead letter of an entity, for the reason "Tested".
    """

    bus: MessageBus
    taken: Callable[[str], Awaitable[Sequence[OutgoingMessage]]]
    kill: Callable[[str, OutgoingMessage], Awaitable[None]]


@asynccontextmanager
async def in_memory() -> AsyncIterator[Bus]:
    """The twin."""
    chosen = {
        "lit": lambda message: (message.label, message.to) == ("Lit", "agents"),
        "dim": lambda message: message.to != "agents",
    }
    memory = MemoryBus([QUEUE, OTHER], {TOPIC: chosen})

    async def taken(queue: str) -> Sequence[OutgoingMessage]:
        return memory.taken(queue)

    async def kill(entity: str, message: OutgoingMessage) -> None:
        memory.kill(entity, message, "Tested")

    yield Bus(memory, taken, kill)


@asynccontextmanager
async def over_amqp(folder: Path) -> AsyncIterator[Bus]:
    """The adapter, and a broker that it reaches as it would reach Azure."""
    clock = ManualClock(START)
    options = [QueueOptions(name, requires_duplicate_detection=True) for name in (QUEUE, OTHER)]
    lit = Rule("$Default", CorrelationFilter(label="Lit", to="agents"))
    dim = Rule("$Default", SqlFilter("sys.To IS NULL OR sys.To <> 'agents'"))
    subscriptions = (SubscriptionOptions("lit", rules=(lit,)), SubscriptionOptions("dim", rules=(dim,)))
    topic = TopicOptions(TOPIC, requires_duplicate_detection=True, subscriptions=subscriptions)
    broker = await Broker.open(folder / "broker.db", Topology(tuple(options), (topic,)), clock)
    listener = AmqpListener(broker, clock, port=0)
    await listener.start()

    async def taken(entity: str) -> Sequence[OutgoingMessage]:
        queue = entity.replace("/", "/Subscriptions/")
        waiting = await broker.peek(queue, from_sequence_number=0, max_messages=1000)
        due = {delivery.sequence_number: delivery.message.scheduled_enqueue_time for delivery in waiting}
        clock.advance(timedelta(days=1))
        mode = ReceiveMode.RECEIVE_AND_DELETE
        found = await broker.receive_now(queue, max_messages=1000, mode=mode) if waiting else []
        return [_read(delivery.message.content, due[delivery.sequence_number]) for delivery in found]

    bus = ServiceBus(Namespace(connection_string=emulator(listener.port), retries=0))

    async def kill(entity: str, message: OutgoingMessage) -> None:
        topic, _, subscription = entity.partition("/")
        path = f"{topic}/Subscriptions/{subscription}" if subscription else entity
        await (bus.publish(topic, [message]) if subscription else bus.send(entity, [message]))
        [delivery] = await broker.receive_now(path, max_messages=1, mode=ReceiveMode.PEEK_LOCK)
        assert delivery.lock_token is not None
        await broker.dead_letter(path, delivery.lock_token, reason="Tested")

    yield Bus(bus, taken, kill)
    await bus.close()
    await listener.stop()
    await broker.close()


def emulator(port: int) -> str:
    """The emulator's connection string, for a port of this machine."""
    return (
        f"Endpoint=sb://localhost:{port};SharedAccessKeyName=RootManageSharedAccessKey;"
        "SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;"
    )


def _read(content: bytes, due: datetime | None) -> OutgoingMessage:
    message = ServiceBusReceivedMessage.from_bytes(content)
    properties = message.application_properties or {}
    trace = properties.get(b"Diagnostic-Id")
    return OutgoingMessage(
        body=b"".join(bytes(part) for part in message.body),
        message_id=str(message.message_id),
        correlation_id=message.correlation_id,
        enqueue_at=due,
        traceparent=trace.decode() if isinstance(trace, bytes) else None,
        label=message.subject,
        to=message.to,
        content_type=message.content_type or "",
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["memory", "servicebus"])
async def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bus]:
    """One bus for all tests of a module: opening a link takes the client half a second."""
    made = in_memory() if request.param == "memory" else over_amqp(tmp_path_factory.mktemp("bus"))
    async with made as bus:
        yield bus


@pytest_asyncio.fixture(loop_scope="module")
async def bus(opened: Bus) -> Bus:
    """The bus with its queues and subscriptions empty."""
    for entity in ENTITIES:
        await opened.taken(entity)
    return opened
