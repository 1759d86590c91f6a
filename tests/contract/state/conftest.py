"""The stores that the contract is held against. Another store is one more name and one more branch in `stores`."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

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


@pytest.fixture(params=["sqlite"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    """A fresh data set and the way to open it."""
    assert request.param == "sqlite"
    opened = Stores(lambda: SqliteState(tmp_path / "state" / "runs.db"))
    yield opened
    await opened.close()


@pytest.fixture
def store(stores: Stores) -> StateStore:
    """A store over fresh data."""
    return stores.open()
