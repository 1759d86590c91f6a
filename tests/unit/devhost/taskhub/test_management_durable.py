"""What the management API does over the durable task hub that it could not do over a simpler one."""

from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from durabletask import task

from devhost.taskhub.durable_executor import DurableExecutor
from devhost.taskhub.management_api import ManagementApi
from devhost.taskhub.management_requests import CONTINUATION_HEADER
from tests.support.durable_hub import DurableHub, durable_hub
from tests.support.hub_population import populate, populate_entities
from tests.support.management import KEYS, ROOT, problem_field

pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")

type Steps = Generator[task.Task[Any], Any, Any]


def make_app() -> df.DFApp:
    app = df.DFApp()

    @app.orchestration_trigger(context_name="ctx")
    def echo(ctx: task.OrchestrationContext, value: Any) -> Any:
        return value

    @app.orchestration_trigger(context_name="ctx")
    def parent(ctx: task.OrchestrationContext, _: None) -> Steps:
        yield ctx.call_sub_orchestrator("echo", input=1, instance_id="child")

    @app.orchestration_trigger(context_name="ctx")
    def fail_after_child(ctx: task.OrchestrationContext, _: None) -> Steps:
        yield ctx.call_sub_orchestrator("echo", input=1, instance_id="child")
        raise ValueError("no luck")

    @app.orchestration_trigger(context_name="ctx")
    def wait(ctx: task.OrchestrationContext, _: None) -> Steps:
        yield ctx.wait_for_external_event("go")

    @app.orchestration_trigger(context_name="ctx")
    def above(ctx: task.OrchestrationContext, _: None) -> Steps:
        yield ctx.call_sub_orchestrator("wait", instance_id="below")

    return app


class Api:
    """The API's client."""

    def __init__(self, hub: DurableHub, http: TestClient[web.Request, web.Application]) -> None:
        self.hub = hub
        self.http = http

    async def call(self, method: str, path: str, token: str | None = None, **query: str) -> ClientResponse:
        headers = {} if token is None else {CONTINUATION_HEADER: token}
        return await self.http.request(method, f"{ROOT}{path}", params={"code": "system", **query}, headers=headers)

    async def ids(self) -> list[str]:
        return sorted(each["instanceId"] for each in await (await self.call("GET", "/instances")).json())


@asynccontextmanager
async def api(directory: Path) -> AsyncIterator[Api]:
    async with durable_hub(make_app(), directory) as hub:
        names = DurableExecutor(hub.app.functions, hub.app).orchestrators
        management = ManagementApi(hub.hub, KEYS, orchestrators=names)
        app = web.Application()
        app.add_routes(list(management.route_defs()))
        try:
            async with TestClient(TestServer(app)) as http:
                yield Api(hub, http)
        finally:
            await management.close()


@pytest.mark.parametrize(("query", "left"), [({}, ["child"]), ({"recursive": "true"}, [])])
async def test_a_purge_takes_sub_orchestrations_along_when_asked_to(
    tmp_path: Path, query: dict[str, str], left: list[str]
) -> None:
    async with api(tmp_path) as it:
        await it.hub.output("parent", instance_id="one")
        response = await it.call("DELETE", "/instances/one", **query)
        assert await response.json() == {"instancesDeleted": 2 - len(left)}
        assert await it.ids() == left


@pytest.mark.parametrize(("query", "left"), [({}, ["child"]), ({"recursive": "true"}, [])])
async def test_a_purge_of_many_takes_sub_orchestrations_along_when_asked_to(
    tmp_path: Path, query: dict[str, str], left: list[str]
) -> None:
    async with api(tmp_path) as it:
        started = await it.hub.client.schedule_new_orchestration("fail_after_child", instance_id="one")
        await it.hub.finished(started)
        filters = {"createdTimeFrom": "2026-01-01T00:00:00Z", "runtimeStatus": "Failed", **query}
        response = await it.call("DELETE", "/instances", **filters)
        assert await response.json() == {"instancesDeleted": 2 - len(left)}
        assert await it.ids() == left


@pytest.mark.parametrize(("query", "status"), [({}, "Terminated"), ({"recursive": "false"}, "Running")])
async def test_a_termination_reaches_sub_orchestrations_unless_told_otherwise(
    tmp_path: Path, query: dict[str, str], status: str
) -> None:
    async with api(tmp_path) as it:
        await it.hub.client.schedule_new_orchestration("above", instance_id="one")
        await it.hub.idle()
        assert (await it.call("POST", "/instances/one/terminate", reason="enough", **query)).status == 202
        await it.hub.finished("one")
        await it.hub.idle()
        assert (await (await it.call("GET", "/instances/below")).json())["runtimeStatus"] == status


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/instances/one"), ("DELETE", "/instances"), ("POST", "/instances/two/terminate")]
)
async def test_recursive_is_true_or_false_and_nothing_else(tmp_path: Path, method: str, path: str) -> None:
    async with api(tmp_path) as it:
        await it.hub.output("echo", "1", instance_id="one")
        await it.hub.client.schedule_new_orchestration("wait", instance_id="two")
        query = {"createdTimeFrom": "2026-01-01T00:00:00Z", "recursive": "maybe"}
        assert await problem_field(await it.call(method, path, **query)) == "recursive"


@pytest.mark.parametrize("path", ["/instances", "/entities", "/entities/counter"])
@pytest.mark.parametrize("token", ["5", "bnVsbA==", "A" * 3000])
async def test_a_forged_token_is_refused_by_name(tmp_path: Path, path: str, token: str) -> None:
    async with api(tmp_path) as it:
        assert await problem_field(await it.call("GET", path, token)) == CONTINUATION_HEADER


@pytest.mark.parametrize(("path", "count"), [("/instances", 7), ("/entities", 7), ("/entities/Counter", 7)])
async def test_pages_follow_each_other_by_the_header_until_there_is_none(tmp_path: Path, path: str, count: int) -> None:
    async with api(tmp_path) as it:
        populate(it.hub.hub.engine, 1, count + 1)
        populate_entities(it.hub.hub.engine, 1, count + 1)
        found: list[Any] = []
        token: str | None = None
        while token is not None or not found:
            response = await it.call("GET", path, token, top="3")
            assert response.status == 200
            page = await response.json()
            assert len(page) <= 3
            found += page
            token = response.headers.get(CONTINUATION_HEADER)
        assert len({str(each.get("instanceId") or each.get("entityId")) for each in found}) == count


@pytest.mark.parametrize("header", ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "garbage", ""])
async def test_an_orchestration_started_over_http_belongs_to_the_clients_trace(tmp_path: Path, header: str) -> None:
    async with api(tmp_path) as management:
        path, query = f"{ROOT}/orchestrators/wait/one", {"code": "system"}
        asked = await management.http.post(path, params=query, headers={"traceparent": header})
        assert asked.status == 202
        instance = management.hub.hub.engine.context.instances.find("one")
        assert instance is not None
        started = instance.started_event().executionStarted
        expected = header if header.startswith("00-") else ""
        assert started.parentTraceContext.traceParent == expected
