"""A model for whole-system tests: a server of chat completions that counts what it is asked and answers on cue."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from devhost.offline_model.json_schema import minimal_instance


class ChatModel:
    """Answers every request alike, unless `say` says otherwise. While `open` is clear, requests wait, as they would for
    a slow model.
    """

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.url = ""

    async def complete(self, request: web.Request) -> web.Response:
        """`POST /v1/chat/completions`."""
        asked = json.loads(await request.read())
        self.requests.append(asked)
        await self.open.wait()
        text = self.say(asked)
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        body = {"id": "c", "object": "chat.completion", "created": 0, "model": asked["model"]}
        return web.json_response({**body, "choices": [choice], "usage": usage})

    def say(self, asked: dict[str, Any]) -> str:
        """The text of the answer to one request; the least that fits where a schema is asked for."""
        if wanted := asked.get("response_format"):
            return json.dumps(minimal_instance(wanted["json_schema"]["schema"], "Title"))
        return f"# Title\n\nAnswer {len(self.requests)}: {asked['messages'][-1]['content'][:40]}"


@asynccontextmanager
async def chat_model(model: ChatModel | None = None) -> AsyncIterator[ChatModel]:
    """A running `ChatModel` on a free port of loopback; its `url` is the base URL to configure."""
    model = model or ChatModel()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", model.complete)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    model.url = f"http://{host}:{port}/v1"
    try:
        yield model
    finally:
        await runner.cleanup()
