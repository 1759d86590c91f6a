"""What an operator does over HTTP with the whole system: dead letters are listed, mended and replayed."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from tests.support.chat_model import ChatModel, chat_model
from tests.support.child_suite import names_in, run_suite
from tests.support.eventually import eventually
from tests.support.host_process import ROOT
from tests.support.muster_host import MusterHost, muster_host

DEMONSTRATIONS = ROOT / "tests" / "integration" / "apps" / "operations"


@pytest.fixture
async def model() -> AsyncIterator[ChatModel]:
    async with chat_model() as running:
        yield running


@pytest.fixture
async def host(tmp_path: Path, model: ChatModel) -> AsyncIterator[MusterHost]:
    async with muster_host(tmp_path, model_url=model.url) as running:
        yield running


async def send(host: MusterHost, queue: str, body: Any, message_id: str) -> None:
    async with (
        ServiceBusClient.from_connection_string(host.connection_string) as client,
        client.get_queue_sender(queue) as sender,
    ):
        await sender.send_messages(ServiceBusMessage(json.dumps(body), message_id=message_id))


async def listed(host: MusterHost) -> list[dict[str, Any]]:
    status, page = await host.get("/api/dead-letters")
    assert status == 200, page
    found: list[dict[str, Any]] = page["dead_letters"]
    return found


async def replay(host: MusterHost, **body: Any) -> dict[str, Any]:
    status, answer, _ = await host.post("/api/dead-letters/replay", json.dumps(body).encode())
    assert status == 200, answer
    [result] = answer["results"]
    return dict(result)


async def test_a_failing_agents_message_dead_letters_is_listed_mended_and_replayed_and_its_run_completes(
    host: MusterHost,
) -> None:
    """The publisher refuses an input without text, which no further attempt would mend."""
    task = {"task_id": "night-1", "step_id": "p", "agent": "publisher", "input": {"request": {}}}
    await send(host, "publisher-tasks", task, "night-1:p:1")
    assert (await host.finished("night-1"))["status"] == "failed"

    [dead] = await eventually(lambda: listed(host), within=20)
    assert (dead["queue"], dead["reason"], dead["attempts"]) == ("publisher-tasks", "MaxDeliveryCountExceeded", 1)
    assert dead["error"]["type"] == "InvalidRequest"
    assert dead["run"] == {"id": "night-1", "status": "failed", "step_id": "p", "step_status": "failed"}

    assert (await replay(host, ids=[dead["id"]]))["action"] == "refused"
    mended = {**task, "input": {"request": {"text": "# Tides\n\nThe moon."}}}
    how: dict[str, Any] = {"ids": [dead["id"]], "body": mended, "by": "Ann", "restart": True}
    assert (await replay(host, **how, dry_run=True))["action"] == "restarted"
    assert [each["id"] for each in await listed(host)] == [dead["id"]]

    done = await replay(host, **how)
    run = await host.finished(done["run"])
    assert (done["action"], run["status"], run["result"]["title"]) == ("restarted", "completed", "Tides")
    assert await listed(host) == []
    assert "Ann replays" in host.process.log


async def test_a_malformed_message_is_mended_and_replayed_and_its_run_completes(
    host: MusterHost, model: ChatModel
) -> None:
    await send(host, "research-tasks", {"task_id": "night-2", "agent": "research"}, "night-2")
    [dead] = await eventually(lambda: listed(host), within=20)
    assert (dead["error"]["type"], dead["run"]["id"], dead["run"]["status"]) == ("InvalidMessage", "night-2", None)
    mended = {"task_id": "night-2", "step_id": "r", "agent": "research", "input": {"request": {"topic": "Tides"}}}
    assert (await replay(host, ids=[dead["id"]], body=mended, by="Ann"))["action"] == "sent"
    assert (await host.finished("night-2"))["status"] == "completed"
    assert len(model.requests) == 1
    assert await listed(host) == []


async def test_a_dead_letter_that_is_not_worth_it_is_thrown_away_and_the_log_says_by_whom(host: MusterHost) -> None:
    await send(host, "research-tasks", {"task_id": "night-3", "agent": "research"}, "night-3")
    await send(host, "research-tasks", {"task_id": "night-4", "agent": "research"}, "night-4")

    async def both() -> list[dict[str, Any]]:
        found = await listed(host)
        return found if len(found) == 2 else []

    first, second = await eventually(both, within=20)
    _, answer, _ = await host.post(
        "/api/dead-letters/discard", json.dumps({"ids": [first["id"]], "by": "Ann"}).encode()
    )
    [result] = answer["results"]
    assert (result["id"], result["action"]) == (first["id"], "discarded")
    assert "refused" in result["detail"], "it cannot be replayed as it is"
    assert [each["id"] for each in await listed(host)] == [second["id"]]
    assert f"Ann throws {first['id']} away" in host.process.log


@pytest.fixture(scope="module")
def demonstrations() -> Mapping[str, Sequence[str]]:
    return run_suite(DEMONSTRATIONS)


@pytest.mark.parametrize("name", names_in(DEMONSTRATIONS))
def test_a_demonstration_of_the_runbook_holds(demonstrations: Mapping[str, Sequence[str]], name: str) -> None:
    """`operations_test.py`, with the time that it moves itself."""
    assert demonstrations[name] == []
