"""The run's HTTP API as the scripts use it: start, watch until it is over."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp

from scripts.local_host import RunningHost

OVER = frozenset({"completed", "partial", "failed", "cancelled", "budget_exhausted"})


class CallRefused(Exception):
    """The API answered with a problem. The text is its cause in one line."""


class RunApi:
    """A client of one host. Use it within `async with`."""

    def __init__(self, host: RunningHost) -> None:
        self._session = aiohttp.ClientSession(
            base_url=host.url, headers={"x-functions-key": host.key}, timeout=aiohttp.ClientTimeout(total=60)
        )

    async def __aenter__(self) -> "RunApi":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def create_content(self, topic: str) -> str:
        """Start the content pipeline; the run's id. Raises `CallRefused`."""
        async with self._session.post("/api/create-content", json={"topic": topic}) as answer:
            body = await _body(answer)
            return str(body["task_id"])

    async def start(self, pattern: str, request: Mapping[str, Any]) -> str:
        """Start a run of a pattern; its id. Raises `CallRefused`."""
        async with self._session.post(f"/api/workflows/{pattern}", json=request) as answer:
            return str((await _body(answer))["task_id"])

    async def watch(self, task_id: str, *, every: float = 0.15) -> AsyncIterator[dict[str, Any]]:
        """The run again and again, until it is over; the last one is the final one. Raises `CallRefused`."""
        while True:
            async with self._session.get(f"/api/task/{task_id}") as answer:
                task = await _body(answer)
            yield task
            if task["status"] in OVER:
                return
            await asyncio.sleep(every)


async def _body(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    body: dict[str, Any] = await answer.json(content_type=None)
    if answer.status >= 400:
        raise CallRefused(f"HTTP {answer.status}: {body.get('detail', body)}")
    return body
