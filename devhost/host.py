"""The host put together: every part started in the order written here, and stopped in the reverse of it.

Order: state directory, keys, the HTTP port, the app, the task hub, the triggers, and the HTTP server last. So no part
gets work before all it needs is there; and stopping closes the doors first, lets the running calls come to an end, and
takes away what they need only then.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from aiohttp import web

from devhost.bindings.service_bus_output import ServiceBusOutputs
from devhost.clock import Clock
from devhost.config import AppConfig, announce, load_config
from devhost.host_json import HostJson
from devhost.http.admin_api import AdminApi
from devhost.http.function_endpoint import FunctionEndpoint
from devhost.http.limits import RequestLimits
from devhost.http.routes import RouteTable, build_routes
from devhost.http.server import DEFAULT_MAX_REQUEST_BYTES, HttpServer, free_port, listen
from devhost.keys import DURABLE_KEY, HostKeys, load_keys
from devhost.logs import LEVELS, set_app_level
from devhost.offline_model.api import OfflineModelApi
from devhost.startup_report import Startup, report, write_ready_file
from devhost.state_dir import StateDir
from devhost.taskhub.durable_executor import DurableExecutor
from devhost.taskhub.endpoint import MAX_MESSAGE_BYTES
from devhost.taskhub.in_memory import Concurrency, InMemoryTaskHub
from devhost.triggers.by_hand import manual_triggers
from devhost.triggers.service_bus import build_service_bus_triggers
from devhost.triggers.timer import build_timer_triggers
from devhost.triggers.trigger import Trigger
from devhost.worker.durable_client import DurableClientBinding
from devhost.worker.invoker import Invoker
from devhost.worker.model import FunctionMetadata
from devhost.worker.worker import Worker

_log = logging.getLogger(__name__)

STOP_SECONDS: Final = 30.0
_DURABLE: Final = frozenset({"orchestrationTrigger", "activityTrigger", "entityTrigger"})


@dataclass(frozen=True, slots=True)
class HostOptions:
    """What the person who starts the host chooses.

    Without a `state_dir` it is `.devhost` in the app's folder; `topology_file` names the Service Bus entities, and
    `amqp_port` the port to serve them on in place of the one in the app's settings. Port 0 is any free one.
    """

    app_dir: Path
    host: str = "127.0.0.1"
    port: int = 7071
    state_dir: Path | None = None
    max_request_bytes: int = DEFAULT_MAX_REQUEST_BYTES
    offline_model_delay: timedelta = timedelta(0)
    topology_file: Path | None = None
    amqp_port: int | None = None
    ready_file: Path | None = None
    verbose: bool = False


@dataclass(frozen=True, slots=True)
class _Ground:
    """What every part stands on: settings, folders, keys and the address."""

    config: AppConfig
    state_dir: Path
    keys: HostKeys
    listener: socket.socket
    url: str
    started: datetime


class Host:
    """One app, served. `start`, then `stop` once."""

    def __init__(self, options: HostOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._parts = AsyncExitStack()
        self._running: Callable[[], int] = lambda: 0

    async def start(self) -> None:
        """Start every part; when one fails, those already started are stopped again.

        Raises `StartError` or `IndexingError` with the reason.
        """
        try:
            await self._start()
        except BaseException:
            await self._parts.aclose()
            raise

    async def stop(self) -> bool:
        """Take in no more work, let running calls finish (30 seconds at most), and stop every part.

        False when something still ran at the end of that time; the process has to be ended to get rid of it.
        """
        running = self._running()
        waiting = f"; {running} calls are still running, Ctrl-C again stops at once" if running else ""
        _log.info("stopping%s", waiting)
        # Not cancelled when time is up: what is still being closed then would only be left half closed.
        stopping = asyncio.create_task(self._parts.aclose())
        done, _ = await asyncio.wait([stopping], timeout=STOP_SECONDS)
        if not done:
            left = self._running()
            _log.warning("%d calls were still running after %.0f seconds and are cut off", left, STOP_SECONDS)
            return False
        stopping.result()
        _log.info("stopped")
        return True

    async def _start(self) -> None:
        ground = self._prepare()
        worker = await Worker.load(self._options.app_dir)
        self._parts.push_async_callback(worker.close)
        functions = [each for each in worker.functions if not ground.config.disables(each.name)]
        prefix = ground.config.host_json.text("extensions", "http", "routePrefix", default="api")
        routes = build_routes(functions, prefix)
        amqp_port = await self._serve_namespace(ground, functions)
        invoker, management = await self._start_task_hub(ground, worker, functions)

        triggers = self._triggers(ground, functions, invoker)
        server = self._server(ground, functions, routes, invoker, management)
        self._parts.push_async_callback(_close_doors, server, triggers)
        for trigger in triggers:
            await trigger.start()
        await server.start()

        disabled = [each.name for each in worker.functions if each not in functions]
        startup = Startup(
            ground.config, functions, disabled, routes, ground.keys, ground.state_dir, ground.url, amqp_port
        )
        report(startup)
        if self._options.ready_file is not None:
            write_ready_file(self._options.ready_file, startup)

    def _prepare(self) -> _Ground:
        options = self._options
        config = load_config(options.app_dir)
        if options.amqp_port is not None:
            config = config.emulator_on(options.amqp_port or free_port(options.host))
        level = config.host_json.choice("logging", "logLevel", "default", choices=LEVELS)
        if level and not options.verbose:
            set_app_level(level)
        state = StateDir.open(options.state_dir or options.app_dir / ".devhost")
        self._parts.callback(state.close)
        keys = load_keys(state.path / "keys")
        listener = listen(options.host, options.port)
        self._parts.callback(listener.close)
        port: int = listener.getsockname()[1]
        announce(port)
        host = f"[{options.host}]" if ":" in options.host else options.host
        return _Ground(config, state.path, keys, listener, f"http://{host}:{port}", self._clock.now())

    async def _serve_namespace(self, ground: _Ground, functions: Sequence[FunctionMetadata]) -> int | None:
        """The AMQP port, when the app wants the emulator and this host is the one that serves it."""
        return None

    async def _start_task_hub(
        self, ground: _Ground, worker: Worker, functions: Sequence[FunctionMetadata]
    ) -> tuple[Invoker, Sequence[web.RouteDef]]:
        """The invoker and, when the app has anything durable, a task hub behind it and the hub's management API."""
        host_json = ground.config.host_json
        hub = InMemoryTaskHub(self._clock, _concurrency(host_json))
        name = ground.config.expand(host_json.text("extensions", "durableTask", "hubName", default="TestHubName"))

        def client() -> str:
            key = ground.keys.values[DURABLE_KEY]
            return DurableClientBinding(name, ground.url, hub.address, key, MAX_MESSAGE_BYTES).value()

        outputs = ServiceBusOutputs(functions, ground.config.settings)
        self._parts.push_async_callback(outputs.close)
        invoker = Invoker(
            worker,
            self._clock,
            durable_client=client,
            timeout=host_json.duration("functionTimeout"),
            write_outputs=outputs.write,
        )
        self._running = lambda: invoker.running
        self._parts.push_async_callback(invoker.drain)
        if not any(_is_durable(function) for function in functions):
            return invoker, []
        executor = DurableExecutor(functions, invoker)
        await hub.start(executor)
        self._parts.push_async_callback(hub.stop)
        return invoker, []

    def _triggers(self, ground: _Ground, functions: Sequence[FunctionMetadata], invoker: Invoker) -> Sequence[Trigger]:
        settings, clock = ground.config.settings, self._clock
        options = ground.config.host_json.section("extensions", "serviceBus")
        return [
            *build_timer_triggers(functions, settings, ground.state_dir, invoker, clock),
            *build_service_bus_triggers(functions, settings, options, invoker, clock),
        ]

    def _server(
        self,
        ground: _Ground,
        functions: Sequence[FunctionMetadata],
        routes: RouteTable,
        invoker: Invoker,
        more_routes: Sequence[web.RouteDef],
    ) -> HttpServer:
        host_json = ground.config.host_json
        endpoint = FunctionEndpoint(routes, ground.keys, RequestLimits.from_host_json(host_json), invoker)
        admin = AdminApi(
            app_name=ground.config.app_dir.name,
            base_url=ground.url,
            functions=functions,
            routes=routes,
            keys=ground.keys,
            invoke=invoker,
            clock=self._clock,
            started=ground.started,
            manual_triggers=manual_triggers(self._clock),
        )
        offline_model = OfflineModelApi(self._clock, self._options.offline_model_delay)
        return HttpServer(
            ground.listener,
            endpoint,
            [*admin.route_defs(), *offline_model.routes(), *more_routes],
            max_request_bytes=self._options.max_request_bytes,
            custom_headers=host_json.texts("extensions", "http", "customHeaders"),
        )


async def _close_doors(server: HttpServer, triggers: Iterable[Trigger]) -> None:
    await asyncio.gather(server.stop(), *[trigger.stop() for trigger in triggers])


def _concurrency(host_json: HostJson) -> Concurrency:
    def most(kind: str) -> int:
        return host_json.whole_number("extensions", "durableTask", f"maxConcurrent{kind}Functions", default=10)

    return Concurrency(orchestrators=most("Orchestrator"), activities=most("Activity"), entities=most("Entity"))


def _is_durable(function: FunctionMetadata) -> bool:
    return function.trigger.type in _DURABLE or bool(function.inputs("durableClient"))
