"""That the agents' work travels over AMQP: the namespace is another's, and it writes down what passes through it."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from devhost.amqp.listener import AmqpListener
from devhost.broker.broker import Broker
from devhost.broker.model import Message
from devhost.broker.topology_file import load_topology
from devhost.clock import SystemClock
from tests.support.chat_model import chat_model
from tests.support.host_process import ROOT
from tests.support.muster_host import muster_host

AGENTS = ["research", "writer", "editor", "publisher"]


class WatchedBroker(Broker):
    """A broker that remembers what was sent where, and what was completed there."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.sent: list[tuple[str, str | None]] = []
        self.completed: list[str] = []

    async def schedule(self, entity: str, messages: Sequence[Message]) -> list[int]:
        self.sent += [(entity, message.message_id) for message in messages]
        return await super().schedule(entity, messages)

    async def complete(self, entity: str, lock_token: UUID, **kwargs: Any) -> None:
        await super().complete(entity, lock_token, **kwargs)
        self.completed.append(entity)


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[tuple[WatchedBroker, int]]:
    clock = SystemClock()
    broker = await WatchedBroker.open(tmp_path / "watched.db", load_topology(ROOT / "infra" / "servicebus.json"), clock)
    listener = AmqpListener(broker, clock, port=0)
    await listener.start()
    yield broker, listener.port
    await listener.stop()
    await broker.close()


async def test_every_agent_of_a_run_is_asked_by_one_message_through_its_own_queue(
    tmp_path: Path, watched: tuple[WatchedBroker, int]
) -> None:
    broker, port = watched
    async with chat_model() as model, muster_host(tmp_path, model_url=model.url, amqp_port=port) as host:
        _, started, _ = await host.post("/api/create-content", json.dumps({"topic": "Tides"}).encode())
        task = await host.finished(started["task_id"])

    assert task["status"] == "completed"
    assert broker.sent == [(f"{agent}-tasks", f"{task['id']}:{agent}:1") for agent in AGENTS]
    assert sorted(broker.completed) == sorted(f"{agent}-tasks" for agent in AGENTS)
    assert "WARN  using the Service Bus namespace that already listens" in host.process.log
