"""Agents behind their queues, as any Service Bus client sees them: over AMQP, with the public `azure-servicebus`."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient

from tests.support.chat_model import ChatModel, chat_model
from tests.support.eventually import eventually
from tests.support.muster_host import MusterHost, muster_host


@pytest.fixture
async def model() -> AsyncIterator[ChatModel]:
    async with chat_model() as running:
        yield running


@pytest.fixture
async def host(tmp_path: Path, model: ChatModel) -> AsyncIterator[MusterHost]:
    async with muster_host(tmp_path, model_url=model.url) as running:
        yield running


def agent_task(task_id: str, *, message_id: str | None = None, **changes: Any) -> ServiceBusMessage:
    task = {"task_id": task_id, "step_id": "research", "agent": "research", "input": {"request": "Tides"}, **changes}
    return ServiceBusMessage(json.dumps(task), message_id=message_id or f"{task_id}:research:1")


async def send(host: MusterHost, messages: Sequence[ServiceBusMessage], queue: str = "research-tasks") -> None:
    async with (
        ServiceBusClient.from_connection_string(host.connection_string) as client,
        client.get_queue_sender(queue) as sender,
    ):
        for message in messages:
            await sender.send_messages(message)


async def dead_letters(host: MusterHost, queue: str = "research-tasks") -> list[Any]:
    async with (
        ServiceBusClient.from_connection_string(host.connection_string) as client,
        client.get_queue_receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER) as receiver,
    ):
        return list(await receiver.peek_messages(max_message_count=100))


async def test_a_producers_task_sent_twice_is_executed_once(host: MusterHost, model: ChatModel) -> None:
    await send(host, [agent_task("night-1"), agent_task("night-1")])

    task = await host.finished("night-1")
    # The marker travels behind both on the same queue, so once it is done the second has been dealt with.
    await send(host, [agent_task("marker")])
    await host.finished("marker")
    assert (task["status"], task["type"], task["steps"][0]["status"]) == ("completed", "agent", "succeeded")
    assert len(model.requests) == 2


async def test_a_task_sent_again_under_another_message_id_is_answered_from_its_record(
    host: MusterHost, model: ChatModel
) -> None:
    await send(host, [agent_task("night-2")])
    await host.finished("night-2")
    await send(host, [agent_task("night-2", message_id="unheard-of"), agent_task("marker")])
    await host.finished("marker")

    assert len(model.requests) == 2
    assert await dead_letters(host) == []


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"{}",
        b'{"task_id": "t", "step_id": "s", "agent": "writer", "input": {"request": 1}}',
        b'{"task_id": "t", "step_id": "s", "agent": "research", "input": {"request": 1}, "extra": true}',
        b'{"task_id": "a/b", "step_id": "s", "agent": "research", "input": {"request": 1}}',
    ],
)
async def test_a_malformed_message_is_dead_lettered_with_its_reason_logged_and_no_model_called(
    host: MusterHost, model: ChatModel, body: bytes
) -> None:
    await send(host, [ServiceBusMessage(body, message_id="bad")])

    [dead] = await eventually(lambda: dead_letters(host))
    assert dead.dead_letter_reason == "MaxDeliveryCountExceeded"
    assert model.requests == []
    assert "InvalidMessage" in host.process.log

    await send(host, [agent_task("after")])
    assert (await host.finished("after"))["status"] == "completed", "the host goes on"


async def test_a_second_task_under_a_run_id_in_use_is_refused_loudly(host: MusterHost, model: ChatModel) -> None:
    await send(host, [agent_task("night-3")])
    await host.finished("night-3")
    await send(host, [agent_task("night-3", step_id="other", message_id="night-3:other:1")])

    assert await eventually(lambda: dead_letters(host))
    assert len(model.requests) == 1


async def test_a_failing_agent_ends_its_run_as_failed_and_its_message_in_the_dead_letters(host: MusterHost) -> None:
    """The publisher refuses an input without text; no attempt would mend that."""
    task = {"task_id": "night-4", "step_id": "p", "agent": "publisher", "input": {"request": {}}}
    await send(host, [ServiceBusMessage(json.dumps(task), message_id="night-4:p:1")], "publisher-tasks")

    run = await host.finished("night-4")
    assert (run["status"], run["error"]["type"]) == ("failed", "InvalidRequest")
    assert run["account"][0]["outcome"] == "failed"
    assert await eventually(lambda: dead_letters(host, "publisher-tasks"))


async def test_messages_waiting_when_the_host_is_killed_are_delivered_after_a_restart(
    tmp_path: Path, model: ChatModel
) -> None:
    model.open.clear()
    host = MusterHost(tmp_path, model_url=model.url)
    await host.process.start()
    ids = [f"night-{number}" for number in range(40)]
    await send(host, [agent_task(task_id) for task_id in ids])
    await eventually(lambda: len(model.requests) >= 16)
    in_flight = await runs_claimed(host, ids)
    host.process.kill()

    model.open.set()
    async with host.process:
        waiting = [task_id for task_id in ids if task_id not in in_flight]
        assert len(waiting) == 24, "16 calls at once is the limit in host.json"
        for task_id in waiting:
            assert (await host.finished(task_id))["status"] == "completed"
        # A step that was running holds its claim until the lease ends; its message waits for that in the queue.
        held = await eventually(lambda: scheduled(host, len(in_flight)))
        assert sorted(held) == sorted(in_flight)


async def runs_claimed(host: MusterHost, ids: Sequence[str]) -> list[str]:
    found = []
    for task_id in ids:
        status, _ = await host.get(f"/api/task/{task_id}")
        found += [task_id] if status == 200 else []
    return found


async def scheduled(host: MusterHost, count: int) -> list[str]:
    async with (
        ServiceBusClient.from_connection_string(host.connection_string) as client,
        client.get_queue_receiver("research-tasks") as receiver,
    ):
        messages = await receiver.peek_messages(max_message_count=100)
    found = [str(message.correlation_id) for message in messages if message.scheduled_enqueue_time_utc]
    return found if len(found) == count else []
