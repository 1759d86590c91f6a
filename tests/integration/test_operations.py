"""What an operator does over HTTP with the whole system: dead letters are listed, mended and replayed."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from tests.support.chat_model import ChatModel, chat_model
from tests.support.eventually import eventually
from tests.support.host_process import ROOT
from tests.support.muster_host import MusterHost, muster_host

LONGEST_SECONDS = 120.0


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


async def test_an_agent_that_is_down_is_given_a_rest_and_the_others_go_on() -> None:
    """`operations_test.py`, with the time that it moves itself, in a process of its own: a process can run one app."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-c", "pytest.ini", "operations_test.py"),
        cwd=ROOT / "tests" / "integration" / "apps" / "operations",
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), LONGEST_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()
    assert b"1 passed" in output
