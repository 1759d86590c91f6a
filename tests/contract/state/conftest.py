"""The stores that the contract is held against: SQLite, and Cosmos DB through the stock client.

Cosmos DB is a server from npm that speaks its protocol, or what `--cosmos-endpoint` names: Microsoft's emulator, or an
account.
"""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from shared.artifacts.files import FileArtifacts
from shared.state.cosmos import CosmosState
from shared.state.cosmos_container import CosmosConnection
from shared.state.sqlite import SqliteState
from shared.state.store import StateStore
from tests.support.cosmos_account import Account, cosmos_account, fresh_database

__all__ = ["cosmos_account"]


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
