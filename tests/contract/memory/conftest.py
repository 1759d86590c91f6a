"""The stores that the contract of memory is held against: SQLite, and Cosmos DB through the stock client."""

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from shared import names
from shared.memory.cosmos import CosmosMemory
from shared.memory.entries import MAX_ENTRIES
from shared.memory.sqlite import SqliteMemory
from shared.memory.store import MemoryStore
from shared.state.cosmos_container import CosmosConnection
from tests.support.cosmos_account import Account, cosmos_account, fresh_database

__all__ = ["cosmos_account"]


class Memories:
    """Opens stores over the same data, as several processes would; all are closed at the end."""

    def __init__(self, make: Callable[[Mapping[str, int]], MemoryStore]) -> None:
        self._make = make
        self._opened: list[MemoryStore] = []

    def open(self, *, limits: Mapping[str, int] = MAX_ENTRIES) -> MemoryStore:
        """One more store over the data."""
        store = self._make(limits)
        self._opened.append(store)
        return store

    async def close(self) -> None:
        """Close them all."""
        for store in self._opened:
            await store.close()


@pytest.fixture
async def cosmos_connection(cosmos_account: Account) -> AsyncIterator[CosmosConnection]:
    """A fresh container of Cosmos DB."""
    async with fresh_database(cosmos_account, names.COSMOS_MEMORY) as connection:
        yield connection


@pytest.fixture(params=["sqlite", "cosmos"])
async def memories(request: pytest.FixtureRequest, cosmos_account: Account, tmp_path: Path) -> AsyncIterator[Memories]:
    """A fresh data set and the way to open it."""
    if request.param == "sqlite":
        opened = Memories(lambda limits: SqliteMemory(tmp_path / "memory" / "memory.db", limits=limits))
        yield opened
        await opened.close()
        return
    async with fresh_database(cosmos_account, names.COSMOS_MEMORY) as connection:
        opened = Memories(lambda limits: CosmosMemory(connection, limits=limits))
        yield opened
        await opened.close()


@pytest.fixture
def store(memories: Memories) -> MemoryStore:
    """A store over fresh data."""
    return memories.open()
