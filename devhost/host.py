"""The host put together: every part started in the order written here, and stopped in the reverse of it.

Order: state directory, keys, the HTTP port, the app, then whatever feeds the app with work, and the HTTP server last.
So no part ever gets work before all it needs is there, and stopping first closes the doors, then lets running calls
finish.
"""

import json
import logging
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devhost.clock import Clock
from devhost.config import AppConfig, announce, load_config
from devhost.http.admin_api import AdminApi
from devhost.http.function_endpoint import FunctionEndpoint
from devhost.http.limits import RequestLimits
from devhost.http.routes import RouteTable, build_routes
from devhost.http.server import DEFAULT_MAX_REQUEST_BYTES, HttpServer, listen
from devhost.keys import HostKeys, load_keys
from devhost.state_dir import StateDir
from devhost.worker.invoker import Invoker
from devhost.worker.worker import Worker

_log = logging.getLogger(__name__)

DRAIN_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class HostOptions:
    """What the person who starts the host chooses. `None` for `state_dir` means `.devhost` in the app's folder."""

    app_dir: Path
    host: str = "127.0.0.1"
    port: int = 7071
    state_dir: Path | None = None
    max_request_bytes: int = DEFAULT_MAX_REQUEST_BYTES
    ready_file: Path | None = None


class Host:
    """One app, served. `start`, then `stop` once."""

    def __init__(self, options: HostOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._parts = AsyncExitStack()
        self._invoker: Invoker | None = None

    async def start(self) -> None:
        """Start every part; when one fails, those already started are stopped again.

        Raises `StartError` or `IndexingError` with the reason.
        """
        try:
            await self._start()
        except BaseException:
            await self._parts.aclose()
            raise

    async def stop(self) -> None:
        """Take in no more work, let running calls finish (30 seconds at most), and stop every part."""
        running = self._invoker.running if self._invoker else 0
        _log.info("stopping%s", f"; {running} calls are still running" if running else "")
        await self._parts.aclose()

    async def _start(self) -> None:
        options = self._options
        config = load_config(options.app_dir)
        state = StateDir.open(options.state_dir or options.app_dir / ".devhost")
        self._parts.callback(state.close)
        keys = load_keys(state.path / "keys")
        listener = listen(options.host, options.port)
        self._parts.callback(listener.close)
        port: int = listener.getsockname()[1]
        url = f"http://{options.host}:{port}"
        announce(port)

        worker = await Worker.load(options.app_dir)
        self._parts.push_async_callback(worker.close, 2.0)
        self._invoker = invoker = Invoker(worker, self._clock)
        self._parts.push_async_callback(self._drain, invoker)

        http_json = config.host_json.section("extensions", "http")
        routes = build_routes(worker.functions, str(http_json.get("routePrefix", "api")))
        endpoint = FunctionEndpoint(routes, keys, RequestLimits.from_host_json(http_json), invoker)
        admin = AdminApi(
            app_name=options.app_dir.name,
            base_url=url,
            functions=worker.functions,
            routes=routes,
            keys=keys,
            invoke=invoker,
            clock=self._clock,
            started=self._clock.now(),
            manual_triggers={},
        )
        server = HttpServer(
            listener,
            endpoint,
            [*admin.route_defs()],
            max_request_bytes=options.max_request_bytes,
            custom_headers=http_json.get("customHeaders"),
        )
        await server.start()
        self._parts.push_async_callback(server.stop)
        self._announce(config, worker, routes, keys, url, state.path)

    def _announce(
        self, config: AppConfig, worker: Worker, routes: RouteTable, keys: HostKeys, url: str, state: Path
    ) -> None:
        for warning in config.host_json.warnings:
            _log.warning("%s", warning)
        addresses = {route.function.name: route for route in routes.routes}
        for function in worker.functions:
            route = addresses.get(function.name)
            where = (
                f" {','.join(sorted(route.methods)) or 'any'} {url}{route.path} ({route.auth_level})" if route else ""
            )
            _log.info("  %s: %s%s", function.name, function.trigger.type, where)
        if keys.fresh:
            for name, value in keys.values.items():
                _log.info("  key %s: %s", name, value)
        _log.info("keys are in %s", keys.folder)
        if self._options.ready_file is not None:
            ready = {"url": url, "pid": os.getpid(), "keys_dir": str(keys.folder), "state_dir": str(state)}
            partial = self._options.ready_file.with_suffix(".new")
            partial.write_text(json.dumps(ready), encoding="utf-8")
            partial.replace(self._options.ready_file)
        _log.info("ready at %s", url, extra={"event": "ready", "url": url})

    @staticmethod
    async def _drain(invoker: Invoker) -> None:
        left = await invoker.drain(DRAIN_SECONDS)
        if left:
            _log.warning("%d calls were still running after %.0f seconds and are cut off", left, DRAIN_SECONDS)
