"""An article of 20 MB goes through the pipeline whole, and nothing that carries it becomes large itself."""

import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.support.eventually import eventually
from tests.support.host_process import ROOT, HostProcess
from tests.support.muster_host import EMULATOR, OVER, free_port

APP = Path(__file__).parent / "apps" / "long_article"
TOPOLOGY = ROOT / "infra" / "servicebus.json"
ARTICLE = ("# Tides\n\n" + "The tide comes in, and it goes out again, as it does.\n" * 400_000 + "The end.\n").encode()
EVENT_LIMIT = 64 * 1024
DOCUMENT_LIMIT = 64 * 1024
LONG_REQUEST = "x" * 60_000


class Articles:
    """The host, its folder, and a client."""

    def __init__(self, folder: Path, host: HostProcess, session: aiohttp.ClientSession) -> None:
        self.folder, self.host, self.session = folder, host, session

    async def json(self, path: str) -> Any:
        async with self.session.get(self.host.url + path) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json(content_type=None)

    async def finished(self, body: dict[str, Any]) -> dict[str, Any]:
        async with self.session.post(self.host.url + "/api/workflows/sequential", json=body) as answer:
            assert answer.status == 202, await answer.text()
            task_id = (await answer.json())["task_id"]

        async def over() -> dict[str, Any] | None:
            task: dict[str, Any] = await self.json(f"/api/task/{task_id}")
            return task if task["status"] in OVER else None

        task = await eventually(over, within=60.0, every=0.1)
        assert task is not None
        return task

    async def digest(self, path: str) -> tuple[str, str]:
        """The content type and the hash of what a GET streams."""
        digest = hashlib.sha256()
        async with self.session.get(self.host.url + path) as answer:
            assert answer.status == 200, await answer.text()
            async for chunk in answer.content.iter_chunked(1 << 20):
                digest.update(chunk)
            return answer.headers["content-type"], digest.hexdigest()

    async def history(self, task_id: str) -> list[Any]:
        """The orchestration's events as the management API shows them, with their inputs and outputs."""
        query = f"showHistory=true&showHistoryOutput=true&showInput=true&code={self.host.key('durabletask')}"
        status = await self.json(f"/runtime/webhooks/durabletask/instances/{task_id}?{query}")
        events: list[Any] = status["historyEvents"]
        return events

    def largest_document(self) -> int:
        """The size of the largest value in any table of the state store."""
        with closing(sqlite3.connect(self.folder / "data" / "state.db")) as store:
            tables = [name for (name,) in store.execute("select name from sqlite_master where type = 'table'")]
            sizes = [
                len(value if isinstance(value, bytes) else str(value).encode())
                for table in tables
                for row in store.execute(f'select * from "{table}"')
                for value in row
            ]
        return max(sizes)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def articles(tmp_path_factory: Any) -> AsyncIterator[Articles]:
    folder: Path = tmp_path_factory.mktemp("articles")
    env = {
        "ServiceBusConnection": EMULATOR.format(port=free_port()),
        "MUSTER_DATA_DIR": str(folder / "data"),
        "PYTHONPATH": str(ROOT),
    }
    host = HostProcess(APP, state_dir=folder / "host", env=env, arguments=["--servicebus-config", str(TOPOLOGY)])
    async with host, aiohttp.ClientSession() as session:
        yield Articles(folder, host, session)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def published(articles: Articles) -> dict[str, Any]:
    return await articles.finished({"request": LONG_REQUEST, "agents": ["writer", "editor", "publisher"]})


@pytest.mark.asyncio(loop_scope="module")
async def test_the_article_is_published_whole(articles: Articles, published: dict[str, Any]) -> None:
    assert published["status"] == "completed", published
    assert published["result"]["bytes"] == len(ARTICLE)
    digest = published["result"]["address"].rpartition(":")[2]
    assert digest == hashlib.sha256(ARTICLE).hexdigest()
    path = f"/api/task/{published['id']}/artifacts/{digest}"
    assert (await articles.digest(path))[1] == digest


@pytest.mark.asyncio(loop_scope="module")
async def test_a_result_of_20_mb_streams_back_whole_as_text(articles: Articles) -> None:
    task = await articles.finished({"request": "short", "agents": ["writer", "editor"]})
    assert len(json.dumps(task)) < EVENT_LIMIT
    content_type, digest = await articles.digest(f"/api/task/{task['id']}/result")
    assert content_type.startswith("text/plain")
    assert digest == hashlib.sha256(ARTICLE).hexdigest()


@pytest.mark.asyncio(loop_scope="module")
async def test_no_event_of_the_history_and_no_document_is_large(articles: Articles, published: dict[str, Any]) -> None:
    """That no message was, the broker has seen to: it takes none of more than 256 KB."""
    events = await articles.history(published["id"])
    assert len(events) > 10
    assert max(len(json.dumps(event)) for event in events) <= EVENT_LIMIT
    assert articles.largest_document() <= DOCUMENT_LIMIT + len(LONG_REQUEST)
