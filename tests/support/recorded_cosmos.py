"""A server that gives the stock Cosmos DB client the answers of a list, and keeps what it was asked.

The answers follow the service's REST documentation; none was recorded from an account.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

ACCOUNT: Mapping[str, Any] = {
    "id": "recorded",
    "_rid": "recorded.documents",
    "writableLocations": [{"name": "West Europe", "databaseAccountEndpoint": "https://recorded/"}],
    "readableLocations": [{"name": "West Europe", "databaseAccountEndpoint": "https://recorded/"}],
    "enableMultipleWriteLocations": False,
    "userConsistencyPolicy": {"defaultConsistencyLevel": "Session"},
    "queryEngineConfiguration": "{}",
}
CONTAINER: Mapping[str, Any] = {
    "id": "runs",
    "_rid": "AAAAAAAAAAA=",
    "_self": "dbs/AAAAAA==/colls/AAAAAAAAAAA=/",
    "partitionKey": {"paths": ["/task_id"], "kind": "Hash", "version": 2},
}
RANGES: Mapping[str, Any] = {
    "_rid": "AAAAAAAAAAA=",
    "PartitionKeyRanges": [{"id": "0", "minInclusive": "", "maxExclusive": "FF", "status": "online", "parents": []}],
    "_count": 1,
}


@dataclass(frozen=True)
class Answer:
    """One answer of the service. `drop` closes the connection instead."""

    status: int = 200
    body: Any = None
    charge: float = 1.0
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False


@dataclass(frozen=True)
class Asked:
    """One request to the documents, as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


class RecordedCosmos:
    """Answers requests to documents from `answers`, in order; the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[Answer | Callable[[Asked], Answer]] = []
        self.asked: list[Asked] = []
        self.endpoint = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        path = request.path.strip("/")
        if path == "":
            return web.json_response(ACCOUNT)
        if path.endswith("colls/runs"):
            return web.json_response(CONTAINER, headers={"x-ms-request-charge": "1"})
        if path.endswith("pkranges") and "If-None-Match" in request.headers:
            return web.Response(status=304, headers={"etag": '"1"'})
        if path.endswith("pkranges"):
            return web.json_response(RANGES, headers={"x-ms-request-charge": "0", "etag": '"1"'})
        text = await request.text()
        asked = Asked(request.method, path, dict(request.headers), json.loads(text) if text else None)
        self.asked.append(asked)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return self._response(request, answer if isinstance(answer, Answer) else answer(asked))

    def _response(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        if answer.drop:
            if request.transport is not None:
                request.transport.close()
            return web.Response()
        headers = {"x-ms-request-charge": str(answer.charge), "x-ms-activity-id": "0", **answer.headers}
        if answer.status == 204:
            return web.Response(status=204, headers=headers)
        body = answer.body if answer.body is not None else {"code": str(answer.status), "message": "as recorded"}
        return web.json_response(body, status=answer.status, headers=headers)


@asynccontextmanager
async def recorded_cosmos() -> AsyncIterator[RecordedCosmos]:
    """The server on a free port of this machine."""
    recorded = RecordedCosmos()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", recorded.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    recorded.endpoint = f"http://127.0.0.1:{port}/"
    try:
        yield recorded
    finally:
        await runner.cleanup()
