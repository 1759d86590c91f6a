"""A proxy before a Cosmos DB server that counts the requests for documents which the app makes, by what they are."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from scripts.cost.measure import USER_AGENT

_HOP_BY_HOP = frozenset({"host", "connection", "transfer-encoding", "content-encoding", "content-length"})
_KINDS = {"POST": "create", "GET": "read", "PATCH": "patch", "PUT": "replace", "DELETE": "delete"}


class CountingCosmos:
    """`requests` counts reads, creates, patches, deletes and queries of documents.

    What a client asks of accounts, databases and containers is not charged, and what the measurement asks for itself is
    not the app's.
    """

    def __init__(self, server: str, session: aiohttp.ClientSession) -> None:
        self.requests: Counter[str] = Counter()
        self._server = server.rstrip("/")
        self._session = session

    async def forward(self, request: web.Request) -> web.Response:
        """Count and pass it on."""
        kind = _kind(request)
        if kind is not None and USER_AGENT not in request.headers.get("user-agent", ""):
            self.requests[kind] += 1
        headers = {name: text for name, text in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        async with self._session.request(
            request.method, self._server + request.path_qs, data=await request.read(), headers=headers
        ) as answer:
            back = {name: text for name, text in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
            return web.Response(status=answer.status, body=await answer.read(), headers=back)


def _kind(request: web.Request) -> str | None:
    parts = request.path.strip("/").split("/")
    if "docs" not in parts:
        return None
    is_query = "true" in (
        request.headers.get("x-ms-documentdb-query", "").lower(),
        request.headers.get("x-ms-documentdb-isquery", "").lower(),
    )
    return "query" if is_query else _KINDS[request.method]


@asynccontextmanager
async def counting_cosmos(server: str) -> AsyncIterator[tuple[CountingCosmos, str]]:
    """The proxy, and its address."""
    async with aiohttp.ClientSession(auto_decompress=True) as session:
        counting = CountingCosmos(server, session)
        app = web.Application(client_max_size=16 * 2**20)
        app.router.add_route("*", "/{path:.*}", counting.forward)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield counting, f"http://127.0.0.1:{runner.addresses[0][1]}/"
        finally:
            await runner.cleanup()
