"""What an operator sees of the whole app while one of its agents is down: an open circuit, and runs that go on.

`tests/integration/test_operations.py` runs this file in a process of its own, because a process can run one app. Time
is the test's: nothing waits. Messages travel over AMQP with the stock client, model calls over HTTP.
"""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from devhost.testing import AppHost
from tests.support.chat_model import ChatModel, chat_model

ROOT = Path(__file__).parents[4]
BUS = (
    "Endpoint=sb://localhost;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;"
    "UseDevelopmentEmulator=true;"
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


class SickModel(ChatModel):
    """A model that answers 500 to whoever's system prompt holds `sick`, while that is set."""

    def __init__(self) -> None:
        super().__init__()
        self.sick = ""
        self.refused = 0

    async def complete(self, request: web.Request) -> web.Response:
        """`POST /v1/chat/completions`."""
        asked = json.loads(await request.read())
        if self.sick and self.sick in asked["messages"][0]["content"]:
            self.refused += 1
            return web.json_response({"error": {"message": "sick"}}, status=500)
        return await super().complete(request)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[SickModel]:
    sick = SickModel()
    async with chat_model(sick):
        yield sick


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(model: SickModel, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AppHost]:
    folder = tmp_path_factory.mktemp("muster")
    settings = {
        "ServiceBusConnection": BUS,
        "MUSTER_DATA_DIR": str(folder / "data"),
        "MUSTER_MODEL_BASE_URL": model.url,
        "MUSTER_MODEL_NAME": "test-model",
    }
    async with AppHost(ROOT, settings=settings, state_dir=folder / "host") as running:
        yield running


async def task(host: AppHost, task_id: str) -> dict[str, Any]:
    """The run, once it is over; time goes by meanwhile."""

    async def over() -> bool:
        shown = (await host.client.get(f"/api/task/{task_id}")).json()
        return shown.get("status") not in (None, "pending", "running")

    await host.until(over, within=timedelta(hours=1))
    found: dict[str, Any] = (await host.client.get(f"/api/task/{task_id}")).json()
    return found


async def circuit(host: AppHost, name: str) -> dict[str, Any]:
    circuits = (await host.client.get("/api/circuits")).json()["circuits"]
    return next(each for each in circuits if each["name"] == name)


async def test_ten_queries_with_one_agent_down_open_its_circuit_and_the_others_go_on_until_it_is_back(
    host: AppHost, model: SickModel
) -> None:
    model.sick, model.refused = "You are a research librarian", 0
    accounts = []
    for number in range(10):
        started = (await host.client.post("/api/research-parallel", json={"query": f"Tides {number}"})).json()
        run = await task(host, started["task_id"])
        accounts.append({line["agent"]: line for line in run["account"]})
    answered = [[agent for agent, line in each.items() if line["outcome"] == "answered"] for each in accounts]
    assert all(set(each) >= {"web", "news", "social"} for each in answered), "the others go on"
    opened = await circuit(host, "agent.academic")
    assert opened["state"] == "open"
    assert model.refused >= 5
    causes = [each["academic"]["cause"] or "" for each in accounts]
    assert any("the circuit of agent.academic is open: try again at" in cause for cause in causes)
    assert (await circuit(host, "agent.web"))["state"] == "closed"

    model.sick = ""
    await host.advance(timedelta(seconds=60))
    started = (await host.client.post("/api/research-parallel", json={"query": "Tides again"})).json()
    run = await task(host, started["task_id"])
    assert {line["outcome"] for line in run["account"]} == {"answered"}
    assert (await circuit(host, "agent.academic"))["state"] == "closed"
