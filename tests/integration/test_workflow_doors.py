"""Every door through which a run of any pattern is started, on the whole system: HTTP, message, durable client."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient

from orchestrations.starter import run_id
from tests.support.chat_model import ChatModel, chat_model
from tests.support.eventually import eventually
from tests.support.muster_host import MusterHost, muster_host

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUEUE = "workflow-starts"
RACE = {"pattern": "parallel", "request": "tides", "agents": ["web", "news"]}
NESTED = {
    "request": {"topic": "tides"},
    "agents": ["research", {"pattern": "parallel", "name": "stage", "agents": ["web", "news"]}, "writer"],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[ChatModel]:
    async with chat_model() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory, model: ChatModel) -> AsyncIterator[MusterHost]:
    async with muster_host(tmp_path_factory.mktemp("doors"), model_url=model.url) as running:
        yield running


async def post(host: MusterHost, path: str, body: Any, **headers: str) -> tuple[int, Any, Mapping[str, str]]:
    return await host.post(f"/api/{path}", json.dumps(body).encode(), headers=headers)


async def send(host: MusterHost, *messages: ServiceBusMessage) -> None:
    client = ServiceBusClient.from_connection_string(host.connection_string)
    async with client, client.get_queue_sender(QUEUE) as sender:
        for message in messages:
            await sender.send_messages(message)


async def found(host: MusterHost, task_id: str) -> dict[str, Any]:
    async def there() -> bool:
        return (await host.get(f"/api/task/{task_id}"))[0] == 200

    assert await eventually(there, within=20.0, every=0.05)
    return await host.finished(task_id)


# -- HTTP -------------------------------------------------------------------------------------------------------


async def test_any_pattern_is_started_under_its_own_name_and_nests_others(host: MusterHost) -> None:
    status, started, headers = await post(host, "workflows/sequential", NESTED)
    assert (status, started["status"], started["workflow"]) == (202, "started", "sequential")
    assert started["steps"] == ["research", "stage.web", "stage.news", "writer"]
    assert headers["Location"].endswith(f"/api/task/{started['task_id']}")

    task = await host.finished(started["task_id"])
    assert task["status"] == "completed"
    assert [step["status"] for step in task["steps"]] == ["succeeded"] * 4
    assert [line["step_id"] for line in task["account"]] == started["steps"]
    ends = {step["step_id"]: step["completed_at"] for step in task["steps"]}
    assert ends["research"] < min(ends["stage.web"], ends["stage.news"])
    assert max(ends["stage.web"], ends["stage.news"]) < ends["writer"]


async def test_research_is_four_researchers_at_once_and_one_answer(host: MusterHost) -> None:
    status, started, _ = await post(host, "research-parallel", {"query": "tides"})
    assert (status, started["workflow"]) == (202, "parallel")
    assert started["agents_dispatched"] == ["web", "academic", "news", "social"]
    task = await host.finished(started["task_id"])
    assert (task["status"], task["workflow"], task["input"]) == ("completed", "research", {"query": "tides"})
    assert [line["outcome"] for line in task["account"]] == ["answered"] * 5
    assert isinstance(task["result"], str)
    assert {"summary", "findings", "gaps"} == set(task["steps"][0]["result"])


async def test_the_patterns_are_listed_with_the_schemas_of_their_requests(host: MusterHost) -> None:
    status, listed = await host.get("/api/workflows")
    assert status == 200
    by_name = {each["pattern"]: each for each in listed["workflows"]}
    assert {"sequential", "parallel"} <= set(by_name)
    assert "agents" in by_name["parallel"]["request"]["$defs"]["ParallelRequest"]["properties"]


async def test_an_unknown_pattern_is_404_and_the_answer_says_which_there_are(host: MusterHost) -> None:
    status, problem, _ = await post(host, "workflows/circular", {"request": "x", "agents": ["web"]})
    assert (status, problem["type"]) == (404, "urn:muster:problem:not-found")
    assert "sequential, parallel" in problem["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"agents": ["web"]}, "request"),
        ({"request": "x", "agents": ["web", "ghost"]}, "agents.1"),
        ({"request": "x", "agents": []}, "agents"),
        ({"request": "x", "agents": ["web", "web"]}, "agents.1"),
        ({"request": "x", "agents": ["web"], "require": {"at_least": 5}}, "require"),
        ({"request": "x", "agents": ["web"], "budget": {"usd": 1}}, "budget.usd"),
        ({"request": "x", "agents": ["web"], "deadline_seconds": -1}, "deadline_seconds"),
        ({"request": "x", "agents": ["web"], "pattern": "sequential"}, "pattern"),
    ],
)
async def test_a_request_that_cannot_be_run_is_400_and_names_the_field(host: MusterHost, body: Any, field: str) -> None:
    status, problem, _ = await post(host, "workflows/parallel", body)
    assert (status, problem["type"]) == (400, "urn:muster:problem:invalid-request")
    assert problem.get("field", "") == field, problem


# -- messages ---------------------------------------------------------------------------------------------------


async def test_a_message_starts_a_run_and_its_repeat_does_not(host: MusterHost) -> None:
    body = json.dumps({**RACE, "idempotency_key": "night-7"})
    await send(host, *(ServiceBusMessage(body, message_id=f"m-{number}") for number in range(3)))
    task = await found(host, run_id("parallel", "night-7"))
    assert (task["status"], task["type"], task["input"]) == ("completed", "parallel", "tides")
    assert [step["attempt"] for step in task["steps"]] == [1, 1]


async def test_the_id_of_a_message_is_as_good_as_a_key(host: MusterHost) -> None:
    await send(host, ServiceBusMessage(json.dumps(RACE), message_id="night-8"))
    assert (await found(host, run_id("parallel", "night-8")))["status"] == "completed"


async def test_a_message_that_is_no_request_is_dead_lettered_and_the_log_says_why(host: MusterHost) -> None:
    bad = [b"{", b'{"pattern": "circular"}', b'{"pattern": "parallel", "request": "x", "agents": ["ghost"]}']
    await send(host, *(ServiceBusMessage(body) for body in bad))
    async with ServiceBusClient.from_connection_string(host.connection_string) as client:
        receiver = client.get_queue_receiver(QUEUE, sub_queue=ServiceBusSubQueue.DEAD_LETTER, max_wait_time=20)
        async with receiver:
            dead: list[bytes] = []
            while len(dead) < len(bad):
                messages = await receiver.receive_messages(max_message_count=len(bad), max_wait_time=20)
                assert messages, dead
                for message in messages:
                    dead.append(b"".join(message.body))
                    await receiver.complete_message(message)
    assert sorted(dead) == sorted(bad)
    for why in ("Invalid JSON", "pattern must be one of sequential, parallel", "agents.0: no agent is called ghost"):
        assert why in host.process.log


# -- the durable client -----------------------------------------------------------------------------------------


async def schedule(host: MusterHost, orchestrator: str, request: Any) -> str:
    path = f"/runtime/webhooks/durabletask/orchestrators/{orchestrator}?code={host.process.key('durabletask')}"
    status, started, _ = await host.post(path, json.dumps(request).encode(), headers={"x-functions-key": ""})
    assert status == 202, started
    return str(started["id"])


async def test_an_orchestrator_scheduled_by_name_with_a_request_is_a_run_like_any_other(host: MusterHost) -> None:
    task = await found(host, await schedule(host, "parallel", {"request": "tides", "agents": ["web", "news"]}))
    assert (task["status"], task["type"], task["input"]) == ("completed", "parallel", "tides")
    assert [step["step_id"] for step in task["steps"]] == ["web", "news"]


async def test_a_request_that_no_door_checked_is_checked_by_its_run(host: MusterHost) -> None:
    task = await found(host, await schedule(host, "sequential", {"request": "tides", "agents": ["ghost"]}))
    assert (task["status"], task["error"]["type"]) == ("failed", "InvalidRequest")
    assert "agents.0" in task["error"]["message"]


async def test_runs_of_all_doors_at_once_do_not_disturb_one_another(host: MusterHost) -> None:
    async def one(number: int) -> str:
        _, started, _ = await post(host, "workflows/parallel", {**RACE, "request": f"r-{number}"})
        return (await host.finished(started["task_id"]))["input"]  # type: ignore[no-any-return]

    assert await asyncio.gather(*(one(number) for number in range(5))) == [f"r-{number}" for number in range(5)]
