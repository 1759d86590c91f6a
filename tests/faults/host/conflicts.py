"""A server before Cosmos DB that says of each document's first guarded change that it came too late."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

_OF_THE_CONNECTION = frozenset({"host", "connection", "transfer-encoding", "content-length", "content-encoding"})


class Conflicts:
    """Passes requests on. `count` is how many it answered with 412 instead."""

    def __init__(self, target: str, client: aiohttp.ClientSession) -> None:
        self.count = 0
        self.endpoint = ""
        self._target = target.rstrip("/")
        self._client = client
        self._refused: set[str] = set()

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request."""
        body = await request.read()
        if request.method == "PATCH" and request.path not in self._refused:
            self._refused.add(request.path)
            self.count += 1
            return web.json_response({"code": "PreconditionFailed", "message": "injected"}, status=412)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OF_THE_CONNECTION}
        async with self._client.request(
            request.method, self._target + request.raw_path, data=body or None, headers=headers
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _OF_THE_CONNECTION}
            return web.Response(body=await answer.read(), status=answer.status, headers=kept)


@asynccontextmanager
async def conflicting(target: str) -> AsyncIterator[Conflicts]:
    """The server, before the account at `target`, on a free port of this machine."""
    async with aiohttp.ClientSession() as client:
        conflicts = Conflicts(target, client)
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", conflicts.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        conflicts.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        try:
            yield conflicts
        finally:
            await runner.cleanup()
