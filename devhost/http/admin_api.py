"""The host's own pages: home, ping, and under `/admin` (with the admin key) status and the functions."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from aiohttp import web
from azure_functions_runtime.bindings.datumdef import Datum

from devhost.clock import Clock
from devhost.http.authorization import refusal
from devhost.http.problem import problem
from devhost.http.routes import AuthLevel, RouteTable
from devhost.keys import HostKeys
from devhost.worker.model import FunctionMetadata, Invoke

type ManualTrigger = Callable[[FunctionMetadata, str], tuple[Datum, Mapping[str, Datum]]]


@dataclass(frozen=True, slots=True)
class AdminApi:
    """What the pages show. `manual_triggers` makes a trigger's value from the text given by hand, by trigger type."""

    app_name: str
    base_url: str
    functions: Sequence[FunctionMetadata]
    routes: RouteTable
    keys: HostKeys
    invoke: Invoke
    clock: Clock
    started: datetime
    manual_triggers: Mapping[str, ManualTrigger]

    def route_defs(self) -> Iterable[web.RouteDef]:
        """The routes to serve."""
        yield web.get("/", self._home)
        for method in ("GET", "POST"):
            yield web.route(method, "/admin/host/ping", self._ping)
        yield web.get("/admin/host/status", self._behind_key(self._status))
        yield web.get("/admin/functions", self._behind_key(self._list))
        yield web.get("/admin/functions/{name}", self._behind_key(self._describe))
        yield web.post("/admin/functions/{name}", self._behind_key(self._call))

    def _behind_key(self, page: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        async def guarded(request: web.Request) -> web.StreamResponse:
            refused = refusal(request, AuthLevel.ADMIN, self.keys)
            if refused is not None:
                return refused
            response: web.StreamResponse = await page(request)
            return response

        return guarded

    async def _home(self, _: web.Request) -> web.Response:
        title = escape(self.app_name)
        text = (
            f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
            "<style>body{font:16px system-ui;margin:4rem auto;max-width:40rem}</style>"
            f"<h1>{title}</h1><p>This is devhost, a local host for Azure Functions apps. It is up and runs"
            f" {len(self.functions)} functions. <code>/admin/functions</code> lists them (admin key)."
        )
        return web.Response(text=text, content_type="text/html")

    async def _ping(self, _: web.Request) -> web.Response:
        return web.json_response({"hostState": "Running"}, headers={"Cache-Control": "no-store"})

    async def _status(self, _: web.Request) -> web.Response:
        uptime = self.clock.now() - self.started
        return web.json_response(
            {
                "id": "devhost",
                "state": "Running",
                "app": self.app_name,
                "functions": len(self.functions),
                "processUptime": round(uptime.total_seconds() * 1000),
            }
        )

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response([self._description(function) for function in self.functions])

    async def _describe(self, request: web.Request) -> web.Response:
        function = self._named(request)
        return web.json_response(self._description(function)) if function else _unknown(request)

    async def _call(self, request: web.Request) -> web.Response:
        function = self._named(request)
        if function is None:
            return _unknown(request)
        make = self.manual_triggers.get(function.trigger.type)
        if make is None:
            return problem(400, f"a {function.trigger.type} cannot be called by hand; use its own address or client")
        try:
            value, metadata = make(function, _input(await request.text()))
        except ValueError as invalid:
            return problem(400, str(invalid))
        result = await self.invoke(function, value, metadata=metadata, reason="called by hand")
        if not result.succeeded:
            return problem(500, "the function failed; the host's log has the cause", invocation_id=result.invocation_id)
        return web.json_response({"invocation_id": result.invocation_id}, status=202)

    def _named(self, request: web.Request) -> FunctionMetadata | None:
        name = request.match_info["name"].lower()
        return next((function for function in self.functions if function.name.lower() == name), None)

    def _description(self, function: FunctionMetadata) -> dict[str, object]:
        route = next((route for route in self.routes.routes if route.function is function), None)
        return {
            "name": function.name,
            "language": "python",
            "invoke_url_template": f"{self.base_url}{route.path}" if route else None,
            "config": {"bindings": [dict(binding.properties) for binding in function.bindings]},
        }


def _input(body: str) -> str:
    """The text in `{"input": ...}`, the body the real host takes; an empty body is an empty input."""
    if not body.strip():
        return ""
    try:
        content = json.loads(body)
    except json.JSONDecodeError as malformed:
        raise ValueError(f'the body must be JSON such as {{"input": "text"}}: {malformed.msg}') from malformed
    given = content.get("input", "") if isinstance(content, dict) else None
    if given is None or not isinstance(given, str):
        raise ValueError('the body must be an object such as {"input": "text"}')
    return given


def _unknown(request: web.Request) -> web.Response:
    return problem(404, f"there is no function named {request.match_info['name']}")
