"""The content pipeline, whole: HTTP in, four agents behind their queues, an article out."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.chat_model import ChatModel, chat_model
from tests.support.muster_host import MusterHost, muster_host

AGENTS = ["research", "writer", "editor", "publisher"]
TOPIC = json.dumps({"topic": "Tides"}).encode()


@pytest.fixture
async def model() -> AsyncIterator[ChatModel]:
    async with chat_model() as running:
        yield running


@pytest.fixture
async def host(tmp_path: Path, model: ChatModel) -> AsyncIterator[MusterHost]:
    async with muster_host(tmp_path, model_url=model.url) as running:
        yield running


async def test_a_topic_becomes_an_article_by_four_steps_in_order(host: MusterHost, model: ChatModel) -> None:
    status, started, headers = await host.post("/api/create-content", TOPIC)

    assert status == 202
    assert started["workflow"] == "sequential"
    assert started["steps"] == AGENTS
    assert headers["Location"].endswith(f"/api/task/{started['task_id']}")

    task = await host.finished(started["task_id"])
    assert (task["status"], task["type"], task["input"]) == ("completed", "sequential", {"topic": "Tides"})
    assert [step["agent"] for step in task["steps"]] == AGENTS
    assert [step["status"] for step in task["steps"]] == ["succeeded"] * 4
    ends = [step["completed_at"] for step in task["steps"]]
    assert ends == sorted(ends)
    assert [line["outcome"] for line in task["account"]] == ["answered"] * 4
    assert len(model.requests) == 3
    assert task["usage"]["input_tokens"] == 30
    assert task["usage"]["cost_usd"] is None, "the price of an unknown model is unknown, not zero"
    assert Path(task["result"]["location"].removeprefix("file://")).read_text().startswith("# Title")


async def test_a_sticky_host_makes_the_same_article(tmp_path: Path, model: ChatModel) -> None:
    async with muster_host(tmp_path, model_url=model.url, arguments=["--sticky"]) as host:
        _, started, _ = await host.post("/api/create-content", TOPIC)
        task = await host.finished(started["task_id"])
        assert (task["status"], [step["status"] for step in task["steps"]]) == ("completed", ["succeeded"] * 4)
        assert Path(task["result"]["location"].removeprefix("file://")).read_text().startswith("# Title")


async def test_each_agent_sees_the_request_and_what_the_earlier_ones_made(host: MusterHost, model: ChatModel) -> None:
    _, started, _ = await host.post("/api/create-content", TOPIC)
    await host.finished(started["task_id"])

    prompts = [request["messages"][-1]["content"] for request in model.requests]
    assert all('"topic": "Tides"' in prompt for prompt in prompts)
    assert ['agent="research"' in prompt for prompt in prompts] == [False, True, True]
    assert ['agent="writer"' in prompt for prompt in prompts] == [False, False, True]


async def test_an_idempotency_key_gives_the_same_run_twice(host: MusterHost, model: ChatModel) -> None:
    key = {"Idempotency-Key": "order-7"}
    _, first, _ = await host.post("/api/create-content", TOPIC, headers=key)
    _, second, _ = await host.post("/api/create-content", TOPIC, headers=key)
    status, problem, _ = await host.post("/api/create-content", b'{"topic": "Winds"}', headers=key)

    assert first["task_id"] == second["task_id"]
    assert (status, problem["type"]) == (409, "urn:muster:problem:conflict")
    await host.finished(first["task_id"])
    assert len(model.requests) == 3


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_host(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MusterHost]:
    async with muster_host(tmp_path_factory.mktemp("shared"), model_url="http://127.0.0.1:1/v1") as running:
        yield running


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("body", "headers", "status", "field"),
    [
        (b"{", {}, 400, None),
        (b"[]", {}, 400, None),
        (b"{}", {}, 400, "topic"),
        (b'{"topic": ""}', {}, 400, "topic"),
        (b'{"topic": "   "}', {}, 400, "topic"),
        (b'{"topic": 7}', {}, 400, "topic"),
        (json.dumps({"topic": "x" * 2001}).encode(), {}, 400, "topic"),
        (b'{"topic": "Tides", "colour": "blue"}', {}, 400, "colour"),
        (TOPIC, {"content-type": "text/plain"}, 415, None),
        (TOPIC, {"Idempotency-Key": "x" * 256}, 400, "Idempotency-Key"),
        (json.dumps({"topic": "x" * 70_000}).encode(), {}, 413, None),
        (TOPIC, {"x-functions-key": "wrong"}, 401, None),
        (TOPIC, {"x-functions-key": ""}, 401, None),
    ],
)
async def test_a_bad_request_is_a_problem_that_names_the_field(
    shared_host: MusterHost, body: bytes, headers: dict[str, str], status: int, field: str | None
) -> None:
    answered, problem, sent = await shared_host.post("/api/create-content", body, headers=headers)

    assert answered == status
    assert sent["Content-Type"].startswith("application/problem+json")
    assert problem["status"] == status
    assert problem.get("field") == field
    assert "Traceback" not in json.dumps(problem)


async def test_bad_requests_start_nothing(host: MusterHost, model: ChatModel) -> None:
    for body in (b"{", b"{}", b'{"topic": ""}'):
        await host.post("/api/create-content", body)

    status, _ = await host.get("/api/task/anything")
    instances, listed = await host.get(
        f"/runtime/webhooks/durabletask/instances?code={host.process.key('durabletask')}", key=""
    )
    assert status == 404
    assert (instances, listed) == (200, [])
    assert model.requests == []


async def test_the_catalog_and_health_answer(host: MusterHost) -> None:
    _, catalog = await host.get("/api/agents")
    status, health = await host.get("/api/health", key="")

    assert [agent["name"] for agent in catalog["agents"]][:4] == AGENTS
    assert all(agent["queue"] == f"{agent['name']}-tasks" for agent in catalog["agents"])
    assert (status, health["status"]) == (200, "ok")
