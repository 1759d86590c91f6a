"""The host put together: every part started in the order written here, and stopped in the reverse of it.

Start: state directory, keys, the HTTP port, the app, the Service Bus namespace, the task hub, the triggers, the HTTP
server. So no part gets work before all it needs is there. Stop: first nothing new comes in and what runs is let finish,
and only then is taken away what it needs, the host's own addresses among it.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from devhost.clock import Clock
from devhost.config import AppConfig, announce, announce_telemetry, load_config
from devhost.fittings import Fittings
from devhost.http.server import free_port, listen
from devhost.keys import load_keys
from devhost.logs import LEVELS, set_app_level
from devhost.options import HostOptions
from devhost.parts import Ground, Parts, build_parts
from devhost.servicebus_namespace import ServedNamespace, serve_if_needed
from devhost.startup_report import Startup, report, write_ready_file
from devhost.state_dir import StateDir
from devhost.telemetry.opening import open_spans, telemetry_endpoint
from devhost.telemetry.spans import Spans
from devhost.worker.model import FunctionMetadata

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """What a started host consists of."""

    ground: Ground
    parts: Parts
    namespace: ServedNamespace | None
    functions: Sequence[FunctionMetadata]


class Host:
    """One app, served. `start`, then `stop` once."""

    def __init__(self, options: HostOptions, clock: Clock, fittings: Fittings | None = None) -> None:
        self._options = options
        self._clock = clock
        self._fittings = fittings or Fittings()
        self._served: Served | None = None
        self._stops = AsyncExitStack()
        self._running: Callable[[], int] = lambda: 0
        self._broken = asyncio.Event()
        self._failure: Exception | None = None

    @property
    def served(self) -> Served:
        """What runs. Raises `RuntimeError` before `start`."""
        if self._served is None:
            raise RuntimeError("the host has not been started")
        return self._served

    @property
    def failure(self) -> Exception | None:
        """Why a part can do nothing more until the host is started again; None as long as all can."""
        return self._failure

    async def broken(self) -> None:
        """Return once there is a `failure`."""
        await self._broken.wait()

    async def start(self) -> None:
        """Start every part; when one fails, those already started are stopped again.

        Raises `StartError` or `IndexingError` with the reason.
        """
        try:
            await self._start()
        except BaseException:
            await self._stops.aclose()
            raise

    async def stop(self) -> bool:
        """Take in no more work, let running calls finish (`HostOptions.drain` at most), and stop every part.

        False when something still ran at the end of that time; the process has to be ended to get rid of it.
        """
        running = self._running()
        waiting = f"; {running} calls are still running, Ctrl-C again stops at once" if running else ""
        _log.info("stopping%s", waiting)
        # Not cancelled when time is up: what is still being closed then would only be left half closed.
        stopping = asyncio.create_task(self._stops.aclose())
        seconds = self._options.drain.total_seconds()
        done, _ = await asyncio.wait([stopping], timeout=seconds)
        if not done:
            _log.warning("%d calls were still running after %g seconds and are cut off", self._running(), seconds)
            return False
        stopping.result()
        _log.info("stopped")
        return True

    async def _start(self) -> None:
        ground = self._prepare()
        worker = await self._fittings.load_worker(self._options.app_dir)
        if self._fittings.owns_worker:
            self._stops.push_async_callback(worker.close)
        functions = [each for each in worker.functions if not ground.config.disables(each.name)]
        parts = build_parts(ground, worker, functions)
        self._running = lambda: parts.invoker.running

        namespace = await serve_if_needed(
            functions,
            ground.config.settings,
            app_dir=self._options.app_dir,
            state_dir=ground.state_dir,
            clock=self._clock,
            topology_file=self._options.topology_file,
            open_broker=self._fittings.open_broker,
        )
        if namespace is not None:
            self._stops.push_async_callback(namespace.stop)
            namespace.broker.on_failure = self._fail
        await self._start_parts(parts)
        self._served = Served(ground, parts, namespace, functions)

        startup = Startup(
            config=ground.config,
            functions=functions,
            disabled=[each.name for each in worker.functions if each not in functions],
            routes=parts.routes,
            keys=ground.keys,
            state_dir=ground.state_dir,
            url=ground.url,
            amqp_port=namespace.amqp_port if namespace else None,
            administration_port=namespace.administration_port if namespace else None,
        )
        report(startup)
        if self._options.ready_file is not None:
            write_ready_file(self._options.ready_file, startup)

    def _prepare(self) -> Ground:
        options = self._options
        config = load_config(options.app_dir)
        if options.amqp_port is not None:
            config = config.emulator_on(options.amqp_port or free_port(options.host))
        level = config.host_json.choice("logging", "logLevel", "default", choices=LEVELS)
        if level and not options.verbose:
            set_app_level(level)
        state = StateDir.open(options.state_dir or options.app_dir / ".devhost")
        self._stops.callback(state.close)
        keys = load_keys(state.path / "keys")
        listener = listen(options.host, options.port)
        self._stops.callback(listener.close)
        port: int = listener.getsockname()[1]
        announce(port)
        host = f"[{options.host}]" if ":" in options.host else options.host
        url = f"http://{host}:{port}"
        return Ground(
            options=options,
            config=config,
            state_dir=state.path,
            keys=keys,
            listener=listener,
            url=url,
            clock=self._clock,
            started=self._clock.now(),
            fittings=self._fittings,
            on_failure=self._fail,
            spans=self._open_spans(config),
        )

    def _open_spans(self, config: AppConfig) -> Spans | None:
        if telemetry_endpoint(self._options, config.settings) is None:
            return None
        announce_telemetry(self._options.otlp_endpoint)
        spans = open_spans(self._options, config.settings, self._clock)
        if spans is not None:
            self._stops.push_async_callback(spans.close)
        return spans

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._broken.set()

    async def _start_parts(self, parts: Parts) -> None:
        stops = self._stops
        stops.push_async_callback(parts.outputs.close)
        if parts.durable is not None:
            stops.push_async_callback(parts.durable.management.close)
        # Its own addresses stay up until nothing runs that may call them; functions are refused from the first moment.
        stops.push_async_callback(parts.server.stop)
        stops.push_async_callback(parts.invoker.drain)
        if parts.durable is not None:
            await parts.durable.hub.start(parts.durable.executor)
            stops.push_async_callback(parts.durable.hub.stop)
        stops.push_async_callback(_close_doors, parts)
        for trigger in parts.triggers:
            await trigger.start()
        await parts.server.start()


async def _close_doors(parts: Parts) -> None:
    await asyncio.gather(parts.endpoint.close(), *[trigger.stop() for trigger in parts.triggers])
