"""A real host on a small app with HTTP triggers of every kind."""

import asyncio
import gzip
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from tests.support.eventually import eventually
from tests.support.host_process import HostProcess

APP = Path(__file__).parent / "apps" / "http_app"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HostProcess]:
    folder = tmp_path_factory.mktemp("http")
    app = shutil.copytree(APP, folder / "http_app", ignore=shutil.ignore_patterns("__pycache__"))
    (app / "local.settings.json").write_text('{"Values": {"FROM_LOCAL_SETTINGS": "file", "FROM_BOTH": "file"}}')
    options = ["--max-request-bytes", "1000000"]
    env = {"FROM_BOTH": "environment", "AzureWebJobs.switched_off.Disabled": "true"}
    async with HostProcess(app, state_dir=folder / "state", env=env, arguments=options) as running:
        yield running


@pytest.fixture
async def http(host: HostProcess) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(host.url) as session:
        yield session


async def answer(http: aiohttp.ClientSession, method: str, path: str, **options: Any) -> tuple[int, Any]:
    async with http.request(method, path, **options) as response:
        text = await response.text()
        return response.status, json.loads(text) if "json" in response.content_type else text


async def test_a_function_sees_every_part_of_the_request(http: aiohttp.ClientSession, host: HostProcess) -> None:
    status, seen = await answer(
        http, "PUT", "/api/echo?a=1&a=2&empty=&u=%C3%BC", data=b"\x00\xff", headers={"X-Mark": "m"}
    )
    assert status == 200
    assert seen["method"] == "PUT"
    assert seen["url"] == f"{host.url}/api/echo?a=1&a=2&empty=&u=%C3%BC"
    assert seen["query"] == {"a": "1,2", "u": "ü"}
    assert seen["headers"]["x-mark"] == "m"
    assert seen["body"] == [0, 255]


async def test_the_app_runs_in_its_folder_with_its_settings_and_knows_where_it_is_served(
    http: aiohttp.ClientSession, host: HostProcess
) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    _, seen = await answer(http, "GET", "/api/where", headers={"traceparent": parent})
    assert seen["cwd"] == str(host.app_dir)
    assert seen["setting"] == "file"
    assert seen["both"] == "environment"
    assert seen["hostname"] == f"localhost:{host.url.rpartition(':')[2]}"
    assert seen["environment"] == "Development"
    assert seen["function"] == "where"
    assert seen["trace_parent"] == parent


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/api/hello?name=Ada", 200, "hello Ada"),
        ("GET", "/API/Hello", 200, "hello world"),
        ("GET", "/api/items/7", 200, {"by": "number", "id": "7"}),
        ("GET", "/api/items/abc", 200, {"by": "name", "id": "abc"}),
        ("GET", "/api/items/special", 200, {"by": "literal"}),
        ("GET", "/api/files/a/b%20c", 200, {"path": "a/b c"}),
        ("GET", "/api/files", 200, {"path": None}),
        ("GET", "/api/status/418", 418, ""),
        ("GET", "/api/status/204", 204, ""),
    ],
)
async def test_the_right_function_answers(
    http: aiohttp.ClientSession, method: str, path: str, status: int, body: Any
) -> None:
    assert await answer(http, method, path) == (status, body)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/items/a1", 404),
        ("GET", "/api", 404),
        ("GET", "/api/switched-off", 404),
        ("GET", "/hello", 404),
        ("POST", "/api/hello", 404),
        ("GET", "/api/guarded", 401),
        ("GET", "/api/locked", 401),
        ("GET", "/admin/functions", 401),
        ("PUT", "/admin/host/ping", 405),
        ("GET", "/api/fail", 500),
        ("GET", "/api/leave", 500),
        ("GET", "/api/nothing-returned", 500),
        ("GET", "/api/bad-status", 500),
        ("GET", "/api/status/99", 500),
    ],
)
async def test_an_error_is_problem_details_without_the_cause(
    http: aiohttp.ClientSession, host: HostProcess, method: str, path: str, status: int
) -> None:
    async with http.request(method, path) as response:
        text = await response.text()
    assert (response.status, response.content_type) == (status, "application/problem+json")
    assert json.loads(text)["status"] == status
    assert "secret" not in text
    assert "Traceback" not in text
    if status < 500:
        assert f"{method} {path}: {status}" in host.log


async def test_the_cause_of_a_failure_is_in_the_log_under_the_id_the_caller_got(
    http: aiohttp.ClientSession, host: HostProcess
) -> None:
    await answer(http, "GET", "/api/fail")
    assert "fail (GET /api/fail): FAILED: ValueError: the secret cause" in host.log
    assert "azure_functions_runtime" not in host.log


async def test_a_function_that_ends_the_process_does_not_end_the_host(http: aiohttp.ClientSession) -> None:
    assert (await answer(http, "GET", "/api/leave"))[0] == 500
    assert (await answer(http, "GET", "/api/hello"))[0] == 200


