"""A vote of five that its first three decide, with a model that takes a second: what it pays, and how long it takes."""

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.table import print_table
from bench.timed_model import timed_model
from scripts.local_host import local_host
from scripts.run_api import RunApi

ANSWERS_AFTER = 1.0
"""Seconds that the model takes for each answer."""
BALLOT = json.dumps({"reason": "It is.", "choice": "yes"})
VOTERS = [{"agent": "moderator-harm", "name": f"voter-{number}"} for number in range(1, 6)]
VOTE: dict[str, Any] = {"request": "Is it safe?", "voters": VOTERS, "options": ["yes", "no"]}


async def measure() -> None:
    """Print the table."""
    calls: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        async with timed_model(BALLOT, calls, seconds=ANSWERS_AFTER) as base_url:
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
