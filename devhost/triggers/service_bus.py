"""Service Bus triggers: functions called for the messages of queues and subscriptions, wherever the namespace is.

Wiring: binding and settings -> receiver (the stock client) -> pump (how many at once) -> dispatcher (invoke, settle).
The semantics are those of the Functions Service Bus extension 5.x: peek-lock, lock renewal, complete on success,
abandon on failure, which means immediate redelivery until the entity's maximum delivery count.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from devhost.clock import Clock
from devhost.errors import StartError
from devhost.telemetry.spans import Spans
from devhost.triggers.service_bus_binding import TRIGGER, Entity, ServiceBusBinding, read_binding
from devhost.triggers.service_bus_client import AzureReceiverFactory
from devhost.triggers.service_bus_connection import Connection
from devhost.triggers.service_bus_dispatch import Dispatcher
from devhost.triggers.service_bus_link import LinkState, NamespaceState
from devhost.triggers.service_bus_options import ServiceBusOptions
from devhost.triggers.service_bus_pump import BatchPump, Pump, SinglePump
from devhost.triggers.service_bus_receiver import ReceiverFactory
from devhost.triggers.service_bus_sessions import SessionPump
from devhost.triggers.stop_signal import StopSignal
from devhost.triggers.trigger import Trigger
from devhost.worker.model import FunctionMetadata, Invoke

_log = logging.getLogger(__name__)

type Connect = Callable[[Connection, Entity, int], ReceiverFactory]


def connect(connection: Connection, entity: Entity, prefetch_count: int) -> ReceiverFactory:
    """The receivers of one entity: those of the stock client."""
    return AzureReceiverFactory(connection, entity, prefetch_count=prefetch_count)


class ServiceBusTrigger:
    """One function's receive loop, and the client it uses."""

    def __init__(self, name: str, factory: ReceiverFactory, pump: Pump, stop: StopSignal, link: LinkState) -> None:
        self._name = name
        self._link = link
        self._factory = factory
        self._pump = pump
        self._stop = stop
        self._task: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """The function's name."""
        return self._name

    @property
    def resting(self) -> bool:
        """Whether it cannot receive, and waits for its next try to connect."""
        return self._link.resting

    async def start(self) -> None:
        """Begin to receive. A namespace that cannot be reached is logged and tried again."""
        self._task = asyncio.create_task(self._run(), name=f"service bus {self._name}")

    async def stop(self) -> None:
        """Receive no more, let running calls finish and settle, give back what was not started, then disconnect.

        Takes as long as the running calls. Cancelled, it disconnects at once.
        """
        self._stop.set()
        try:
            if self._task is not None:
                await self._task
        finally:
            await self._factory.close()

    async def _run(self) -> None:
        try:
            await self._pump.run()
        except Exception:
            _log.critical("%s receives no more: the host failed", self._name, exc_info=True)


def build_service_bus_triggers(
    functions: Sequence[FunctionMetadata],
    settings: Mapping[str, str],
    host_options: Mapping[str, Any],
    invoke: Invoke,
    clock: Clock,
    *,
    connect: Connect = connect,
    spans: Spans | None = None,
) -> list[Trigger]:
    """A trigger for every function with a `serviceBusTrigger`; nothing is connected before `start`.

    `host_options` is the section `extensions.serviceBus` of `host.json`. Raises `StartError`, with a line for each
    problem: a value of that section, a setting that is missing or malformed, an entity that is not fully named.
    """
    options = ServiceBusOptions.from_host_json(host_options)
    namespaces: dict[str, NamespaceState] = {}
    built: list[Trigger] = []
    for function, binding in _read_all(functions, settings, options):
        address = binding.connection.address
        namespace = namespaces.setdefault(address, NamespaceState(address))
        _warn(function, binding)
        stop = StopSignal()
        factory = connect(binding.connection, binding.entity, options.prefetch_count)
        dispatcher = Dispatcher(function, binding, options, invoke, clock, spans)
        state = LinkState(function.name, str(binding.entity), namespace)
        pump = _pump(binding, factory, dispatcher, options, state, clock, stop)
        built.append(ServiceBusTrigger(function.name, factory, pump, stop, state))
    return built


def _read_all(
    functions: Sequence[FunctionMetadata], settings: Mapping[str, str], options: ServiceBusOptions
) -> list[tuple[FunctionMetadata, ServiceBusBinding]]:
    bindings: list[tuple[FunctionMetadata, ServiceBusBinding]] = []
    problems: list[str] = []
    for function in functions:
        if function.trigger.type != TRIGGER:
            continue
        try:
            binding = read_binding(function, settings, auto_complete_default=options.auto_complete_messages)
            bindings.append((function, binding))
        except StartError as refused:
            problems.append(str(refused))
    if problems:
        raise StartError("\n".join(problems))
    return bindings


def _pump(
    binding: ServiceBusBinding,
    factory: ReceiverFactory,
    dispatcher: Dispatcher,
    options: ServiceBusOptions,
    state: LinkState,
    clock: Clock,
    stop: StopSignal,
) -> Pump:
    if binding.sessions:
        return SessionPump(factory, dispatcher, options, state, clock, stop, many=binding.many)
    kind = BatchPump if binding.many else SinglePump
    return kind(factory, dispatcher, options, state, clock, stop)


def _warn(function: FunctionMetadata, binding: ServiceBusBinding) -> None:
    if not binding.auto_complete:
        _log.warning(
            "function '%s': autoCompleteMessages is false, and a Python function cannot settle a message by hand: every"
            " message comes back when its lock ends, until its deliveries are used up",
            function.name,
        )
    if function.retry:
        _log.warning("function '%s': a retry policy has no effect on a Service Bus trigger", function.name)
