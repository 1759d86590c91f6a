"""The Service Bus namespace the host serves itself, when the app asks for the emulator and none is running.

Wiring: connection settings of the app's bindings -> is somebody there? -> topology -> broker core, AMQP listener,
administration server. Only an emulator's connection string (`UseDevelopmentEmulator=true`) with an endpoint on this
machine counts; everything else is somebody else's namespace and is left alone.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from enum import Enum, auto
from pathlib import Path
from typing import Final

from devhost.administration.server import AdministrationServer
from devhost.amqp.listener import AmqpListener
from devhost.broker.broker import Broker
from devhost.broker.errors import BrokerError
from devhost.clock import Clock
from devhost.errors import StartError
from devhost.fittings import OpenBroker
from devhost.servicebus_topology import Want, topology_for, wants
from devhost.triggers.service_bus_connection import ConnectionString
from devhost.worker.model import FunctionMetadata

_log = logging.getLogger(__name__)

HOST: Final = "127.0.0.1"
STATE_FILE: Final = "servicebus.db"
ADMINISTRATION_PORT: Final = 5300
_PROBE_SECONDS: Final = 2.0
_GREETING: Final = b"AMQP\x03\x01\x00\x00"
_GREETINGS: Final = frozenset({_GREETING, b"AMQP\x00\x01\x00\x00"})


class Listening(Enum):
    """Who listens on a port."""

    NOBODY = auto()
    AMQP = auto()
    SOMETHING_ELSE = auto()


class ServedNamespace:
    """A namespace served by this process."""

    def __init__(
        self, broker: Broker, listener: AmqpListener, administration: AdministrationServer, parts: AsyncExitStack
    ) -> None:
        self.broker = broker
        self._listener = listener
        self._administration = administration
        self._parts = parts

    @property
    def amqp_port(self) -> int:
        """The port clients connect to."""
        return self._listener.port

    @property
    def administration_port(self) -> int:
        """The port administration clients connect to."""
        return self._administration.port

    async def stop(self) -> None:
        """Close every connection and commit what is under way. Stop whatever uses the namespace first."""
        await self._parts.aclose()


async def serve_if_needed(
    functions: Sequence[FunctionMetadata],
    settings: Mapping[str, str],
    *,
    app_dir: Path,
    state_dir: Path,
    clock: Clock,
    topology_file: Path | None = None,
    administration_port: int = ADMINISTRATION_PORT,
    open_broker: OpenBroker = Broker.open,
) -> ServedNamespace | None:
    """Serve the namespace the app's Service Bus settings name, unless it is elsewhere or already served: None then.

    The broker's state is `servicebus.db` in `state_dir`, a folder that exists. `topology_file` names the entities;
    without it `infra/servicebus.json` of the app does, and without that the app's own bindings. When
    `administration_port` is taken, as by a second host, a free one is used. Raises `StartError`: a setting or the file
    is missing or malformed, or the AMQP port is in use by something that does not speak AMQP.
    """
    needs = wants(functions, settings)
    emulators = _emulators(needs)
    if not emulators:
        return None
    if len(emulators) > 1:
        named = ", ".join(f"{setting} (port {port})" for port, setting in sorted(emulators.items()))
        raise StartError(f"the host serves one Service Bus namespace, but the settings name several: {named}")
    ((port, setting),) = emulators.items()
    listening = await probe(port)
    if listening is Listening.AMQP:
        _log.warning(
            "using the Service Bus namespace that already listens on port %d: if it is another host's, each takes"
            " messages meant for the other (--amqp-port 0 serves one of its own)",
            port,
        )
        return None
    if listening is Listening.SOMETHING_ELSE:
        raise StartError(_port_in_use(port, setting))
    topology = topology_for([need for need in needs if _port_of(need) == port], app_dir, topology_file)
    try:
        broker = await open_broker(state_dir / STATE_FILE, topology, clock)
    except BrokerError as refused:
        raise StartError(f"the Service Bus namespace cannot be served: {refused}") from refused
    try:
        return await _serve(broker, state_dir, clock, port, administration_port)
    except OSError as taken:
        raise StartError(_port_in_use(port, setting)) from taken


async def probe(port: int) -> Listening:
    """Who listens on `port` of this machine; speaking AMQP 1.0 is answering its greeting with one."""
    # Asked by binding first: connecting to a port that nobody holds may connect a socket to itself, whose echo of the
    # greeting would pass for an answer.
    if _is_free(port):
        return Listening.NOBODY
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(HOST, port)
    except ConnectionRefusedError:
        return Listening.NOBODY
    except (OSError, TimeoutError):
        return Listening.SOMETHING_ELSE
    try:
        writer.write(_GREETING)
        async with asyncio.timeout(_PROBE_SECONDS):
            answer = await reader.readexactly(len(_GREETING))
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return Listening.SOMETHING_ELSE
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return Listening.AMQP if answer in _GREETINGS else Listening.SOMETHING_ELSE


def _is_free(port: int) -> bool:
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((HOST, port))
        except OSError:
            return False
    return True


def _port_of(need: Want) -> int | None:
    """The port of the emulator on this machine that the need is for, None when it is for another namespace."""
    connection = need.connection
    if isinstance(connection, ConnectionString) and connection.emulator and connection.is_loopback:
        return connection.emulator_port
    return None


def _emulators(needs: Sequence[Want]) -> dict[int, str]:
    """Ports of the emulators on this machine that are needed, each with a setting that names it."""
    return {port: need.connection.setting for need in needs if (port := _port_of(need)) is not None}


async def _serve(broker: Broker, state_dir: Path, clock: Clock, port: int, administration_port: int) -> ServedNamespace:
    async with AsyncExitStack() as parts:
        parts.push_async_callback(broker.close)
        listener = AmqpListener(broker, clock, host=HOST, port=port)
        await listener.start()
        parts.push_async_callback(listener.stop)
        administration = await _administration(broker, clock, administration_port, state_dir)
        parts.push_async_callback(administration.stop)
        _report(broker, listener, administration)
        return ServedNamespace(broker, listener, administration, parts.pop_all())


async def _administration(broker: Broker, clock: Clock, port: int, state_dir: Path) -> AdministrationServer:
    wanted = AdministrationServer(broker, clock, host=HOST, port=port, state_dir=state_dir)
    try:
        await wanted.start()
    except OSError:
        anywhere = AdministrationServer(broker, clock, host=HOST, port=0, state_dir=state_dir)
        await anywhere.start()
        _log.warning("port %d is in use, so Service Bus administration is on port %d", port, anywhere.port)
        return anywhere
    return wanted


def _report(broker: Broker, listener: AmqpListener, administration: AdministrationServer) -> None:
    _log.info(
        "serving Service Bus at sb://localhost:%d; administration at localhost:%d, for HTTPS clients trust %s",
        listener.port,
        administration.port,
        administration.certificate,
    )
    recovered = broker.recovered
    if recovered.messages:
        _log.info("%d messages were waiting from before", recovered.messages)
    if recovered.left_over:
        _log.info("kept from an earlier run, though no longer in the topology: %s", ", ".join(recovered.left_over))


def _port_in_use(port: int, setting: str) -> str:
    return (
        f"port {port} is in use by something that does not speak AMQP, so Service Bus cannot be served there:"
        f" stop that, or choose another port in the setting {setting} (Endpoint=sb://localhost:{port + 1};...)"
    )
