"""The state store: what a list costs as the store grows, and what a step costs as agents crowd into one run."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.table import print_table
from scripts.cosmos_server import KEY, cosmos_server
from scripts.node_packages import NodeUnavailable
from shared import names
from shared.artifacts.files import FileArtifacts
from shared.contracts import AgentResult, Usage
from shared.state.cosmos import CosmosState
from shared.state.cosmos_container import CosmosConnection
from shared.state.decisions import Claimed, ClaimRequest
from shared.state.documents import PlannedStep, RunDocument
from shared.state.events import EventLog, NumberedEvent, RunAdvanced, RunCreated, RunEvent, StepClaimed, StepRecorded
from shared.state.listing import RunFilter
from shared.state.sqlite import SqliteState
from shared.state.store import StateStore
from shared.status import RunStatus, StepStatus

STORES = (100, 1000, 4000)
STEPS = 10
PAGE = 50
ROUNDS = 30
CROWDS = (10, 50, 200)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
TOPICS = ("Why the sea is salt", "How rivers find the sea", "What bees say", "Night trains of the north")
STATUSES = (RunStatus.COMPLETED, RunStatus.COMPLETED, RunStatus.RUNNING, RunStatus.FAILED)


async def measure() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        await _lists(Path(folder))
        rows = [await _crowd(SqliteState(Path(folder) / f"crowd-{crowd}.db"), "SQLite", crowd) for crowd in CROWDS]
        artifacts = FileArtifacts(Path(folder) / "artifacts")
        try:
            async with cosmos_server() as endpoint:
                connection = CosmosConnection(endpoint, "muster", names.COSMOS_RUNS, key=KEY)
                rows += [await _crowd(CosmosState(connection, artifacts), "Cosmos DB", crowd) for crowd in CROWDS]
        except NodeUnavailable as reason:
            print(f"Cosmos DB is left out: {reason}\n")
        headings = ["store", "steps of one run, all at once", "reads a step", "writes a step", "charged a step", "took"]
        print_table("Agents that claim and record their steps at the same time", headings, rows)
        print("The Cosmos DB is @vercel/cosmosdb-server, which charges 1 RU for everything.\n")


async def _lists(folder: Path) -> None:
    columns: list[Mapping[str, float]] = []
    for size in STORES:
        store = SqliteState(folder / f"runs-{size}.db")
        for number in range(size):
            await store.import_run(_a_log(number))
        columns.append({name: await _median(ask) for name, ask in _questions(store, size).items()})
        await store.close()
    rows = [[name, *(f"{column[name]:.2f} ms" for column in columns)] for name in columns[0]]
    headings = ["SQLite", *(f"{size} runs" for size in STORES)]
    print_table(f"Runs of {STEPS} steps: the median of {ROUNDS} calls, a page being {PAGE} runs", headings, rows)


def _questions(store: SqliteState, size: int) -> dict[str, Callable[[], Awaitable[object]]]:
    def asked(**conditions: object) -> Callable[[], Awaitable[object]]:
        filters = RunFilter.model_validate(conditions)
        return lambda: store.list_runs(filters, limit=PAGE)

    async def far_down() -> object:
        deep = RunFilter(before=BEGIN + timedelta(seconds=size // 2))
        return await store.list_runs(deep, limit=PAGE)

    middle = BEGIN + timedelta(seconds=size // 2)
    return {
        "first page": asked(),
        "a page from the middle": far_down,
        "status": asked(status="failed"),
        "agent that 1 in 10 runs asks": asked(agent="agent-3"),
        "word that half of the topics have": asked(text="sea"),
        "word and status": asked(text="sea", status="completed"),
        "word that one topic has": asked(text=f"number{size // 2}"),
        "a minute of runs": asked(since=middle, before=middle + timedelta(minutes=1)),
        "counts by status": lambda: store.count_runs(RunFilter()),
        "one run with its steps": lambda: store.read_run(f"run-{size // 2}"),
        "the log of one run": lambda: store.read_log(f"run-{size // 2}"),
    }


async def _median(ask: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds."""
    await ask()
    taken = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        await ask()
        taken.append((time.perf_counter() - begun) * 1000)
    return statistics.median(taken)


