"""What an operator sees of the whole app while an agent sleeps, fails or is down: the demonstrations of the runbook.

`tests/integration/test_operations.py` runs this file in a process of its own, because a process can run one app. Time
is the test's: nothing waits. Messages travel over AMQP with the stock client, model calls over HTTP to the local
host's offline model, which misbehaves as `PUT /v1/faults` tells it.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from devhost.testing import AppHost

ROOT = Path(__file__).parents[4]
BUS = (
    "Endpoint=sb://localhost;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;"
    "UseDevelopmentEmulator=true;"
)
LIBRARIAN = "You are a research librarian"
RESEARCHER = "You are a researcher who prepares dossiers"
WRITER = "You are a writer"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AppHost]:
    folder = tmp_path_factory.mktemp("muster")
    settings = {
        "ServiceBusConnection": BUS,
        "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
        "MUSTER_DATA_DIR": str(folder / "data"),
    }
    async with AppHost(ROOT, settings=settings, state_dir=folder / "host") as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def host(running: AppHost) -> AsyncIterator[AppHost]:
    yield running
    await running.client.delete("/v1/faults")
    for each in (await running.client.get("/api/circuits")).json()["circuits"]:
        if each["failures"] or each["state"] != "closed":
            await running.client.post(f"/api/circuits/{each['name']}", json={"state": "auto"})


async def faults(host: AppHost, *rules: dict[str, Any]) -> None:
    answer = await host.client.put("/v1/faults", json={"rules": rules})
    assert answer.status == 200, answer.text


async def asked(host: AppHost, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The run that a request starts, once it is over; time goes by meanwhile."""
    started = await host.client.post(path, json=body)
    assert started.status == 202, started.text
    return await over(host, started.json()["task_id"])


async def over(host: AppHost, task_id: str) -> dict[str, Any]:
    async def is_over() -> bool:
        shown = (await host.client.get(f"/api/task/{task_id}")).json()
        return shown.get("status") not in (None, "pending", "running")

    await host.until(is_over, within=timedelta(hours=1))
    found: dict[str, Any] = (await host.client.get(f"/api/task/{task_id}")).json()
    return found


async def replay(host: AppHost, **body: Any) -> dict[str, Any]:
    answer = await host.client.post("/api/dead-letters/replay", json=body)
    assert answer.status == 200, answer.text
    [result] = answer.json()["results"]
    return dict(result)


async def circuit(host: AppHost, name: str) -> dict[str, Any]:
    circuits = (await host.client.get("/api/circuits")).json()["circuits"]
    [found] = [each for each in circuits if each["name"] == name]
    return dict(found)


async def test_with_one_of_four_researchers_asleep_the_answer_comes_after_30_s_with_timed_out_and_three_of_four(
    host: AppHost,
) -> None:
    await faults(host, {"system": LIBRARIAN, "delay": 35})
    began = host.clock.now()
    run = await asked(host, "/api/research-parallel", {"query": "Tides"})
    assert timedelta(seconds=30) <= host.clock.now() - began < timedelta(seconds=31)
    assert run["status"] == "partial"
    outcomes = {line["agent"]: line["outcome"] for line in run["account"]}
    assert outcomes == {
        "web": "answered",
        "academic": "timed_out",
        "news": "answered",
        "social": "answered",
        "aggregator": "answered",
    }

    await host.advance(timedelta(seconds=10))
    after = (await host.client.get(f"/api/task/{run['id']}")).json()
    assert (after["status"], after["result"], after["account"]) == (run["status"], run["result"], run["account"])


