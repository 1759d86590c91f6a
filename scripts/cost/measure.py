"""Runs every pattern on the local host and counts what it takes: runs, one after another, and a look at the last."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.cosmos_server import KEY, cosmos_server
from scripts.cost.counts import Counts, Measurement, PatternCounts
from scripts.cost.histories import counted_histories
from scripts.cost.host import CountedHost, counted_host
from scripts.cost.tally import TALLY
from scripts.cost.telemetry import telemetry_counter
from scripts.demo import OFFLINE_MODEL
from scripts.local_host import EMULATOR, free_port
from scripts.pattern_demo import EXAMPLES, SUFFICIENT
from scripts.run_api import RunApi
from shared import names
from shared.settings import Settings

USER_AGENT = "muster-cost"
"""What the measurement calls itself when it looks into the store, which the app has nothing to do with."""

DATABASE = "muster"
RUN_SECONDS = 120

type Progress = Callable[[str, int], None]


class RunFailed(Exception):
    """A run did not come to a result, so that its counts say nothing of one that does. The text is its cause."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Connection strings of a Service Bus and a Cosmos DB to measure with; empty ones stand for servers of its own."""

    service_bus: str = ""
    cosmos: str = ""


async def measure(
    patterns: Sequence[str],
    runs: int,
    *,
    folder: Path,
    log: Path,
    elsewhere: Elsewhere = Elsewhere(),
    progress: Progress = lambda _pattern, _run: None,
) -> Measurement:
    """Run each pattern's example `runs` times, after a first one. `folder` is the host's; `progress` is told what runs.

    Raises `RunFailed`, `NotOver`, `NodeUnavailable`, and what starting a host raises.
    """
    async with _cosmos(elsewhere.cosmos) as cosmos, telemetry_counter(TALLY) as telemetry:
        settings = {
            **nothing_configured(),
            **telemetry,
            "MUSTER_STATE": "cosmos",
            "MUSTER_COSMOS_DATABASE": DATABASE,
            "CosmosConnection": cosmos,
            "MUSTER_DATA_DIR": str(folder / "data"),
            "ServiceBusConnection": elsewhere.service_bus or EMULATOR.format(port=free_port()),
        }
        async with counted_host(folder, log, settings) as host, RunApi(host.reached) as api:
            ground = _Ground(host, api, cosmos, [TALLY.take()])
            counted = {pattern: await _counted(ground, pattern, runs, progress) for pattern in patterns}
        ground.besides.append(TALLY.take())
    return Measurement(
        measured_at=datetime.now(UTC),
        model=OFFLINE_MODEL,
        state="cosmos",
        patterns=counted,
        besides=tuple(ground.besides),
    )


def nothing_configured() -> dict[str, str]:
    """Every setting that a person may have made, as if it were not: a measurement asks no model and reaches nothing of
    theirs.
    """
    fields = Settings.model_fields.values()
    return {str(each.alias): "" for each in fields if not str(each.description).startswith("Set by the platform")}


@dataclass(frozen=True, slots=True)
class _Ground:
    host: CountedHost
    api: RunApi
    cosmos: str
    besides: list[Counts]


async def _counted(ground: _Ground, pattern: str, runs: int, progress: Progress) -> PatternCounts:
    counted: list[Counts] = []
    task_id = ""
    for run in range(1 + runs):
        progress(pattern, run)
        task_id, counts = await _one_run(ground, pattern)
        # The first one opens the links to its agents' queues, which is done once in the life of a process.
        (counted if run else ground.besides).append(counts)
    async for _ in ground.api.watch(task_id):
        await ground.host.rest()
    look = TALLY.take()
    seen = counted[-1].store.documents
    look = look.model_copy(update={"store": look.store.model_copy(update={"documents": seen})})
    return PatternCounts(request=_request(pattern), runs=tuple(counted), look=look)


async def _one_run(ground: _Ground, pattern: str) -> tuple[str, Counts]:
    """Its id, and what it took until nothing happened any more."""
    task_id = await ground.api.start(pattern, _request(pattern))
    await ground.host.hub.wait_for_orchestration_completion(task_id, timeout=RUN_SECONDS)
    await ground.host.rest()
    taken = TALLY.take()
    documents, status = await _documents(ground.cosmos, task_id)
    if status not in SUFFICIENT:
        raise RunFailed(f"the run {task_id} of {pattern} is {status}")
    return task_id, taken.model_copy(
        update={
            "durable": await counted_histories(ground.host.hub, task_id),
            "store": taken.store.model_copy(update={"documents": documents}),
        }
    )


def _request(pattern: str) -> dict[str, Any]:
    return EXAMPLES[pattern].asking(None)


async def _documents(cosmos: str, task_id: str) -> tuple[tuple[int, ...], str]:
    """The size of each document that a run has left, and the run's status."""
    from azure.cosmos.aio import CosmosClient

    async with CosmosClient.from_connection_string(
        cosmos, enable_endpoint_discovery=False, user_agent_suffix=USER_AGENT
    ) as client:
        container = client.get_database_client(DATABASE).get_container_client(names.COSMOS_RUNS)
        given: list[dict[str, object]] = [{"name": "@run", "value": task_id}]
        found = container.query_items("SELECT * FROM c WHERE c.task_id = @run", parameters=given, partition_key=task_id)
        items = [item async for item in found]
    status = next((str(item["status"]) for item in items if item["kind"] == "run"), "nowhere to be found")
    own = [{name: value for name, value in item.items() if not name.startswith("_")} for item in items]
    return tuple(len(json.dumps(item, ensure_ascii=False).encode()) for item in own), status


@asynccontextmanager
async def _cosmos(connection: str) -> AsyncIterator[str]:
    """A connection string: the one given, or that of a server from npm, which lasts as long as this."""
    if connection:
        yield connection
        return
    async with cosmos_server() as endpoint:
        yield f"AccountEndpoint={endpoint};AccountKey={KEY};"
