"""A vote of five that its first three decide, with a model that takes a second: what it pays, and how long it takes."""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from bench.table import print_table
from scripts.local_host import local_host
from scripts.run_api import RunApi

ANSWERS_AFTER = 1.0
"""Seconds that the model takes for each answer."""
VOTERS = [{"agent": "moderator-harm", "name": f"voter-{number}"} for number in range(1, 6)]
VOTE: dict[str, Any] = {"request": "Is it safe?", "voters": VOTERS, "options": ["yes", "no"]}


async def measure() -> None:
    """Print the table."""
    calls: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        async with _agreeing_model(calls) as base_url:
            settings = {
                "MUSTER_DATA_DIR": str(work / "data"),
                "MUSTER_MODEL_BASE_URL": base_url,
                "MUSTER_MODEL_NAME": "agreeing",
            }
            async with (
                local_host(log=work / "host.log", state_dir=work / "state", settings=settings) as host,
                RunApi(host) as api,
            ):
                await _vote(api, None)
                rows = [await _measured(api, width, calls) for width in (None, 1, 2, 3, 4, 5)]
    print_table(
        f"A vote of 5 decided by the first 3, the model answering after {ANSWERS_AFTER:g} s",
        ["width", "model calls paid", "voters never asked", "decided after"],
        rows,
    )


async def _measured(api: RunApi, width: int | None, calls: list[float]) -> list[str]:
    calls.clear()
    start = time.perf_counter()
    task = await _vote(api, width)
    took = time.perf_counter() - start
    # A voter that was called off while it was being asked is paid for, if only after the vote.
    await asyncio.sleep(ANSWERS_AFTER + 0.5)
    asked = {step["step_id"] for step in task["steps"] if step["started_at"] is not None}
    never = len(VOTERS) - len(asked)
    return ["default" if width is None else str(width), str(len(calls)), str(never), f"{took:.2f} s"]


async def _vote(api: RunApi, width: int | None) -> dict[str, Any]:
    task_id = await api.start("consensus", {**VOTE, "width": width})
    return [task async for task in api.watch(task_id, every=0.01)][-1]


@asynccontextmanager
async def _agreeing_model(calls: list[float]) -> AsyncIterator[str]:
    async def answer(_: web.Request) -> web.Response:
        calls.append(time.perf_counter())
        await asyncio.sleep(ANSWERS_AFTER)
        text = json.dumps({"reason": "It is.", "choice": "yes"})
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        body = {"id": "c", "object": "chat.completion", "created": 0, "model": "agreeing", "usage": usage}
        return web.json_response({**body, "choices": [choice]})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}/v1"
    finally:
        await runner.cleanup()