async def test_a_failing_agent_is_retried_at_5_10_and_15_s_dead_letters_is_mended_and_replayed_and_its_run_completes(
    host: AppHost,
) -> None:
    await faults(host, {"system": WRITER, "status": 503})
    run = await asked(host, "/api/create-content", {"topic": "Tides"})
    assert run["status"] == "failed"
    [writer] = [step for step in run["steps"] if step["agent"] == "writer"]
    assert (writer["status"], writer["attempt"], writer["error"]["type"]) == ("failed", 4, "ModelUnavailable")
    ended = [datetime.fromisoformat(each["ended_at"]) for each in writer["attempts"]]
    began = [datetime.fromisoformat(each["started_at"]) for each in writer["attempts"][1:]]
    waits = [
        late - early for early, late in zip(ended, [*began, datetime.fromisoformat(writer["started_at"])], strict=True)
    ]
    for wait, least in zip(waits, (5, 10, 15), strict=True):
        assert timedelta(seconds=least) <= wait <= timedelta(seconds=least * 1.2 + 0.1)

    [dead] = (await host.client.get("/api/dead-letters")).json()["dead_letters"]
    assert (dead["agent"], dead["attempts"], dead["error"]["type"]) == ("writer", 4, "ModelUnavailable")
    assert dead["run"]["id"] == run["id"]

    await faults(host, {"system": RESEARCHER}, {"system": WRITER})
    how: dict[str, Any] = {"ids": [dead["id"]], "restart": True, "by": "Ann"}
    assert (await replay(host, **how, dry_run=True))["action"] == "restarted"
    done = await replay(host, **how)
    again = await over(host, done["run"])
    assert (done["action"], again["status"]) == ("restarted", "completed")
    calls = (await host.client.get("/v1/faults")).json()["rules"]
    assert [each["used"] for each in calls] == [0, 1], "research is not asked again, and the writer once"
    assert (await host.client.get("/api/dead-letters")).json()["dead_letters"] == []


async def test_ten_queries_with_one_agent_down_open_its_circuit_and_the_others_go_on_until_it_is_back(
    host: AppHost,
) -> None:
    await faults(host, {"system": LIBRARIAN, "answer": "prose"})
    runs = [await asked(host, "/api/research-parallel", {"query": f"Tides {number}"}) for number in range(10)]
    accounts = [{line["agent"]: line for line in run["account"]} for run in runs]
    for each in accounts:
        assert {agent for agent, line in each.items() if line["outcome"] == "answered"} >= {"web", "news", "social"}
    refused = ["is open: try again at" in (each["academic"]["cause"] or "") for each in accounts]
    assert refused == [False] * 5 + [True] * 5, "five failures open it"
    opened = await circuit(host, "agent.academic")
    assert (opened["state"], opened["failures"]) == ("open", 5)
    assert (await circuit(host, "agent.web"))["state"] == "closed"

    await faults(host, {"system": LIBRARIAN, "delay": 3})
    pause = datetime.fromisoformat(opened["until"]) - host.clock.now()
    await host.advance(pause - timedelta(seconds=1))
    early = await asked(host, "/api/research-parallel", {"query": "Tides too early"})
    assert early["status"] == "partial", "not before its 60 s are over"
    await host.advance(timedelta(seconds=2))

    probe = (await host.client.post("/api/research-parallel", json={"query": "Tides again"})).json()
    await host.advance(timedelta(seconds=1))
    assert (await circuit(host, "agent.academic"))["state"] == "half_open", "one call is on its way"
    run = await over(host, probe["task_id"])
    assert {line["outcome"] for line in run["account"]} == {"answered"}
    assert (await circuit(host, "agent.academic"))["state"] == "closed"


async def test_an_agent_whose_model_answers_500_opens_its_circuit_while_the_others_work(host: AppHost) -> None:
    await faults(host, {"system": LIBRARIAN, "status": 500})
    runs = [await asked(host, "/api/research-parallel", {"query": f"Bees {number}"}) for number in range(3)]
    for run in runs:
        answered = {line["agent"] for line in run["account"] if line["outcome"] == "answered"}
        assert answered >= {"web", "news", "social"}
    assert (await circuit(host, "agent.academic"))["state"] == "open"
    assert (await circuit(host, "model.localhost"))["state"] == "closed", "the endpoint answers the others"
