"""The AMQP listener: Service Bus clients connect here and find the broker's entities.

Bound to the loopback interface unless told otherwise; whoever connects is trusted, as with Microsoft's emulator.
"""

import asyncio
import logging
import uuid

from devhost.amqp.attach import ClientLinks
from devhost.amqp.connection import AmqpConnection
from devhost.amqp.limits import Limits
from devhost.broker.broker import Broker
from devhost.clock import Clock

_log = logging.getLogger("devhost.amqp")


class AmqpListener:
    """Serves `broker` on a TCP port; port 0 picks a free one."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        *,
        host: str = "127.0.0.1",
        port: int = 5672,
        limits: Limits | None = None,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._host = host
        self._requested_port = port
        self._limits = limits or Limits()
        self._container = f"devhost-{uuid.uuid4()}"
        self._server: asyncio.Server | None = None
        self._connections: set[AmqpConnection] = set()
        self._turned_away = 0

    @property
    def port(self) -> int:
        """The port listened on; the one asked for while not started."""
        if self._server is None or not self._server.sockets:
            return self._requested_port
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return len(self._connections)

    async def start(self) -> None:
        """Listen. Raises `OSError` when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, self._host, self._requested_port, backlog=1024)

    async def stop(self, drain: float = 5.0) -> None:
        """Stop listening, let work under way end for at most `drain` seconds, and close every connection."""
        if self._server is None:
            return
        self._server.close()
        reason = "the local host is shutting down"
        async with asyncio.TaskGroup() as group:
            for connection in list(self._connections):
                group.create_task(connection.finish(reason, drain))
        # What the peers do not take is dropped with the sockets.
        await asyncio.sleep(0)
        for connection in list(self._connections):
            connection.abort()
        await self._server.wait_closed()
        self._server = None

    def _connection(self) -> asyncio.BaseProtocol:
        if len(self._connections) >= self._limits.max_connections:
            return _TurnAway(self._turn_away)
        connection = AmqpConnection(
            ClientLinks(self._broker, self._clock), self._limits, self._container, self._connections.discard
        )
        self._connections.add(connection)
        return connection

    def _turn_away(self) -> None:
        # A flood of connections must not become a flood of log lines.
        self._turned_away += 1
        if self._turned_away.bit_count() == 1:
            _log.warning(
                "%d connections turned away so far: %d are open already",
                self._turned_away,
                self._limits.max_connections,
            )


class _TurnAway(asyncio.Protocol):
    """Closes a connection that is one too many."""

    def __init__(self, count: object) -> None:
        self._count = count

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close at once."""
        transport.close()
        if callable(self._count):
            self._count()
