"""The parts of a running host, made and connected, but none of them started: see `Host` for the order of that.

Wiring: HTTP server and triggers -> invoker -> worker; task hub -> executor -> invoker; durable clients in the app, and
the management API -> task hub.
"""

import logging
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from aiohttp import web

from devhost.bindings.service_bus_output import ServiceBusOutputs
from devhost.clock import Clock
from devhost.config import AppConfig
from devhost.fittings import Fittings
from devhost.http.admin_api import AdminApi
from devhost.http.function_endpoint import FunctionEndpoint
from devhost.http.limits import RequestLimits
from devhost.http.routes import RouteTable, build_routes
from devhost.http.server import HttpServer
from devhost.keys import DURABLE_KEY, HostKeys
from devhost.offline_model.api import OfflineModelApi
from devhost.options import HostOptions
from devhost.taskhub.durable_executor import DurableExecutor
from devhost.taskhub.embedded import EmbeddedTaskHub
from devhost.taskhub.endpoint import MAX_MESSAGE_BYTES
from devhost.taskhub.host_settings import concurrency_of, versioning_of
from devhost.taskhub.hub import TaskHub, WorkItemExecutor
from devhost.taskhub.management_api import ManagementApi
from devhost.taskhub.turns import CHECK_EVERY, ReplayedTurns, StickyTurns
from devhost.telemetry.orchestrations import OrchestrationSpans
from devhost.telemetry.spans import NoSpans, Spans
from devhost.telemetry.work_items import TracedExecutor
from devhost.triggers.by_hand import manual_triggers
from devhost.triggers.service_bus import build_service_bus_triggers
from devhost.triggers.timer import build_timer_triggers
from devhost.triggers.trigger import Trigger
from devhost.worker.durable_client import DurableClientBinding
from devhost.worker.invoker import Invoker
from devhost.worker.model import FunctionMetadata
from devhost.worker.worker import Worker

_log = logging.getLogger(__name__)

_DURABLE: Final = frozenset({"orchestrationTrigger", "activityTrigger", "entityTrigger"})


@dataclass(frozen=True, slots=True)
class Ground:
    """What every part stands on: settings, folders, keys, the listening socket and its address, the clock.

    `on_failure` is told when a part can do nothing more until the host is started again. `spans` are the host's own, if
    it emits any.
    """

    options: HostOptions
    config: AppConfig
    state_dir: Path
    keys: HostKeys
    listener: socket.socket
    url: str
    clock: Clock
    started: datetime
    fittings: Fittings
    on_failure: Callable[[Exception], None]
    spans: Spans | None = None


@dataclass(frozen=True, slots=True)
class Durable:
    """The task hub and what is around it; only an app with something durable has them."""

    hub: EmbeddedTaskHub
    executor: WorkItemExecutor
    management: ManagementApi


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that is started and stopped."""

    routes: RouteTable
    invoker: Invoker
    outputs: ServiceBusOutputs
    durable: Durable | None
    triggers: Sequence[Trigger]
    offline_model: OfflineModelApi
    endpoint: FunctionEndpoint
    server: HttpServer


def build_parts(ground: Ground, worker: Worker, functions: Sequence[FunctionMetadata]) -> Parts:
    """Make the parts for `functions`, those of the worker's that are not disabled.

    Raises `StartError` for whatever a binding, a setting or `host.json` makes impossible.
    """
    config, host_json, clock = ground.config, ground.config.host_json, ground.clock
    routes = build_routes(functions, host_json.text("extensions", "http", "routePrefix", default="api"))
    hub = EmbeddedTaskHub(
        ground.state_dir / "taskhub",
        clock,
        concurrency_of(host_json),
        drain_within=ground.options.drain,
        versioning=versioning_of(host_json, config.expand),
        ids=ground.fittings.ids,
        crash_points=ground.fittings.crash_points,
        tracing=None if ground.spans is None else OrchestrationSpans(ground.spans),
        on_failure=ground.on_failure,
    )
    outputs = ServiceBusOutputs(functions, config.settings, spans=ground.spans)
    timeout = host_json.duration("functionTimeout")
    invoker = Invoker(
        worker, clock, durable_client=_durable_client(ground, hub), timeout=timeout, write_outputs=outputs.write
    )
    durable = _durable(ground, hub, worker, functions, invoker) if any(map(_is_durable, functions)) else None
    limits = RequestLimits.from_host_json(host_json)
    endpoint = FunctionEndpoint(routes, ground.keys, limits, invoker, ground.spans or NoSpans())
    model = OfflineModelApi(ground.clock, ground.options.offline_model_delay)
    own = [*_own_routes(ground, functions, routes, invoker, durable), *model.routes()]
    return Parts(
        routes=routes,
        invoker=invoker,
        outputs=outputs,
        durable=durable,
        triggers=_triggers(ground, functions, invoker),
        offline_model=model,
        endpoint=endpoint,
        server=HttpServer(
            ground.listener,
            endpoint,
            own,
            max_request_bytes=ground.options.max_request_bytes,
            custom_headers=host_json.texts("extensions", "http", "customHeaders"),
        ),
    )


def _durable_client(ground: Ground, hub: TaskHub) -> Callable[[], str]:
    """The value of a `durableClient` binding, asked for at each call: the hub's address is known once it is started."""
    name = ground.config.expand(
        ground.config.host_json.text("extensions", "durableTask", "hubName", default="TestHubName")
    )

    def value() -> str:
        key = ground.keys.values[DURABLE_KEY]
        return DurableClientBinding(name, ground.url, hub.address, key, MAX_MESSAGE_BYTES).value()

    return value


def _durable(
    ground: Ground, hub: EmbeddedTaskHub, worker: Worker, functions: Sequence[FunctionMetadata], invoker: Invoker
) -> Durable:
    turns = StickyTurns() if ground.options.sticky else ReplayedTurns()
    if ground.options.sticky:
        _log.info(
            "orchestrators are kept between their turns; at most one turn in %d is replayed and compared", CHECK_EVERY
        )
    executor = DurableExecutor(functions, invoker, callable_of=worker.callable_of, turns=turns)
    management = ManagementApi(hub, ground.keys, orchestrators=executor.orchestrators)
    return Durable(
        hub, executor if ground.spans is None else TracedExecutor(executor, ground.spans, ground.clock), management
    )


def _triggers(ground: Ground, functions: Sequence[FunctionMetadata], invoker: Invoker) -> Sequence[Trigger]:
    settings, clock, spans = ground.config.settings, ground.clock, ground.spans or NoSpans()
    options = ground.config.host_json.section("extensions", "serviceBus")
    return [
        *build_timer_triggers(functions, settings, ground.state_dir, invoker, clock, spans),
        *build_service_bus_triggers(
            functions, settings, options, invoker, clock, connect=ground.fittings.connect, spans=spans
        ),
    ]


def _own_routes(
    ground: Ground,
    functions: Sequence[FunctionMetadata],
    routes: RouteTable,
    invoker: Invoker,
    durable: Durable | None,
) -> Iterable[web.RouteDef]:
    """The host's own addresses, which come before the app's."""
    admin = AdminApi(
        app_name=ground.config.app_dir.name,
        base_url=ground.url,
        functions=functions,
        routes=routes,
        keys=ground.keys,
        invoke=invoker,
        clock=ground.clock,
        started=ground.started,
        manual_triggers=manual_triggers(ground.clock),
    )
    yield from admin.route_defs()
    if durable is not None:
        yield from durable.management.route_defs()


def _is_durable(function: FunctionMetadata) -> bool:
    return function.trigger.type in _DURABLE or bool(function.inputs("durableClient"))
