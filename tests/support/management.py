"""The management API served over a running hub, and a client for it."""

from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import azure.durable_functions as df
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from durabletask import task

from devhost.clock import ManualClock
from devhost.keys import HostKeys
from devhost.taskhub.durable_executor import DurableExecutor
from devhost.taskhub.management_api import ManagementApi
from tests.support.running_hub import RunningHub, running_hub

type Steps = Generator[task.Task[Any], Any, Any]
ROOT = "/runtime/webhooks/durabletask"
KEYS = HostKeys(Path("/nowhere"), {"default": "function", "master": "admin", "durabletask": "system"}, fresh=False)
START = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
JSON = {"Content-Type": "application/json"}


def make_app() -> df.DFApp:
    app = df.DFApp()

    @app.activity_trigger(input_name="text")
    async def shout(text: str) -> str:
        return text.upper()

    @app.orchestration_trigger(context_name="ctx")
    def greet(ctx: task.OrchestrationContext, name: str) -> Steps:
        ctx.set_custom_status({"greeting": name})
        loud = yield ctx.call_activity("shout", input=name)
        return [loud]

    @app.orchestration_trigger(context_name="ctx")
    def wait(ctx: task.OrchestrationContext, _: None) -> Steps:
        event = yield ctx.wait_for_external_event("go")
        return event

    @app.orchestration_trigger(context_name="ctx")
    def fail(ctx: task.OrchestrationContext, reason: str) -> Steps:
        yield ctx.call_activity("shout", input="x")
        raise ValueError(reason)

    @app.orchestration_trigger(context_name="ctx")
    def echo(ctx: task.OrchestrationContext, value: Any) -> Any:
        return value

    @app.entity_trigger(context_name="context", entity_name="Counter")  # type: ignore[arg-type]
    def counter(context: df.DurableEntityContext) -> None:
        value = context.get_state(lambda: 0)
        if context.operation_name == "add":
            context.set_state(value + context.get_input())
        if context.operation_name == "set":
            context.set_state(context.get_input())
        if context.operation_name == "delete":
            context.set_state(None)

    return app


@dataclass
class Api:
    """The API's client; every call carries the system key unless told otherwise."""

    hub: RunningHub
    http: TestClient[web.Request, web.Application]
    clock: ManualClock

    async def call(self, method: str, path: str, *, code: str = "system", **options: Any) -> ClientResponse:
        query = {"code": code, **options.pop("query", {})}
        return await self.http.request(method, f"{ROOT}{path}", params=query, **options)

    async def get(self, path: str, **query: str) -> ClientResponse:
        return await self.call("GET", path, query=query)

    async def post(self, path: str, **options: Any) -> ClientResponse:
        return await self.call("POST", path, **options)


@asynccontextmanager
async def api() -> AsyncIterator[Api]:
    clock = ManualClock(START)
    async with running_hub(make_app(), clock=clock) as hub:
        names = DurableExecutor(hub.app.functions, hub.app).orchestrators
        management = ManagementApi(hub.hub, KEYS, orchestrators=names)
        app = web.Application()
        app.add_routes(list(management.route_defs()))
        try:
            async with TestClient(TestServer(app)) as http:
                yield Api(hub, http, clock)
        finally:
            await management.close()


async def problem_field(response: ClientResponse) -> str:
    assert response.status == 400, await response.text()
    body = await response.json()
    assert body["field"] in body["detail"]
    return str(body["field"])


async def ids(response: ClientResponse) -> list[str]:
    assert response.status == 200, await response.text()
    return [each["instanceId"] for each in await response.json()]
