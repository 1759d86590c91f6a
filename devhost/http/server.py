"""The host's HTTP server: its own pages, the routes of its other parts, and the app's functions on all other paths."""

import errno
import logging
import os
import socket
from collections.abc import Iterable, Mapping
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from devhost.errors import StartError
from devhost.http.function_endpoint import FunctionEndpoint
from devhost.http.problem import Problem, problem

_log = logging.getLogger(__name__)

DRAIN_SECONDS: Final = 5.0
MAX_HEADER_BYTES: Final = 32 * 1024
DEFAULT_MAX_REQUEST_BYTES: Final = 100 * 1024 * 1024


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, taken before anything else starts so that a port in use is known at once.

    Raises `StartError` saying which port and what to do. Port 0 takes a free one.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A connection the last host left in TIME_WAIT must not keep this one from its port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
        listener.setblocking(False)
    except OSError as refused:
        listener.close()
        if refused.errno == errno.EADDRINUSE:
            raise StartError(
                f"port {port} on {host} is in use by another process: stop that one, or choose another with --port"
            ) from refused
        reason = os.strerror(refused.errno) if refused.errno and refused.errno > 0 else str(refused)
        raise StartError(f"cannot listen on {host} port {port}: {reason} (see --host and --port)") from refused
    return listener


def free_port(host: str) -> int:
    """A port nobody listens on just now, for a part that is told its port before it listens."""
    with listen(host, 0) as probe:
        port: int = probe.getsockname()[1]
        return port


class HttpServer:
    """Answers on a listening socket from `start` to `stop`."""

    def __init__(
        self,
        listener: socket.socket,
        functions: FunctionEndpoint,
        own_routes: Iterable[web.RouteDef],
        *,
        max_request_bytes: int = DEFAULT_MAX_REQUEST_BYTES,
        custom_headers: Mapping[str, str] | None = None,
    ) -> None:
        self._listener = listener
        app = web.Application(
            client_max_size=max_request_bytes,
            middlewares=[_problems(max_request_bytes), _functions(functions)],
        )
        app.add_routes(list(own_routes))
        headers = dict(custom_headers or {})

        async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
            for name, value in headers.items():
                response.headers.setdefault(name, value)

        if headers:
            app.on_response_prepare.append(add_headers)
        self._runner = web.AppRunner(
            app,
            handle_signals=False,
            access_log=None,
            logger=_connection_log(),
            shutdown_timeout=DRAIN_SECONDS,
            # A compressed body belongs to the function as it came, and a header may be as long as Kestrel takes it.
            auto_decompress=False,
            max_field_size=MAX_HEADER_BYTES,
        )

    async def start(self) -> None:
        """Begin to answer."""
        await self._runner.setup()
        await web.SockSite(self._runner, self._listener).start()

    async def stop(self) -> None:
        """Accept nothing more, let requests under way be answered (`DRAIN_SECONDS` at most), close every connection."""
        await self._runner.cleanup()
        self._listener.close()


def _connection_log() -> logging.Logger:
    """The server's own reports, one line each: a client that sends garbage is worth no traceback."""

    def flatten(record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1]:
            error = record.exc_info[1]
            record.msg = f"{record.getMessage()}: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
            record.args, record.exc_info = None, None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True

    log = logging.getLogger(f"{__name__}.connection")
    log.filters[:] = [flatten]
    return log


def _functions(endpoint: FunctionEndpoint) -> Middleware:
    @web.middleware
    async def dispatch(request: web.Request, handler: Handler) -> web.StreamResponse:
        unrouted = request.match_info.http_exception
        if unrouted is not None and unrouted.status == 404:
            return await endpoint.handle(request)
        return await handler(request)

    return dispatch


def _problems(max_request_bytes: int) -> Middleware:
    @web.middleware
    async def explain(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await _explained(request, handler, max_request_bytes)
        if isinstance(response, Problem) and response.status < 500:
            # Without its query, which may hold a key.
            _log.info("%s %s: %d", request.method, request.rel_url.raw_path, response.status)
        return response

    return explain


async def _explained(request: web.Request, handler: Handler, max_request_bytes: int) -> web.StreamResponse:
    if (request.content_length or 0) > max_request_bytes:
        return _too_large(max_request_bytes)
    try:
        return await handler(request)
    except web.HTTPRequestEntityTooLarge:
        return _too_large(max_request_bytes)
    except web.HTTPMethodNotAllowed as refused:
        allowed = ", ".join(sorted(refused.allowed_methods))
        return problem(405, f"this address takes {allowed}", headers={"Allow": allowed})
    except web.HTTPException as refused:
        return problem(refused.status, refused.text or refused.reason)
    except (ConnectionError, web.RequestPayloadError):
        return problem(400, "the request broke off, or its body is not framed as its headers say")
    except Exception:
        _log.exception("%s %s failed inside the host", request.method, request.rel_url.raw_path)
        return problem(500, "the host failed; its log has the cause")


def _too_large(limit: int) -> web.Response:
    return problem(413, f"the request body is larger than {limit} bytes", headers={"Connection": "close"})
