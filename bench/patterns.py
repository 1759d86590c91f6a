"""Sequences beside fan-outs with a model that takes a second; and what wide fan-outs of agents that do nothing cost.

The widest takes minutes where cores are few: each turn replays what came before it.
"""

import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient
from durabletask.internal import orchestrator_service_pb2 as pb

from bench.process_usage import memory_mib, reset_peak
from bench.table import print_table
from bench.timed_model import timed_model
from devhost.taskhub.engine.schema import chunk_range
from scripts.local_host import EMULATOR, RunningHost, free_port, local_host
from scripts.run_api import RunApi
from shared import names

ANSWERS_AFTER = 1.0
"""Seconds that the model takes for each answer."""
REPEATED = 3
WIDTHS = (10, 100, 1000)
IDLE_AGENT = "archiver"
"""The agent that does next to nothing: it calls no model, and keeps the few bytes that it is given."""

_TURN_MARKERS = ("orchestratorStarted", "orchestratorCompleted")


async def measure() -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as folder:
        await _measure_times(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        await _measure_widths(Path(folder))


# -- how long, beside one agent -----------------------------------------------------------------------------------


async def _measure_times(work: Path) -> None:
    calls: list[float] = []
    async with timed_model("An answer.", calls, seconds=ANSWERS_AFTER) as base_url:
        settings = _settings(work, MUSTER_MODEL_BASE_URL=base_url, MUSTER_MODEL_NAME="timed")
        async with _host(work, settings) as host, RunApi(host) as api:
            await _seconds(api, "sequential", 1)
            shapes = (("sequential", 1), ("parallel", 4), ("sequential", 4))
            taken = {shape: [await _shape(api, calls, *shape) for _ in range(REPEATED)] for shape in shapes}
    alone = _best(taken["sequential", 1])
    print_table(
        f"Agents one after another and at once, the model answering after {ANSWERS_AFTER:g} s (best of {REPEATED})",
        ["pattern", "agents", "model calls", "most at once", "time", "times one agent's"],
        [
            [
                pattern,
                str(count),
                str(each[0][1]),
                str(max(at_once for _, _, at_once in each)),
                f"{_best(each):.2f} s",
                f"{_best(each) / alone:.2f}",
            ]
            for (pattern, count), each in taken.items()
        ],
    )


def _best(measured: list[tuple[float, int, int]]) -> float:
    return min(seconds for seconds, _, _ in measured)


async def _shape(api: RunApi, calls: list[float], pattern: str, agents: int) -> tuple[float, int, int]:
    """Seconds, model calls, and how many of them were under way at once at most."""
    calls.clear()
    seconds = await _seconds(api, pattern, agents)
    at_once = max(sum(0 <= other - call < ANSWERS_AFTER for other in calls) for call in calls)
    return seconds, len(calls), at_once


async def _seconds(api: RunApi, pattern: str, agents: int) -> float:
    nodes = [{"agent": "research", "name": f"research-{number}"} for number in range(agents)]
    return (await _run(api, pattern, {"request": "Why the sea is salt", "agents": nodes}, every=0.02))[0]


# -- how wide -----------------------------------------------------------------------------------------------------


async def _measure_widths(work: Path) -> None:
    bus = EMULATOR.format(port=free_port())
    settings = _settings(work, ServiceBusConnection=bus)
    async with _host(work, settings) as host, RunApi(host) as api:
        await _fan_out(api, 1)
        measured = [(width, *await _width(api, host, bus, width)) for width in WIDTHS]
    rows = []
    for width, task_id, seconds, messages, peak in measured:
        kinds = _history_events(work / "state", task_id)
        turns = sum(kinds[kind] for kind in _TURN_MARKERS)
        events = [kinds.total() - turns, turns]
        cells = [width, f"{seconds:.2f} s", messages, *events, f"{sum(events) / width:.2f}", f"{peak:.0f} MiB"]
        rows.append([*map(str, cells)])
    print_table(
        f"Fan-outs of agents that do nothing ({IDLE_AGENT}, each over AMQP)",
        ["agents", "time", "messages", "history events", "and those of turns", "both an agent", "host memory, peak"],
        rows,
    )


async def _width(api: RunApi, host: RunningHost, bus: str, width: int) -> tuple[str, float, int, float]:
    """The run's id, seconds, messages on the agent's queue, and MiB at its peak."""
    before = await _next_number(bus)
    reset_peak(host.pid)
    seconds, task_id = await _fan_out(api, width)
    # One number was given to the message by which the number was asked for.
    return task_id, seconds, await _next_number(bus) - before - 1, memory_mib(host.pid, "VmHWM")


async def _fan_out(api: RunApi, width: int) -> tuple[float, str]:
    request = {"agent": IDLE_AGENT, "inputs": list(range(width)), "request": "x", "deadline_seconds": 600}
    # A run is shown with all of its steps, so that looking at a wide one often would be most of the work.
    return await _run(api, "parallel", request, every=max(0.02, width / 1000))


async def _next_number(bus: str) -> int:
    """The number that the agent's queue gives to its next message, found by scheduling one and taking it back."""
    async with (
        ServiceBusClient.from_connection_string(bus) as client,
        client.get_queue_sender(names.agent_queue(IDLE_AGENT)) as sender,
    ):
        later = datetime.now(UTC) + timedelta(days=1)
        [number] = await sender.schedule_messages(ServiceBusMessage("?"), later)
        await sender.cancel_scheduled_messages([number])
        return int(number)


def _history_events(state: Path, instance: str) -> Counter[str]:
    """How many events of each kind the history of an orchestration has, from the file of a host that has stopped."""
    with sqlite3.connect(state / "taskhub" / "hub.sqlite") as connection:
        (key,) = connection.execute("SELECT key FROM instances WHERE instance_id=?", (instance,)).fetchone()
        chunks = connection.execute("SELECT events FROM history WHERE id BETWEEN ? AND ?", chunk_range(key))
        events = [event for (chunk,) in chunks for event in pb.HistoryChunk.FromString(chunk).events]
    return Counter(str(event.WhichOneof("eventType")) for event in events)


# -- both ---------------------------------------------------------------------------------------------------------


def _settings(work: Path, **more: str) -> dict[str, str]:
    return {"MUSTER_DATA_DIR": str(work / "data"), **more}


def _host(work: Path, settings: Mapping[str, str]) -> Any:
    return local_host(log=work / "host.log", state_dir=work / "state", settings=settings)


async def _run(api: RunApi, pattern: str, request: Mapping[str, Any], *, every: float) -> tuple[float, str]:
    """Seconds until a run has completed, and its id."""
    start = time.perf_counter()
    task_id = await api.start(pattern, request)
    task = [task async for task in api.watch(task_id, every=every)][-1]
    if task["status"] != "completed":
        raise RuntimeError(f"run {task_id} is {task['status']}: {task['error']}")
    return time.perf_counter() - start, task_id
