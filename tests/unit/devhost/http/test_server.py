import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from azure_functions_runtime.bindings.datumdef import Datum

from devhost.clock import ManualClock
from devhost.errors import StartError
from devhost.http.admin_api import AdminApi
from devhost.http.function_endpoint import FunctionEndpoint
from devhost.http.limits import RequestLimits
from devhost.http.routes import build_routes
from devhost.http.server import HttpServer, listen
from devhost.keys import HostKeys
from devhost.worker.model import FunctionMetadata, InvocationError, InvocationResult
from tests.support.eventually import eventually
from tests.support.functions import binding, function, http_function

KEYS = HostKeys(Path("keys"), {"default": "dk", "master": "mk", "durabletask": "sk"}, fresh=False)
FUNCTIONS = [
    http_function("open", "open", methods=("GET", "POST")),
    http_function("guarded", "guarded", auth_level="function"),
    http_function("locked", "locked", auth_level="admin"),
    function("nightly", binding("timerTrigger", "timer")),
]


class FakeApp:
    """Stands in for the app: records its calls, and returns or fails as told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Datum]] = []
        self.result = Datum("fine", "string")
        self.error: InvocationError | None = None
        self.gate: asyncio.Event | None = None

    async def __call__(
        self,
        function: FunctionMetadata,
        trigger: Datum,
        *,
        metadata: Mapping[str, Datum] | None = None,
        trace_parent: str = "",
        reason: str = "",
    ) -> InvocationResult:
        self.calls.append((function.name, trigger))
        if self.gate is not None:
            await self.gate.wait()
        return InvocationResult("id-1", None if self.error else self.result, {}, self.error, timedelta(0))


async def start_server(app: FakeApp, **limits: int) -> tuple[HttpServer, str]:
    listener = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    routes = build_routes(FUNCTIONS, "api")
    admin = AdminApi(
        app_name="<app>",
        base_url=url,
        functions=FUNCTIONS,
        routes=routes,
        keys=KEYS,
        invoke=app,
        clock=ManualClock(),
        started=ManualClock().now(),
        manual_triggers={"timerTrigger": lambda _, text: (Datum(text, "json"), {})},
    )

    async def broken(_: web.Request) -> web.Response:
        raise RuntimeError("a secret")

    server = HttpServer(
        listener,
        FunctionEndpoint(routes, KEYS, RequestLimits(**limits), app),
        [*admin.route_defs(), web.get("/runtime/broken", broken)],
        max_request_bytes=1000,
        custom_headers={"x-custom": "yes"},
    )
    await server.start()
    return server, url


@asynccontextmanager
async def serving(app: FakeApp, **limits: int) -> AsyncIterator[aiohttp.ClientSession]:
    server, url = await start_server(app, **limits)
    try:
        async with aiohttp.ClientSession(url) as http:
            yield http
    finally:
        await server.stop()


async def status_of(http: aiohttp.ClientSession, method: str, path: str, **options: object) -> int:
    async with http.request(method, path, **options) as response:  # type: ignore[arg-type]
        if response.status >= 400:
            body = await response.json(content_type="application/problem+json")
            assert body["status"] == response.status
            assert body["detail"]
        return response.status


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("/api/open", None, 200),
        ("/api/guarded", None, 401),
        ("/api/guarded", "", 401),
        ("/api/guarded", "wrong", 401),
        ("/api/guarded", "sk", 401),
        ("/api/guarded", "dk", 200),
        ("/api/guarded", "mk", 200),
        ("/api/locked", "dk", 401),
        ("/api/locked", "mk", 200),
        ("/admin/host/ping", None, 200),
        ("/admin/host/status", None, 401),
        ("/admin/host/status", "dk", 401),
        ("/admin/host/status", "mk", 200),
        ("/admin/functions", "mk", 200),
        ("/admin/functions/OPEN", "mk", 200),
        ("/admin/functions/nobody", "mk", 404),
        ("/", None, 200),
    ],
)
async def test_a_key_opens_what_its_level_allows_by_header_and_by_query(
    path: str, key: str | None, status: int
) -> None:
    async with serving(FakeApp()) as http:
        headers = {} if key is None else {"x-functions-key": key}
        query = {} if key is None else {"code": key}
        assert await status_of(http, "GET", path, headers=headers) == status
        assert await status_of(http, "GET", path, params=query) == status


async def test_a_refused_request_calls_no_function() -> None:
    app = FakeApp()
    async with serving(app) as http:
        for path in ("/api/guarded", "/api/nothing", "/nothing"):
            await status_of(http, "POST", path, data=b"x")
    assert app.calls == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/nothing", 404),
        ("DELETE", "/api/open", 404),
        ("HEAD", "/api/open", 404),
        ("POST", "/admin/host/status", 405),
        ("DELETE", "/", 405),
    ],
)
async def test_an_unknown_path_or_method_is_answered_as_the_real_host_does(method: str, path: str, status: int) -> None:
    async with serving(FakeApp()) as http, http.request(method, path) as response:
        assert response.status == status


async def test_a_wrong_method_is_told_the_right_ones() -> None:
    async with serving(FakeApp()) as http, http.delete("/api/open") as response:
        assert "GET, POST" in (await response.json(content_type=None))["detail"]


async def test_a_failing_function_is_a_500_that_tells_nothing_but_the_invocation() -> None:
    app = FakeApp()
    app.error = InvocationError("ValueError", "the secret cause", "Traceback ... line 7")
    async with serving(app) as http, http.get("/api/open") as response:
        text = await response.text()
        assert response.status == 500
        assert "secret" not in text
        assert "Traceback" not in text
        assert json.loads(text)["invocation_id"] == "id-1"


async def test_a_failure_of_the_host_itself_is_a_500_that_tells_nothing() -> None:
    async with serving(FakeApp()) as http, http.get("/runtime/broken") as response:
        assert response.status == 500
        assert "secret" not in await response.text()


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 100):
        yield b"x" * 100


@pytest.mark.parametrize("body", [lambda: b"x" * 1001, lambda: chunks(1100)])
async def test_a_body_over_the_limit_is_a_413_whether_its_length_is_told_or_not(body: Callable[[], object]) -> None:
    app = FakeApp()
    async with serving(app) as http:
        assert await status_of(http, "POST", "/api/open", data=body()) == 413
        assert await status_of(http, "POST", "/api/open", data=b"x" * 1000) == 200
    assert len(app.calls) == 1


async def test_requests_beyond_the_outstanding_ones_are_429_with_a_wait() -> None:
    app = FakeApp()
    app.gate = asyncio.Event()
    async with serving(app, max_outstanding=2) as http:
        held = [asyncio.create_task(status_of(http, "GET", "/api/open")) for _ in range(2)]
        await eventually(lambda: len(app.calls) == 2)
        async with http.get("/api/open") as refused:
            assert refused.status == 429
            assert refused.headers["Retry-After"] == "1"
        app.gate.set()
        assert await asyncio.gather(*held) == [200, 200]
        assert await status_of(http, "GET", "/api/open") == 200


async def test_a_function_is_called_by_hand_with_the_text_given() -> None:
    app = FakeApp()
    key = {"x-functions-key": "mk"}
    async with serving(app) as http:
        assert await status_of(http, "POST", "/admin/functions/nightly", json={"input": "t"}, headers=key) == 202
        assert await status_of(http, "POST", "/admin/functions/nightly", headers=key) == 202
        assert await status_of(http, "POST", "/admin/functions/nightly", data=b"{", headers=key) == 400
        assert await status_of(http, "POST", "/admin/functions/nightly", json=[1], headers=key) == 400
        assert await status_of(http, "POST", "/admin/functions/nightly", json={"input": 1}, headers=key) == 400
        assert await status_of(http, "POST", "/admin/functions/open", headers=key) == 400
        assert await status_of(http, "POST", "/admin/functions/nobody", headers=key) == 404
        assert await status_of(http, "POST", "/admin/functions/nightly", json={"input": "t"}) == 401
    assert [(name, value.value) for name, value in app.calls] == [("nightly", "t"), ("nightly", "")]


async def test_the_home_page_names_the_app_without_letting_its_name_be_markup() -> None:
    async with serving(FakeApp()) as http, http.get("/") as response:
        assert "&lt;app&gt;" in await response.text()
        assert response.headers["x-custom"] == "yes"


async def test_requests_under_way_are_answered_when_the_server_stops() -> None:
    app = FakeApp()
    app.gate = asyncio.Event()
    server, url = await start_server(app)
    async with aiohttp.ClientSession(url) as http:
        held = asyncio.create_task(status_of(http, "GET", "/api/open"))
        await eventually(lambda: app.calls)
        stopping = asyncio.create_task(server.stop())
        await eventually(lambda: refuses(url))
        app.gate.set()
        assert await held == 200
        await stopping


async def test_a_closed_endpoint_refuses_functions_answers_those_under_way_and_leaves_the_hosts_pages_up() -> None:
    app = FakeApp()
    app.gate = asyncio.Event()
    routes = build_routes(FUNCTIONS, "api")
    endpoint = FunctionEndpoint(routes, KEYS, RequestLimits(), app)
    listener = listen("127.0.0.1", 0)

    async def own(_: web.Request) -> web.Response:
        return web.Response(text="up")

    server = HttpServer(listener, endpoint, [web.get("/own", own)])
    await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{listener.getsockname()[1]}") as http:
            held = asyncio.create_task(status_of(http, "GET", "/api/open"))
            await eventually(lambda: app.calls)
            closing = asyncio.create_task(endpoint.close())
            await asyncio.sleep(0)
            assert await status_of(http, "GET", "/api/open") == 503
            assert await status_of(http, "GET", "/own") == 200
            assert not closing.done()
            app.gate.set()
            assert await held == 200
            await closing
    finally:
        await server.stop()


def refuses(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) != 0


def test_a_port_in_use_is_refused_with_the_port_and_the_flag() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(StartError, match=rf"port {port} on 127.0.0.1 is in use.*--port"):
            listen("127.0.0.1", port)


def test_an_address_that_is_not_this_machines_is_refused() -> None:
    with pytest.raises(StartError, match=r"cannot listen on 192\.0\.2\.1"):
        listen("192.0.2.1", 0)
