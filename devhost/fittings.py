"""What a test or a measurement may exchange in a host. The command line runs one with none of this."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from devhost.broker.broker import Broker
from devhost.broker.topology import Topology
from devhost.clock import Clock
from devhost.taskhub.engine.crash_points import CrashPoints
from devhost.taskhub.engine.identifiers import Ids
from devhost.triggers.service_bus import Connect, connect
from devhost.worker.worker import Worker

type OpenBroker = Callable[[Path, Topology, Clock], Awaitable[Broker]]


@dataclass(frozen=True, slots=True)
class Fittings:
    """How the app is loaded, and whether it is let go of at the end; where the task hub dies; whence its ids come.

    `open_broker` opens the Service Bus namespace's file, and `connect` makes what the triggers receive with.
    """

    load_worker: Callable[[Path], Awaitable[Worker]] = Worker.load
    owns_worker: bool = True
    crash_points: CrashPoints | None = None
    ids: Ids | None = None
    open_broker: OpenBroker = Broker.open
    connect: Connect = connect
