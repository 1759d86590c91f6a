"""The content pipeline on the local host with a model that answers at once: latency alone, throughput in a crowd."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from bench.process_usage import cpu_seconds, memory_mib
from bench.table import print_table
from scripts.local_host import RunningHost, local_host
from scripts.run_api import RunApi

ALONE = 15
CROWD = 200
STEPS = 4
NOOP = {
    "id": "noop",
    "object": "chat.completion",
    "created": 0,
    "model": "noop",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Done."}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


@dataclass(frozen=True, slots=True)
class _One:
    """One pipeline: how long it took, and how much of that its steps waited in their queues and ran."""

    seconds: float
    queued: float
    ran: float


async def measure() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        async with _noop_model() as base_url:
            settings = {
                "MUSTER_DATA_DIR": str(work / "data"),
                "MUSTER_MODEL_BASE_URL": base_url,
                "MUSTER_MODEL_NAME": "noop",
            }
            async with (
                local_host(log=work / "host.log", state_dir=work / "state", settings=settings) as host,
                RunApi(host) as api,
            ):
                await _measure(host, api)


async def _measure(host: RunningHost, api: RunApi) -> None:
    idle = memory_mib(host.pid, "VmRSS")
    await _one(api)
    before = cpu_seconds(host.pid)
    alone = sorted([await _one(api) for _ in range(ALONE)], key=lambda one: one.seconds)
    cpu = (cpu_seconds(host.pid) - before) / ALONE
    median = alone[ALONE // 2]
    start = time.perf_counter()
    ids = await asyncio.gather(*[api.create_content(f"topic {number}") for number in range(CROWD)])
    accepted = time.perf_counter() - start
    for task_id in ids:  # one at a time, so that asking does not become the load
        await _until_over(api, task_id, every=0.1)
    crowd = time.perf_counter() - start
    print_table(
        "Content pipelines (4 steps, each over AMQP) on the local host, no-op model",
        ["measure", "value"],
        [
            [f"one pipeline alone, p50 of {ALONE}", f"{median.seconds * 1000:.0f} ms"],
            ["of these, its 4 messages in their queues", f"{median.queued * 1000:.0f} ms"],
            ["of these, its 4 agents at work", f"{median.ran * 1000:.0f} ms"],
            [f"one pipeline alone, slowest of {ALONE}", f"{alone[-1].seconds * 1000:.0f} ms"],
            ["CPU of the host for each of these", f"{cpu * 1000:.0f} ms"],
            [f"{CROWD} pipelines at once: all accepted after", f"{accepted:.1f} s"],
            [f"{CROWD} pipelines at once: all completed after", f"{crowd:.1f} s"],
            [f"{CROWD} pipelines at once: steps a second", f"{CROWD * STEPS / crowd:.0f}"],
            ["host memory, idle", f"{idle:.0f} MiB"],
            ["host memory, peak", f"{memory_mib(host.pid, 'VmHWM'):.0f} MiB"],
        ],
    )


async def _one(api: RunApi) -> _One:
    start = time.perf_counter()
    task = await _until_over(api, await api.create_content("a topic"), every=0.005)
    seconds, steps = time.perf_counter() - start, task["steps"]
    return _One(seconds, sum(step["queue_seconds"] for step in steps), sum(step["run_seconds"] for step in steps))


async def _until_over(api: RunApi, task_id: str, *, every: float) -> dict[str, Any]:
    async for task in api.watch(task_id, every=every):
        last = task
    if last["status"] != "completed":
        raise RuntimeError(f"run {task_id} is {last['status']}: {last['error']}")
    return last


@asynccontextmanager
async def _noop_model() -> AsyncIterator[str]:
    async def complete(_: web.Request) -> web.Response:
        return web.json_response(NOOP)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", complete)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}/v1"
    finally:
        await runner.cleanup()
