"""Races on the whole system: who was still waiting in a queue when a race was won is not paid for."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from azure.servicebus.aio import ServiceBusClient

from shared import names
from tests.support.chat_model import ChatModel, chat_model
from tests.support.eventually import eventually
from tests.support.muster_host import MusterHost, muster_host

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT_ONCE = 16
"""How many tasks one instance takes from a queue at once, by `host.json`."""
ASKED = 60
KNOWN_BY = {"writer": "a writer of clear", "editor": "the editor who", "aggregator": "an editor who merges"}


class HeldModel(ChatModel):
    """Counts the calls of each agent, and answers them only as far as the test has let it."""

    def __init__(self) -> None:
        super().__init__()
        self.begin()

    def begin(self) -> None:
        """Forget what was asked, and answer nobody but the researcher."""
        self.calls: Counter[str] = Counter()
        self._permits = {agent: asyncio.Semaphore(0) for agent in KNOWN_BY}

    def let(self, agent: str, calls: int) -> None:
        """Answer so many more calls of an agent."""
        for _ in range(calls):
            self._permits[agent].release()

    async def complete(self, request: web.Request) -> web.Response:
        system = json.loads(await request.read())["messages"][0]["content"]
        agent = next((name for name, words in KNOWN_BY.items() if words in system), "")
        self.calls[agent] += 1
        if agent:
            await self._permits[agent].acquire()
        return await super().complete(request)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[HeldModel]:
    held = HeldModel()
    async with chat_model(held):
        yield held


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory, model: HeldModel) -> AsyncIterator[MusterHost]:
    async with muster_host(tmp_path_factory.mktemp("calling-off"), model_url=model.url) as running:
        yield running


async def started(host: MusterHost, body: dict[str, Any]) -> str:
    status, answer, _ = await host.post(f"/api/workflows/{body['pattern']}", json.dumps(body).encode())
    assert status == 202, answer
    return str(answer["task_id"])


async def waiting_in(host: MusterHost, queue: str) -> int:
    """How many messages the queue holds, those at work included."""
    async with (
        ServiceBusClient.from_connection_string(host.connection_string) as client,
        client.get_queue_receiver(queue) as receiver,
    ):
        return len(await receiver.peek_messages(max_message_count=ASKED, sequence_number=1))


RACE: dict[str, Any] = {
    "pattern": "parallel",
    "agent": "writer",
    "inputs": [str(number) for number in range(ASKED)],
    "require": "any",
    "deadline_seconds": 300,
}
RACES: dict[str, dict[str, Any]] = {
    "aggregator": {**RACE, "request": "tides", "aggregator": "aggregator"},
    "editor": {"pattern": "sequential", "request": "tides", "agents": [{**RACE, "name": "race"}, "editor"]},
}


@pytest.mark.parametrize("then", RACES)
async def test_agents_that_are_queued_when_a_race_is_won_are_not_paid_for_though_the_run_goes_on(
    host: MusterHost, model: HeldModel, then: str
) -> None:
    """The race alone, with an aggregator after it, and nested in a sequence that goes on after it."""
    model.begin()
    task_id = await started(host, RACES[then])
    await eventually(lambda: model.calls["writer"] == AT_ONCE, within=30)
    assert await waiting_in(host, "writer-tasks") == ASKED

    model.let("writer", 1)
    await eventually(lambda: model.calls[then] == 1, within=30)
    begun = model.calls["writer"]
    # One place came free before the run had heard that its race was won.
    assert AT_ONCE <= begun <= AT_ONCE + 1

    model.let("writer", ASKED)

    async def drained() -> bool:
        return await waiting_in(host, "writer-tasks") == 0

    await eventually(drained, within=30, every=0.1)
    assert model.calls["writer"] == begun

    model.let(then, 1)
    task = await host.finished(task_id)
    assert task["status"] == "completed"
    assert Counter(line["outcome"] for line in task["account"]) == {"answered": 2, "skipped": ASKED - 1}
    assert Counter(line["outcome"] for line in task["account"] if line["agent"] == then) == {"answered": 1}


@pytest.mark.parametrize("aggregator", [None, "aggregator"], ids=["and the run ends", "and the run goes on"])
async def test_a_sequence_that_lost_a_race_is_ended_and_asks_nobody_else(
    host: MusterHost, model: HeldModel, aggregator: str | None
) -> None:
    model.begin()
    slow = {"pattern": "sequential", "name": "slow", "agents": ["writer", "editor"]}
    body = {"pattern": "parallel", "request": "tides", "require": "any", "agents": [slow, "research"]}
    task_id = await started(host, {**body, "deadline_seconds": 300, "aggregator": aggregator})
    instance = names.nested_instance(task_id, "slow")

    async def ended() -> bool:
        path = f"/runtime/webhooks/durabletask/instances/{instance}"
        _, state = await host.get(path, key=host.process.key("master"))
        return bool(state.get("runtimeStatus") == "Terminated")

    assert await eventually(ended, within=30, every=0.05)
    model.let("writer", 1)
    model.let("aggregator", 1)
    task = await host.finished(task_id)
    outcomes = {line["step_id"]: line["outcome"] for line in task["account"]}
    assert outcomes.pop("aggregator", "answered") == "answered"
    assert outcomes == {"research": "answered", "slow.writer": "skipped", "slow.editor": "skipped"}

    async def drained() -> bool:
        return await waiting_in(host, "writer-tasks") == 0

    await eventually(drained, within=30, every=0.1)
    assert model.calls["editor"] == 0
    assert model.calls["writer"] <= 1
