"""The Service Bus adapter when things go wrong: nobody there, silence, a restart, a bad setting, a cancelled send."""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    MessagingEntityNotFoundError,
    ServiceBusAuthorizationError,
    ServiceBusConnectionError,
    ServiceBusQuotaExceededError,
)

from devhost.amqp.listener import AmqpListener
from devhost.broker.broker import Broker
from devhost.broker.topology import QueueOptions, Topology
from devhost.clock import SystemClock
from shared.errors import BusUnavailable, ConfigurationError, MessageTooLarge, MusterError, NotFound
from shared.messaging.bus import OutgoingMessage
from shared.messaging.servicebus import Namespace, ServiceBus, _Entity, _translated
from tests.contract.bus.conftest import emulator
from tests.support.muster_host import free_port

MESSAGE = OutgoingMessage(body=b"{}", message_id="m-1")


@asynccontextmanager
async def bus_to(port: int, *, tries_of: float = 20, retries: int = 0) -> AsyncIterator[ServiceBus]:
    namespace = Namespace(connection_string=emulator(port), try_timeout=timedelta(seconds=tries_of), retries=retries)
    bus = ServiceBus(namespace)
    try:
        yield bus
    finally:
        await bus.close()


@asynccontextmanager
async def broker_on(folder: Path, port: int = 0) -> AsyncIterator[tuple[Broker, AmqpListener]]:
    topology = Topology(queues=(QueueOptions("work-tasks"),))
    broker = await Broker.open(folder / "broker.db", topology, SystemClock())
    listener = AmqpListener(broker, SystemClock(), port=port)
    await listener.start()
    try:
        yield broker, listener
    finally:
        await listener.stop()
        await broker.close()


@asynccontextmanager
async def answering(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A TCP server that is no Service Bus; its port."""
    writers: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await answer(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        # The client keeps the socket of a try that it gave up; a reset makes it let go, on the loop's next turns.
        for writer in writers:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        server.close()
        await server.wait_closed()
        for _ in range(5):
            await asyncio.sleep(0)


async def test_where_nobody_listens_the_bus_is_unavailable() -> None:
    async with bus_to(free_port()) as bus:
        with pytest.raises(BusUnavailable, match="work-tasks"):
            await bus.send("work-tasks", [MESSAGE])


async def test_a_namespace_that_takes_connections_and_says_nothing_is_given_up() -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with answering(silence) as port, bus_to(port, tries_of=0.5) as bus:
        begun = time.monotonic()
        with pytest.raises(BusUnavailable):
            await bus.send("work-tasks", [MESSAGE])
        assert time.monotonic() - begun < 8


async def test_a_server_that_speaks_something_else_is_unavailable() -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with answering(garbage) as port, bus_to(port, tries_of=1) as bus:
        with pytest.raises(BusUnavailable):
            await bus.send("work-tasks", [MESSAGE])


async def test_after_a_broker_restarted_at_most_one_send_fails_and_that_one_may_be_tried_again(tmp_path: Path) -> None:
    port = free_port()
    async with bus_to(port, tries_of=5) as bus:
        async with broker_on(tmp_path, port):
            await bus.send("work-tasks", [MESSAGE])
        async with broker_on(tmp_path, port) as (broker, _):
            with suppress(BusUnavailable):
                await bus.send("work-tasks", [MESSAGE])
            await bus.send("work-tasks", [OutgoingMessage(body=b"{}", message_id="m-2")])
            assert broker.counts("work-tasks").active >= 2


async def test_a_cancelled_send_leaves_the_next_one_whole(tmp_path: Path) -> None:
    async with broker_on(tmp_path) as (broker, listener), bus_to(listener.port) as bus:
        await bus.send("work-tasks", [MESSAGE])
        for wait in (0, 0.001, 0.01):
            sending = asyncio.create_task(
                bus.send("work-tasks", [OutgoingMessage(body=b"x" * 200_000, message_id="c")] * 3)
            )
            await asyncio.sleep(wait)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
        before = broker.counts("work-tasks").active
        await bus.send("work-tasks", [OutgoingMessage(body=b"last", message_id="last")])
        assert broker.counts("work-tasks").active == before + 1


async def test_one_queue_that_fails_holds_up_no_other(tmp_path: Path) -> None:
    async with broker_on(tmp_path) as (broker, listener), bus_to(listener.port) as bus:
        outcomes = await asyncio.gather(
            bus.send("ghost-tasks", [MESSAGE]), bus.send("work-tasks", [MESSAGE]), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [NotFound, type(None)]
        assert broker.counts("work-tasks").active == 1


async def test_closing_is_harmless_twice_and_before_the_first_send(tmp_path: Path) -> None:
    async with broker_on(tmp_path) as (broker, listener), bus_to(listener.port) as bus:
        await bus.close()
        await bus.send("work-tasks", [MESSAGE])
        await bus.close()
        await bus.close()
        await bus.send("work-tasks", [OutgoingMessage(body=b"", message_id="m-2")])
        assert broker.counts("work-tasks").active == 2


@pytest.mark.parametrize(
    "connection",
    [
        "nonsense s3cr3t",
        "Endpoint=sb://x.example/",
        "SharedAccessKeyName=n;SharedAccessKey=s3cr3t",
    ],
)
async def test_a_connection_string_that_is_none_is_an_error_that_does_not_show_it(connection: str) -> None:
    with pytest.raises(ConfigurationError, match="ServiceBusConnection") as refused:
        await ServiceBus(Namespace(connection_string=connection)).send("work-tasks", [MESSAGE])
    assert "s3cr3t" not in str(refused.value)


async def test_without_any_setting_the_ones_to_set_are_named() -> None:
    with pytest.raises(ConfigurationError, match="ServiceBusConnection__fullyQualifiedNamespace"):
        await ServiceBus(Namespace()).send("work-tasks", [MESSAGE])


def test_a_namespace_does_not_show_its_key() -> None:
    assert "SAS_KEY_VALUE" not in repr(Namespace(connection_string=emulator(1)))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MessageSizeExceededError(message="big"), MessageTooLarge),
        (MessagingEntityNotFoundError(message="gone"), NotFound),
        (ServiceBusAuthorizationError(message="no"), ConfigurationError),
        (ClientAuthenticationError(message="no identity"), ConfigurationError),
        (ServiceBusConnectionError(message="down"), BusUnavailable),
        (ServiceBusQuotaExceededError(message="full"), BusUnavailable),
        (ConnectionResetError("reset"), BusUnavailable),
        (ValueError("The handler has already been shutdown."), BusUnavailable),
    ],
)
def test_every_error_of_the_client_becomes_one_of_ours(error: Any, kind: type[MusterError]) -> None:
    assert type(_translated(error, _Entity("queue", "work-tasks"))) is kind
