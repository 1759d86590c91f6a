"""The stores that the contract is held against: SQLite, and Cosmos DB through the stock client.

Cosmos DB is a server from npm that speaks its protocol, or what `--cosmos-endpoint` names: Microsoft's emulator, or an
account.
"""

import os
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from azure.cosmos.aio import CosmosClient

from scripts.cosmos_server import KEY, cosmos_server, set_up
from scripts.node_packages import NodeUnavailable
from shared import names
from shared.artifacts.files import FileArtifacts
from shared.state.cosmos import CosmosState
from shared.state.cosmos_container import CosmosConnection
from shared.state.sqlite import SqliteState
from shared.state.store import StateStore


class Stores:
    """Opens stores over the same data, as several processes would; all are closed at the end."""

    def __init__(self, make: Callable[[], StateStore]) -> None:
        self._make = make
        self._opened: list[StateStore] = []

    def open(self) -> StateStore:
        """One more store over the data."""
        store = self._make()
        self._opened.append(store)
        return store

    async def close(self) -> None:
        """Close them all."""
        for store in self._opened:
            await store.close()


@dataclass(frozen=True)
class Account:
    """Where Cosmos DB is for these tests; without an endpoint, why there is none."""

    endpoint: str = ""
    key: str = ""
    missing: str = ""


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def cosmos_account(request: pytest.FixtureRequest) -> AsyncIterator[Account]:
    """The account that all tests of one process share."""
    given = request.config.getoption("--cosmos-endpoint")
    if given:
        yield Account(given, request.config.getoption("--cosmos-key"))
        return
    try:
        async with cosmos_server() as endpoint:
            yield Account(endpoint, KEY)
    except NodeUnavailable as reason:
        yield Account(missing=str(reason))


@asynccontextmanager
async def fresh_database(account: Account) -> AsyncIterator[CosmosConnection]:
    """A database with the app's containers, removed at the end. Where nobody sees skips, to have none is a failure."""
    if account.missing and os.environ.get("CI"):
        pytest.fail(account.missing, pytrace=False)
    if account.missing:
        pytest.skip(account.missing)
    database = f"test-{uuid.uuid4().hex[:12]}"
    await set_up(account.endpoint, account.key, database=database)
    yield CosmosConnection(account.endpoint, database, names.COSMOS_RUNS, key=account.key)
    async with CosmosClient(account.endpoint, account.key, enable_endpoint_discovery=False) as client:
        await client.delete_database(database)


@pytest.fixture
async def cosmos_connection(cosmos_account: Account) -> AsyncIterator[CosmosConnection]:
    """A fresh database of Cosmos DB."""
    async with fresh_database(cosmos_account) as connection:
        yield connection


@pytest.fixture(params=["sqlite", "cosmos"])
async def stores(request: pytest.FixtureRequest, cosmos_account: Account, tmp_path: Path) -> AsyncIterator[Stores]:
    """A fresh data set and the way to open it."""
    if request.param == "sqlite":
        opened = Stores(lambda: SqliteState(tmp_path / "state" / "runs.db"))
        yield opened
        await opened.close()
        return
    async with fresh_database(cosmos_account) as connection:
        opened = Stores(lambda: CosmosState(connection, FileArtifacts(tmp_path / "artifacts")))
        yield opened
        await opened.close()


@pytest.fixture
def store(stores: Stores) -> StateStore:
    """A store over fresh data."""
    return stores.open()
