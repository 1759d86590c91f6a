"""The whole app in a process of its own, which works, fails, and is stopped amid a call, and tells Azure Monitor.

    python -m tests.support.monitored_run CONNECTION_STRING FOLDER

It runs on the local host under the test's time, with the real exporter, and ends with 0 when all went as it says.
"""

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from agents.context import AgentContext
from agents.outcomes import Answered
from devhost.testing import AppHost
from shared.contracts import AgentInput
from shared.telemetry.otel.adapter import OpenTelemetry
from tests.support.app_world import a_runner, an_agent, make_world
from tests.support.chat_model import ChatModel, chat_model
from tests.support.documents import NOW, a_run, a_task
from tests.support.host_process import ROOT

BUS = (
    "Endpoint=sb://localhost;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;"
    "UseDevelopmentEmulator=true;"
)
WRITER = "You are a writer"
LIBRARIAN = "You are a research librarian"
OVER = frozenset({"completed", "partial", "failed", "cancelled", "budget_exhausted"})


class Failing(ChatModel):
    """Answers 503 to the agent whose instructions have the words of `down`."""

    down: str | None = None

    async def complete(self, request: web.Request) -> web.Response:
        """`POST /v1/chat/completions`."""
        asked = json.loads(await request.read())
        if self.down is not None and self.down in asked["messages"][0]["content"]:
            return web.json_response({"error": {"message": "down"}}, status=503)
        return await super().complete(request)


async def begun(host: AppHost, path: str, body: dict[str, Any]) -> str:
    """The id of a run that was asked for."""
    answer = await host.client.post(path, json=body)
    assert answer.status == 202, answer.text
    return str(answer.json()["task_id"])


async def ended(host: AppHost, task_id: str) -> dict[str, Any]:
    """A run once it is over; time goes by meanwhile."""

    async def shown() -> dict[str, Any]:
        found: dict[str, Any] = (await host.client.get(f"/api/task/{task_id}")).json()
        return found

    async def over() -> bool:
        return (await shown()).get("status") in OVER

    await host.until(over, within=timedelta(hours=2))
    return await shown()


async def an_article(host: AppHost) -> None:
    """A sequence in which nothing goes wrong."""
    done = await ended(host, await begun(host, "/api/create-content", {"topic": "Tides"}))
    assert done["status"] == "completed", done


async def an_agent_that_fails(host: AppHost, model: Failing) -> None:
    """Its message is tried four times and dead-letters; the run fails."""
    model.down = WRITER
    failed = await ended(host, await begun(host, "/api/create-content", {"topic": "Bees"}))
    model.down = None
    assert (failed["status"], failed["steps"][1]["attempt"]) == ("failed", 4), failed


async def an_agent_whose_circuit_opens(host: AppHost, model: Failing) -> None:
    """One of four researchers is down, until nobody asks it any more."""
    model.down = LIBRARIAN
    for number in range(3):
        run = await ended(host, await begun(host, "/api/research-parallel", {"query": f"Tides {number}"}))
        assert run["status"] == "partial", run
    model.down = None
    circuits = (await host.client.get("/api/circuits")).json()["circuits"]
    assert "open" in {each["state"] for each in circuits}, circuits


async def a_call_that_is_broken_off(folder: Path) -> None:
    """An agent's process is stopped after it asked a model, and its next delivery asks again: without a host."""
    asked = asyncio.Event()

    async def work(context: AgentContext, given: AgentInput) -> str:
        said = await context.ask("s", str(given.request))
        if not asked.is_set():
            asked.set()
            await asyncio.Event().wait()
        return said

    telemetry = OpenTelemetry(trace.get_tracer_provider(), metrics.get_meter_provider())
    async with make_world(folder) as world:
        await world.store.create_run(a_run(steps=("tester",)))
        runner = a_runner(an_agent(work), world.but(telemetry=telemetry))
        first = asyncio.create_task(runner.run(a_task("tester"), owner="first", enqueued_at=NOW))
        await asked.wait()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert isinstance(await runner.run(a_task("tester"), owner="second", enqueued_at=NOW), Answered)


async def a_message_twice(host: AppHost) -> None:
    """The second is answered from the record of the first."""
    task = {
        "task_id": "twice",
        "step_id": "p",
        "agent": "publisher",
        "input": {"request": {"text": "# T\n\nThe moon."}},
    }
    for number in range(2):
        async with (
            ServiceBusClient.from_connection_string(host.settings["ServiceBusConnection"]) as client,
            client.get_queue_sender("publisher-tasks") as sender,
        ):
            await sender.send_messages(ServiceBusMessage(json.dumps(task), message_id=f"twice-{number}"))
        await host.advance(timedelta(seconds=1))
    assert (await ended(host, "twice"))["status"] == "completed"


def deliver() -> None:
    """Send what the exporters still hold."""
    tracers, meters = trace.get_tracer_provider(), metrics.get_meter_provider()
    assert isinstance(tracers, TracerProvider)
    assert isinstance(meters, MeterProvider)
    assert tracers.force_flush()
    assert meters.force_flush()


async def run(connection: str, folder: Path) -> None:
    """Everything, one after the other."""
    async with chat_model(Failing()) as model:
        assert isinstance(model, Failing)
        settings = {
            "ServiceBusConnection": BUS,
            "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
            "MUSTER_DATA_DIR": str(folder / "data"),
            "MUSTER_MODEL_BASE_URL": model.url,
            "MUSTER_MODEL_API_KEY": "a key",
            "MUSTER_TELEMETRY": "azure-monitor",
            "APPLICATIONINSIGHTS_CONNECTION_STRING": connection,
            "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
            "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
        }
        async with AppHost(ROOT, settings=settings, state_dir=folder / "host") as host:
            await an_article(host)
            await an_agent_that_fails(host, model)
            await an_agent_whose_circuit_opens(host, model)
            await a_message_twice(host)
        await a_call_that_is_broken_off(folder / "broken-off")
        await asyncio.to_thread(deliver)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], Path(sys.argv[2])))