async def _crowd(store: SqliteState | CosmosState, name: str, crowd: int) -> list[str]:
    await store.purge_run("run-0")
    await store.create_run(_a_run(0, crowd))
    done, units = store.charges.operations, store.charges.request_units
    done.clear()
    units.clear()
    begun = time.perf_counter()
    await _complete(store, crowd)
    took = time.perf_counter() - begun
    # A transaction that writes in SQLite also reads what it decides by.
    reads, writes = done["read"] / crowd, (done["write"] + done["create"] + done["patch"]) / crowd
    charged = f"{sum(units.values()) / crowd:.2f} RU" if sum(units.values()) else "-"
    record = await store.read_run("run-0")
    await store.close()
    if record is None or sum(step.status is StepStatus.SUCCEEDED for step in record.steps) != crowd:
        raise ValueError("a step is lost")
    return [name, str(crowd), f"{reads:.2f}", f"{writes:.2f}", charged, f"{took:.2f} s"]


async def _complete(store: StateStore, crowd: int) -> None:
    """All steps at once, each by an agent of its own."""

    async def agent(number: int) -> None:
        claim = ClaimRequest(
            task_id="run-0",
            step_id=f"s{number}",
            agent=f"agent-{number % 10}",
            attempt=1,
            owner=f"owner-{number}",
            enqueued_at=BEGIN,
            now=BEGIN,
            lease_until=BEGIN + timedelta(minutes=5),
        )
        if not isinstance(await store.claim_step(claim), Claimed):
            raise TypeError(f"step {number} was not to be had")
        await store.record_step("run-0", claim.step_id, owner=claim.owner, result=_a_result(number), now=BEGIN)

    await asyncio.gather(*(agent(number) for number in range(crowd)))


def _a_run(number: int, steps: int) -> RunDocument:
    at = BEGIN + timedelta(seconds=number)
    plan = tuple(PlannedStep(step_id=f"s{n}", name=f"s{n}", agent=f"agent-{n % 10}") for n in range(steps))
    topic = f"{TOPICS[number % 4]}, number{number}"
    return RunDocument(
        task_id=f"run-{number}",
        type="sequential",
        workflow="content",
        input={"topic": topic},
        plan=plan if number % 10 == 0 else tuple(step for step in plan if step.agent != "agent-3"),
        created_at=at,
        updated_at=at,
    )


def _a_result(number: int) -> AgentResult:
    usage = Usage(input_tokens=500, output_tokens=300, cost_usd=0.001, model="m")
    return AgentResult(status=StepStatus.SUCCEEDED, output=f"{number}: " + "some words " * 180, usage=usage)


def _a_log(number: int) -> EventLog:
    run = _a_run(number, STEPS)
    at, status = run.created_at, STATUSES[number % 4]
    events: list[RunEvent] = [RunCreated(at=at, run=run), RunAdvanced(at=at, to=RunStatus.RUNNING)]
    for step in run.plan:
        lease = at + timedelta(minutes=5)
        events.append(
            StepClaimed(
                at=at,
                step_id=step.step_id,
                agent=step.agent,
                attempt=1,
                owner="o",
                lease_until=lease,
                enqueued_at=at,
            )
        )
        events.append(StepRecorded(at=at, step_id=step.step_id, result=_a_result(number)))
    if status is not RunStatus.RUNNING:
        events.append(RunAdvanced(at=at + timedelta(seconds=30), to=status))
    numbered = tuple(NumberedEvent(sequence=n, event=event) for n, event in enumerate(events, start=1))
    return EventLog(task_id=run.task_id, events=numbered)
