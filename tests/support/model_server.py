"""A chat completion endpoint that misbehaves on request, over real HTTP: for the model client's own tests."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

type Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

UNSET: Any = object()


def completion(
    text: str | None = "An answer.",
    *,
    finish: str | None = "stop",
    usage: Any = UNSET,
    model: Any = "gpt-5-mini-2026-08-07",
    refusal: str | None = None,
) -> Answer:
    """A well-formed completion of 1000 tokens in and 200 out, unless `usage` says otherwise."""
    message = {"role": "assistant", "content": text, "refusal": refusal}
    counted = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200} if usage is UNSET else usage
    return reply(
        {
            "id": "c",
            "object": "chat.completion",
            "created": 0,
            "model": model,
            "choices": [{"index": 0, "finish_reason": finish, "message": message}],
            "usage": counted,
        }
    )


def reply(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Any JSON under any status."""
    return raw(json.dumps(body).encode(), status=status, headers=headers)


def raw(
    body: bytes,
    *,
    status: int = 200,
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Any bytes at all."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, status=status, headers={"content-type": content_type, **(headers or {})})

    return answer


async def hang(request: web.Request) -> web.StreamResponse:
    """Take the request and say nothing, until the client goes away."""
    await asyncio.Event().wait()
    raise AssertionError


async def trickle(request: web.Request) -> web.StreamResponse:
    """Send a space every few milliseconds for ever, so that no single read takes long."""
    response = web.StreamResponse(headers={"content-type": "application/json"})
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.02)


async def hang_up(request: web.Request) -> web.StreamResponse:
    """Close the connection instead of answering."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@dataclass
class ModelServer:
    """`answer` is what the next requests get; `requests` are the bodies so far, `headers` theirs."""

    answer: Answer = field(default_factory=completion)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """`POST /v1/chat/completions`."""
        self.requests.append(json.loads(await request.read()))
        self.headers.append(request.headers.copy())
        return await self.answer(request)


@asynccontextmanager
async def model_server() -> AsyncIterator[ModelServer]:
    """A running `ModelServer` on a free port of loopback; its `url` is the base URL to configure."""
    server = ModelServer()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}/v1"
    try:
        yield server
    finally:
        await runner.cleanup()
