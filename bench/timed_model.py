"""A model that always gives one answer, after a fixed time, and keeps when it was asked."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def timed_model(text: str, calls: list[float], *, seconds: float) -> AsyncIterator[str]:
    """The base URL of a model that answers with `text` after `seconds`; `calls` gets the time of each call."""

    async def answer(_: web.Request) -> web.Response:
        calls.append(time.perf_counter())
        await asyncio.sleep(seconds)
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        body = {"id": "c", "object": "chat.completion", "created": 0, "model": "timed", "usage": usage}
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