async def test_keys_open_their_level(http: aiohttp.ClientSession, host: HostProcess) -> None:
    function_key, admin_key = host.key("default"), host.key("master")
    assert await answer(http, "GET", "/api/guarded", headers={"x-functions-key": function_key}) == (200, "in")
    assert await answer(http, "GET", f"/api/guarded?code={admin_key}") == (200, "in")
    assert (await answer(http, "GET", f"/api/locked?code={function_key}"))[0] == 401
    assert await answer(http, "GET", f"/api/locked?code={admin_key}") == (200, "in")
    status, functions = await answer(http, "GET", f"/admin/functions?code={admin_key}")
    assert status == 200
    assert {"hello", "guarded"} <= {function["name"] for function in functions}


async def test_cookies_and_bytes_reach_the_caller(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/cookies") as response:
        assert len(response.headers.getall("Set-Cookie")) == 2
    payload = bytes(range(256)) * 100
    async with http.post("/api/bytes", data=payload) as response:
        assert await response.read() == payload


async def test_a_malformed_body_is_the_functions_affair_and_a_body_over_the_limit_the_hosts(
    http: aiohttp.ClientSession, host: HostProcess
) -> None:
    assert (await answer(http, "POST", "/api/posts", data=b"{"))[0] == 500
    assert (await answer(http, "POST", "/api/posts", json={"a": 1})) == (201, {"created": {"a": 1}})
    before = host.log.count("create_post (")
    assert (await answer(http, "POST", "/api/posts", data=b"x" * 1_000_001))[0] == 413
    assert host.log.count("create_post (") == before


async def test_garbage_on_the_port_leaves_the_host_up(http: aiohttp.ClientSession, host: HostProcess) -> None:
    port = int(host.url.rpartition(":")[2])
    get, post = b"GET /api/hello HTTP/1.1\r\nHost: h\r\n", b"POST /api/posts HTTP/1.1\r\nHost: h\r\n"
    for garbage in (
        b"\x00\xff\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /api/hello?q=\xff HTTP/1.1\r\n\r\n",
        get + b"Content-Length: x\r\n\r\n",
        get + b"X: " + b"a" * 40_000 + b"\r\n\r\n",
        post + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(garbage)
        assert b"400" in await asyncio.wait_for(reader.read(), 5)
        writer.close()
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post + b"Content-Length: 100\r\n\r\nhalf a bo")
    await writer.drain()
    writer.transport.abort()
    assert (await answer(http, "GET", "/api/hello"))[0] == 200
    assert "aiohttp/web_protocol.py" not in host.log


async def test_a_line_break_in_a_path_is_no_line_break_in_the_log(
    http: aiohttp.ClientSession, host: HostProcess
) -> None:
    await answer(http, "GET", "/api/files/a%0AFORGED")
    await answer(http, "GET", "/nowhere/%0AFORGED?code=secret-key")
    assert not [line for line in host.log.splitlines() if line.startswith("FORGED")]
    assert "secret-key" not in host.log


async def test_a_key_of_odd_bytes_is_a_wrong_key(host: HostProcess) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(host.url.rpartition(":")[2]))
    writer.write(b"GET /api/guarded HTTP/1.1\r\nHost: h\r\nx-functions-key: \xff\xfe\r\nConnection: close\r\n\r\n")
    assert b" 401 " in await asyncio.wait_for(reader.read(), 5)
    writer.close()


async def test_a_compressed_body_reaches_the_function_as_it_came(http: aiohttp.ClientSession) -> None:
    for body in (gzip.compress(b"{}"), b"not gzip"):
        async with http.post("/api/bytes", data=body, headers={"Content-Encoding": "gzip"}) as response:
            assert await response.read() == body


async def test_slow_functions_of_both_kinds_run_side_by_side(http: aiohttp.ClientSession) -> None:
    paths = ["/api/slow/0.5", "/api/slow-thread/0.5"] * 2
    began = asyncio.get_running_loop().time()
    answers = await asyncio.gather(*[answer(http, "GET", path) for path in paths])
    assert answers == [(200, "done")] * 4
    assert asyncio.get_running_loop().time() - began < 1.5


async def test_a_call_goes_on_when_its_caller_leaves(http: aiohttp.ClientSession, host: HostProcess) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(answer(http, "GET", "/api/slow/0.7"), 0.3)
    await eventually(lambda: "slow (GET /api/slow/0.7): ok" in host.log)


async def test_the_stock_openai_client_talks_to_the_offline_model(host: HostProcess) -> None:
    openai = AsyncOpenAI(base_url=f"{host.url}/v1", api_key="none")
    try:
        answered = await openai.chat.completions.create(model="m", messages=[{"role": "user", "content": "Bees"}])
    finally:
        await openai.close()
    assert (answered.choices[0].message.content or "").startswith("[offline model]")
