"""Where clients misbehave: a namespace that others use meanwhile, and an account of what the listener said about it."""

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from devhost.amqp.limits import Limits
from devhost.amqp.listener import AmqpListener
from devhost.broker.broker import Broker
from devhost.broker.model import Message
from tests.support.amqp_wire import Code, Wire, attach_sender, message, performative
from tests.support.eventually import eventually
from tests.support.service_bus import Lane, LocalNamespace, body, connection_string, take_one


class Bystander:
    """A well-behaved stock client, with a sender and a receiver that stay open."""

    def __init__(self, port: int, queue: str) -> None:
        self._client = ServiceBusClient.from_connection_string(connection_string(port))
        sender: Any = self._client.get_queue_sender(queue)
        receiver: Any = self._client.get_queue_receiver(queue)
        self._lane = Lane(queue, sender, receiver)
        self._number = itertools.count()

    async def open(self) -> None:
        await asyncio.gather(self._lane.sender.__aenter__(), self._lane.receiver.__aenter__())

    async def is_served(self) -> bool:
        """Send a message, receive it and complete it."""
        text = str(next(self._number))
        await self._lane.sender.send_messages(ServiceBusMessage(text))
        return body(await take_one(self._lane)) == text.encode()

    async def close(self) -> None:
        await asyncio.gather(self._lane.sender.close(), self._lane.receiver.close())
        await self._client.close()


class Ground:
    """What one test needs; at its end nobody may have been disturbed, and nothing may be left."""

    def __init__(self, namespace: LocalNamespace, bystander: Bystander, log: pytest.LogCaptureFixture) -> None:
        self.namespace = namespace
        self.bystander = bystander
        self._log = log
        self._heard = 0
        self._polite: list[Wire] = []
        self._wires: list[Wire] = []
        self._listeners: list[AmqpListener] = []
        self._before = (namespace.listener.connections, _tasks(), _sockets())

    @property
    def broker(self) -> Broker:
        """What is behind the listener."""
        return self.namespace.broker

    async def listen(self, **limits: Any) -> AmqpListener:
        """Another listener, with limits of its own, on the same broker."""
        listener = AmqpListener(self.broker, self.namespace.clock, port=0, limits=Limits(**limits))
        await listener.start()
        self._listeners.append(listener)
        return listener

    async def connect(self, listener: AmqpListener | None = None) -> Wire:
        """A connection on which nothing has been said."""
        wire = await Wire.connect((listener or self.namespace.listener).port)
        self._wires.append(wire)
        return wire

    async def open(self, *frames: bytes, listener: AmqpListener | None = None, window: int | None = None) -> Wire:
        """A connection with a session, on which `frames` have been said."""
        wire = await self.connect(listener)
        await wire.open(*frames, **({} if window is None else {"window": window}))
        self._polite.append(wire)
        return wire

    async def sender(self, queue: str, listener: AmqpListener | None = None) -> Wire:
        """An open connection with a link to send to `queue` on."""
        wire = await self.open(attach_sender(queue), listener=listener)
        await wire.hear(Code.FLOW)
        return wire

    async def fill(self, queue: str, count: int, size: int) -> None:
        """Put messages of `size` bytes into a queue."""
        content = message(bytes(size))
        await self.broker.send(queue, [Message(content=content, size=size) for _ in range(count)])

    def lines(self) -> list[str]:
        """What has been logged since it was last asked."""
        records = [record for record in self._log.records if not record.name.startswith("azure")]
        fresh, self._heard = records[self._heard :], len(records)
        return [record.getMessage() for record in fresh]

    async def line(self) -> str:
        """The one thing that has been logged, or will be, since it was last asked."""
        (line,) = await eventually(self.lines)
        assert "\n" not in line
        assert len(line) < 1000
        return line

    async def close(self) -> None:
        """Say goodbye, and see that all is as it was."""
        self.namespace.catch_up()
        assert await self.bystander.is_served()
        for wire in self._polite:
            await wire.say_what_can_be_said(performative(Code.CLOSE))
            await wire.ended()
        for wire in self._wires:
            await wire.close()
        for listener in self._listeners:
            await eventually(_none_on(listener))
            await listener.stop()
        await eventually(lambda: (self.namespace.listener.connections, _tasks(), _sockets()) <= self._before)
        assert self.lines() == []


def _none_on(listener: AmqpListener) -> Callable[[], bool]:
    return lambda: listener.connections == 0


def _tasks() -> int:
    """Tasks of the listener that are under way."""
    coroutines = [task.get_coro() for task in asyncio.all_tasks()]
    return sum("devhost/amqp" in str(getattr(each, "cr_code", "")) for each in coroutines)


def _sockets() -> int:
    """Sockets this process has open; 0 where that cannot be told."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        return 0
    return sum(entry.is_socket() for entry in folder.iterdir())
