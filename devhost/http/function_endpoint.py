"""One request to an HTTP trigger: find the route, check the key, hold a place, call the function, send its response.

The request's span has the names of OpenTelemetry's conventions for HTTP servers, as ASP.NET Core's in Azure.
"""

import asyncio
import logging

from aiohttp import web

from devhost.http.authorization import refusal
from devhost.http.limits import RequestLimits, TooManyRequestsError
from devhost.http.messages import request_datum, response_from
from devhost.http.problem import problem
from devhost.http.routes import Match, RouteTable
from devhost.keys import HostKeys
from devhost.telemetry.spans import Attributes, Kind, NoSpans, Spans
from devhost.worker.model import InvocationResult, Invoke

_log = logging.getLogger(__name__)


class FunctionEndpoint:
    """Answers every path that is not the host's own."""

    def __init__(
        self, routes: RouteTable, keys: HostKeys, limits: RequestLimits, invoke: Invoke, spans: Spans | None = None
    ) -> None:
        self._routes = routes
        self._keys = keys
        self._limits = limits
        self._invoke = invoke
        self._spans = spans or NoSpans()
        self._serving = 0
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def close(self) -> None:
        """Refuse every further request with 503, and return when those under way are answered."""
        self._closing = True
        await self._idle.wait()

    async def handle(self, request: web.Request) -> web.Response:
        """The function's response, or the host's own 401, 404, 413, 429, 500 or 503."""
        if self._closing:
            return problem(503, "the host is stopping", headers={"Connection": "close"})
        self._serving += 1
        self._idle.clear()
        try:
            return await self._routed(request)
        finally:
            self._serving -= 1
            if not self._serving:
                self._idle.set()

    async def _routed(self, request: web.Request) -> web.Response:
        path = request.rel_url.raw_path
        match = self._routes.find(path, request.method)
        if match is None:
            return self._not_found(request, path)
        span = self._spans.begin(
            f"{request.method} {match.route.path}",
            Kind.SERVER,
            parent=request.headers.get("traceparent", ""),
            attributes=_attributes(request, match),
        )
        status = 500
        try:
            response = await self._admitted(request, match, span.traceparent)
            status = response.status
        except web.HTTPException as refused:
            status = refused.status
            raise
        finally:
            error = str(status) if status >= 500 else None
            span.end(error=error, attributes={"http.response.status_code": status})
        return response

    async def _admitted(self, request: web.Request, match: Match, trace_parent: str) -> web.Response:
        refused = refusal(request, match.route.auth_level, self._keys)
        if refused is not None:
            return refused
        try:
            async with self._limits.admitted():
                return await self._answer(request, match, trace_parent)
        except TooManyRequestsError:
            return problem(429, "the host holds as many requests as host.json allows", headers={"Retry-After": "1"})

    def _not_found(self, request: web.Request, path: str) -> web.Response:
        methods = sorted(self._routes.methods_of(path))
        if methods:
            return problem(404, f"no function answers {request.method} on this path; it takes {', '.join(methods)}")
        return problem(404, "no function answers this path")

    async def _answer(self, request: web.Request, match: Match, trace_parent: str) -> web.Response:
        body = await request.read()
        function = match.route.function
        result = await self._invoke(
            function,
            request_datum(request, body, match.values),
            trace_parent=trace_parent,
            # The path as it came: decoded, it could break the log's line.
            reason=f"{request.method} {request.rel_url.raw_path}",
        )
        if not result.succeeded:
            return _failed(result)
        outputs = (each.name for each in function.bindings if each.is_output and each.type == "http")
        value = next((result.outputs[name] for name in outputs if name in result.outputs), result.return_value)
        try:
            return response_from(value)
        except (ValueError, TypeError) as invalid:
            _log.error("%s returned a response that cannot be sent: %s", function.name, invalid)
            return _failed(result)


def _attributes(request: web.Request, match: Match) -> Attributes:
    return {
        "http.request.method": request.method,
        "http.route": match.route.path,
        # Without its query, which may hold a key.
        "url.path": request.rel_url.raw_path,
        "url.scheme": request.scheme,
        "faas.name": match.route.function.name,
        "faas.trigger": "http",
    }


def _failed(result: InvocationResult) -> web.Response:
    """The invocation id leads to the cause in the log; the cause itself stays there."""
    return problem(500, "the function failed; the host's log has the cause", invocation_id=result.invocation_id)
