"""The administration server: the emulator's second port (5300), plain HTTP and HTTPS on the same one.

.NET's client speaks plain HTTP to an emulator; Python's, Java's and JavaScript's insist on HTTPS whatever the
connection string says. The first byte tells them apart. Any authorization is accepted: whoever reaches the loopback
interface is trusted.
"""

import asyncio
import logging
import socket
import ssl
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote
from weakref import WeakSet

from aiohttp import web

from devhost.administration.atom import DocumentError, write_error
from devhost.administration.certificate import ensure_certificate
from devhost.administration.resources import Call, Resources
from devhost.broker import errors
from devhost.broker.broker import Broker
from devhost.clock import Clock

_log = logging.getLogger("devhost.administration")

_TLS_HANDSHAKE = b"\x16"
_MAX_BODY = 1024 * 1024
_FIRST_BYTE_SECONDS = 30.0
_ACCEPT_PAUSE_SECONDS = 0.5
_STATUS: dict[type[Exception], int] = {
    errors.EntityNotFound: 404,
    errors.EntityExists: 409,
    errors.InvalidOperation: 409,
    errors.ArgumentError: 400,
    errors.QuotaExceeded: 403,
    errors.BrokerError: 500,
    DocumentError: 400,
}


class AdministrationServer:
    """Serves `broker`'s entities; port 0 picks a free one.

    `state_dir` is where the certificate for HTTPS is kept (made there once); without it, one is made for each start.
    """

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        *,
        host: str = "127.0.0.1",
        port: int = 5300,
        state_dir: Path | None = None,
    ) -> None:
        self._resources = Resources(broker, clock)
        self._host = host
        self._requested_port = port
        self._state_dir = state_dir
        self._scratch: TemporaryDirectory[str] | None = None
        self._socket: socket.socket | None = None
        self._runner: web.AppRunner | None = None
        self._arrivals: set[asyncio.Task[bool]] = set()
        self._transports: WeakSet[asyncio.BaseTransport] = WeakSet()
        self._certificate: Path | None = None

    @property
    def port(self) -> int:
        """The port listened on; the one asked for while not started."""
        if self._socket is None:
            return self._requested_port
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def certificate(self) -> Path:
        """The certificate (PEM) that HTTPS clients have to trust. Raises `RuntimeError` while not started."""
        if self._certificate is None:
            raise RuntimeError("the administration server is not started")
        return self._certificate

    async def start(self) -> None:
        """Listen. Raises `OSError` when the port is taken."""
        self._socket = socket.create_server((self._host, self._requested_port), backlog=128)
        self._socket.setblocking(False)
        application = web.Application(client_max_size=_MAX_BODY)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        self._listen(self._socket, self._tls_context())

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
        for arrival in self._arrivals:
            arrival.cancel()
        await asyncio.gather(*self._arrivals, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
        for transport in self._transports:
            # Closing politely, TLS would wait for the peer's word.
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
        await asyncio.sleep(0)
        if self._scratch is not None:
            self._scratch.cleanup()
        self._runner = self._socket = self._scratch = None

    def _tls_context(self) -> ssl.SSLContext:
        folder = self._state_dir
        if folder is None:
            self._scratch = TemporaryDirectory(prefix="devhost-")
            folder = Path(self._scratch.name)
        files = ensure_certificate(folder)
        self._certificate = files.certificate
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        return context

    def _listen(self, listener: socket.socket, tls: ssl.SSLContext) -> None:
        if self._socket is listener:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener, tls)

    def _accept(self, listener: socket.socket, tls: ssl.SSLContext) -> None:
        try:
            client, _ = listener.accept()
        except OSError as error:
            # The peer has gone again, or the file descriptors have run out, which a pause may mend.
            _log.warning("a connection could not be accepted: %s", error)
            loop = asyncio.get_running_loop()
            loop.remove_reader(listener)
            loop.call_later(_ACCEPT_PAUSE_SECONDS, self._listen, listener, tls)
            return
        arrival = asyncio.create_task(self._arrive(client, tls))
        self._arrivals.add(arrival)
        arrival.add_done_callback(lambda task: self._arrived(task, client))

    def _arrived(self, arrival: asyncio.Task[bool], client: socket.socket) -> None:
        self._arrivals.discard(arrival)
        if arrival.cancelled() or not arrival.result():
            client.close()

    async def _arrive(self, client: socket.socket, tls: ssl.SSLContext) -> bool:
        """Look at the first byte, then hand the socket to the HTTP server, inside TLS or not; whether that was done."""
        try:
            async with asyncio.timeout(_FIRST_BYTE_SECONDS):
                first = await _first_byte(client)
            if not first or self._runner is None or self._runner.server is None:
                return False
            context = tls if first == _TLS_HANDSHAKE else None
            loop = asyncio.get_running_loop()
            transport, _ = await loop.connect_accepted_socket(self._runner.server, client, ssl=context)
            self._transports.add(transport)
        except (OSError, TimeoutError) as error:
            _log.info("a connection ended before its first request: %s", error or type(error).__name__)
            return False
        return True

    async def _handle(self, request: web.Request) -> web.Response:
        try:
            return await self._serve(request)
        except (errors.BrokerError, DocumentError) as error:
            status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
            return _response(status, write_error(status, str(error)))

    async def _serve(self, request: web.Request) -> web.Response:
        kind, names = parse_path(request.rel_url.raw_path)
        call = Call(
            names=names,
            body=await request.read(),
            updates="If-Match" in request.headers,
            skip=_query_number(request, "$skip", 0),
            top=_query_number(request, "$top", 100),
            address=f"{request.scheme}://{request.host}{request.rel_url.raw_path}",
        )
        answer = await self._resources.serve(kind, request.method, call)
        if answer is None:
            return _response(405, write_error(405, f"{request.method} means nothing here"))
        _log.info("%s %s -> %d", request.method, request.path, answer.status)
        return _response(answer.status, answer.body)


async def _first_byte(client: socket.socket) -> bytes:
    """The first byte a client sends, left in its socket for whoever reads next; empty when it sends none."""
    loop = asyncio.get_running_loop()
    client.setblocking(False)
    readable = loop.create_future()
    loop.add_reader(client, lambda: None if readable.done() else readable.set_result(None))
    try:
        await readable
        return client.recv(1, socket.MSG_PEEK)
    finally:
        loop.remove_reader(client)


def parse_path(raw_path: str) -> tuple[str, list[str]]:
    """The kind of resource a path (still percent-encoded) names, and its variable parts."""
    parts = [unquote(part) for part in raw_path.strip("/").split("/")]
    lowered = [part.lower() for part in parts]
    if lowered == ["$namespaceinfo"]:
        return "namespace", []
    if len(parts) == 2 and lowered[0] == "$resources":
        return lowered[1], []
    if "subscriptions" in lowered[1:]:
        at = lowered.index("subscriptions", 1)
        topic, rest = "/".join(parts[:at]), parts[at + 1 :]
        kinds = {0: "subscriptions", 1: "subscription", 2: "rules", 3: "rule"}
        if len(rest) in kinds and (len(rest) < 2 or rest[1].lower() == "rules"):
            return kinds[len(rest)], [topic, *rest[:1], *rest[2:]]
    return "entity", ["/".join(parts)]


def _query_number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else default


def _response(status: int, body: bytes) -> web.Response:
    return web.Response(status=status, body=body, content_type="application/xml", charset="utf-8")
