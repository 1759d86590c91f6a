"""What a host does when its disk takes nothing more: it says so, ends, and loses nothing that it had acknowledged."""

from pathlib import Path
from textwrap import dedent
from typing import Any

import aiohttp
import pytest

from tests.support.host_process import HostProcess

APP = """
    import resource
    import azure.durable_functions as df
    import azure.functions as func

    app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.route(route="start/{id}")
    @app.durable_client_input(client_name="client")
    async def start(req: func.HttpRequest, client) -> func.HttpResponse:
        body = req.get_body().decode()
        return func.HttpResponse(await client.start_new("waiter", req.route_params["id"], body))

    @app.route(route="fill-disk")
    async def fill_disk(req: func.HttpRequest) -> func.HttpResponse:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(req.params["bytes"]), resource.RLIM_INFINITY))
        return func.HttpResponse("no file grows any more")

    @app.orchestration_trigger(context_name="context")
    def waiter(context: df.DurableOrchestrationContext):
        return (yield context.wait_for_external_event("go"))
"""
# More than the log, and no more than what the hub's file and its journal have after the start.
FILE_LIMIT = 100_000


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "host.json").write_text('{"version": "2.0"}')
    (folder / "function_app.py").write_text(dedent(APP))
    return folder


async def call(host: HostProcess, path: str, data: str | None = None) -> int:
    async with aiohttp.ClientSession(host.url) as http, http.post(path, data=data) as response:
        await response.read()
        return response.status


async def status_of(host: HostProcess, instance_id: str) -> tuple[int, Any]:
    path = f"/runtime/webhooks/durabletask/instances/{instance_id}?code={host.key('durabletask')}"
    async with aiohttp.ClientSession(host.url) as http, http.get(path) as response:
        return response.status, (await response.json()).get("runtimeStatus")


async def test_a_host_whose_disk_is_full_ends_with_status_1_and_the_next_one_goes_on(app: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with HostProcess(app, state_dir=state) as host:
        assert await call(host, "/api/start/kept", "small") == 200
        assert await call(host, f"/api/fill-disk?bytes={FILE_LIMIT}") == 200
        assert await call(host, "/api/start/lost", "x" * 2 * FILE_LIMIT) == 500
        assert await host.wait(within=20) == 1
        assert "the host ends, because it can keep nothing any more" in host.log
    async with HostProcess(app, state_dir=state) as host:
        assert "1 orchestration under way" in host.log
        assert await status_of(host, "kept") == (202, "Running")
        assert (await status_of(host, "lost"))[0] == 404
