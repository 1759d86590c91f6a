"""That `make cost` counts what happens: its operations are those that the broker, the store and the task hub saw.

Each of them counts for itself, in another process or from its own files, and knows nothing of the measurement.
"""

import asyncio
import json
import os
import re
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from azure.cosmos.aio import CosmosClient
from durabletask.internal import orchestrator_service_pb2 as pb

from orchestrations.registry import PATTERNS
from scripts.cosmos_server import KEY, cosmos_server
from scripts.cost.counts import Counts, Measurement
from scripts.cost.usage import actions
from scripts.node_packages import NodeUnavailable
from shared import names
from tests.support.counting_broker import CountingBroker, counting_broker
from tests.support.counting_cosmos import CountingCosmos, counting_cosmos
from tests.support.host_process import ROOT
from tests.support.muster_host import EMULATOR

LONGEST_SECONDS = 120.0

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Counted:
    """What the measurement says, and what the others saw. `steps` are the documents of steps, `work` the host's."""

    measurement: Measurement
    broker: CountingBroker
    store: CountingCosmos
    steps: list[dict[str, Any]]
    work: Path

    def all(self) -> Iterator[Counts]:
        """Everything that was counted, runs, looks and what was besides."""
        yield from self.measurement.besides
        for pattern in self.measurement.patterns.values():
            yield from pattern.runs
            yield pattern.look


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def counted(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Counted]:
    """One measurement for all tests: it runs the host."""
    folder = tmp_path_factory.mktemp("cost")
    async with AsyncExitStack() as around:
        try:
            server = await around.enter_async_context(cosmos_server())
        except NodeUnavailable as reason:
            if os.environ.get("CI"):
                pytest.fail(str(reason), pytrace=False)
            pytest.skip(str(reason))
        store, endpoint = await around.enter_async_context(counting_cosmos(server))
        broker, port = await around.enter_async_context(counting_broker(folder))
        saved, work = folder / "counts.json", folder / "work"
        await _run_cost(
            *("--runs", "1", "--save", str(saved), "--work", str(work), "--json"),
            *("--service-bus", EMULATOR.format(port=port)),
            *("--cosmos", f"AccountEndpoint={endpoint};AccountKey={KEY};"),
        )
        yield Counted(Measurement.read(saved), broker, store, await _steps(server), work)


async def _run_cost(*arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scripts.cost", *arguments),
        cwd=ROOT,
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


async def _steps(server: str) -> list[dict[str, Any]]:
    async with CosmosClient(server, KEY, enable_endpoint_discovery=False) as client:
        container = client.get_database_client("muster").get_container_client(names.COSMOS_RUNS)
        found = container.query_items("SELECT * FROM c WHERE c.kind = 'step'")
        return [item async for item in found]


# -- the broker ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["transfers", "messages", "deliveries", "completed", "abandoned", "renewed"])
async def test_operations_of_the_bus_are_those_that_the_broker_served(counted: Counted, operation: str) -> None:
    assert sum(getattr(counts.bus, operation) for counts in counted.all()) == counted.broker.counted[operation]


async def test_the_broker_was_used_so_that_the_counts_agree_about_something(counted: Counted) -> None:
    assert set(counted.measurement.patterns) == set(PATTERNS)
    assert counted.broker.counted["transfers"] >= 2 * len(PATTERNS)
    assert counted.broker.counted["deliveries"] == counted.broker.counted["completed"]


# -- the stores ---------------------------------------------------------------------------------------------------


async def test_requests_of_the_store_are_those_that_it_answered(counted: Counted) -> None:
    requests: Counter[str] = Counter()
    for counts in counted.all():
        requests.update(counts.store.requests)
    assert requests == counted.store.requests
    assert all(counted.store.requests[kind] for kind in ("create", "read", "patch", "query"))


async def test_artifacts_are_those_that_lie_in_the_artifact_store(counted: Counted) -> None:
    files = [path for path in (counted.work / "data" / "artifacts").rglob("*") if path.is_file()]
    assert len(files) == sum(counts.artifacts.puts for counts in counted.all()) > 0
    assert sum(path.stat().st_size for path in files) == sum(counts.artifacts.bytes for counts in counted.all())


async def test_tokens_are_those_that_the_steps_were_recorded_with(counted: Counted) -> None:
    events = [json.loads(event["data"]) for step in counted.steps for event in step["events"]]
    used = [event["result"]["usage"] for event in events if event["kind"] == "step_recorded"]
    assert sum(usage["input_tokens"] for usage in used) > 0
    for name in ("input_tokens", "output_tokens"):
        assert sum(usage[name] for usage in used) == sum(getattr(counts.model, name) for counts in counted.all())


# -- the task hub, and the host -----------------------------------------------------------------------------------


async def test_actions_are_the_events_in_the_file_of_the_task_hub(counted: Counted) -> None:
    kinds = _history_kinds(counted.work / "host" / "taskhub" / "hub.sqlite")
    billed = (
        *("executionStarted", "taskScheduled", "taskCompleted", "taskFailed", "timerFired", "eventRaised"),
        *("subOrchestrationInstanceCompleted", "subOrchestrationInstanceFailed"),
        *("executionTerminated", "executionSuspended", "executionResumed"),
    )
    assert sum(map(actions, counted.all())) == sum(kinds[kind] for kind in billed) > 0
    assert sum(counts.durable.turns for counts in counted.all()) == kinds["orchestratorStarted"]
    assert sum(counts.durable.events for counts in counted.all()) == kinds.total()


def _history_kinds(path: Path) -> Counter[str]:
    with closing(sqlite3.connect(path)) as connection:
        chunks = connection.execute("SELECT events FROM history").fetchall()
    events = [event for (chunk,) in chunks for event in pb.HistoryChunk.FromString(chunk).events]
    return Counter(str(event.WhichOneof("eventType")) for event in events)


async def test_executions_are_the_calls_that_the_host_logged(counted: Counted) -> None:
    called = re.findall(r"^\S+ \S+ +(\w+)(?: \(.*\))?: ok in \d+ ms$", (counted.work / "cost.log").read_text(), re.M)
    executed = Counter(each.function for counts in counted.all() for each in counts.executions)
    assert executed == Counter(called)
    turns = _history_kinds(counted.work / "host" / "taskhub" / "hub.sqlite")["orchestratorStarted"]
    assert sum(executed[names.orchestrator(pattern)] for pattern in PATTERNS) == turns > 0
