"""Circuits in an SQLite file of their own, safe for several processes at once.

They are not in the file of the runs: they are few, they change while runs are read, and losing them loses nothing that
does not come back by itself. A file that nobody wrote to does not exist, and costs a look at the folder.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from shared.circuit import Circuit
from shared.errors import StoreUnavailable
from shared.state.circuits import StoredCircuit, circuit_of

_TABLE = "create table if not exists circuits (name text primary key, version integer not null, body text not null)"


class SqliteCircuits:
    """Circuits in the SQLite file at `path`, made by the first write. See `CircuitStore`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self, name: str) -> StoredCircuit | None:
        """One circuit; see `CircuitStore.read`."""
        found = await self._reading("select version, body from circuits where name = ?", name)
        return found[0] if found else None

    async def read_all(self) -> tuple[StoredCircuit, ...]:
        """All of them; see `CircuitStore.read_all`."""
        return await self._reading("select version, body from circuits order by name")

    async def write(self, circuit: Circuit, version: str | None) -> bool:
        """Write one if it is still as it was read; see `CircuitStore.write`."""
        body = circuit.model_dump_json()

        def work(db: sqlite3.Connection) -> bool:
            if version is None:
                done = db.execute("insert or ignore into circuits values (?, 1, ?)", (circuit.name, body))
            else:
                change = "update circuits set version = version + 1, body = ? where name = ? and version = ?"
                done = db.execute(change, (body, circuit.name, int(version)))
            return done.rowcount == 1

        def make_and_work() -> bool:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return self._connected("begin immediate", work)

        return await asyncio.to_thread(make_and_work)

    async def close(self) -> None:
        """Nothing is held open."""

    async def _reading(self, query: str, *given: str) -> tuple[StoredCircuit, ...]:
        def work(db: sqlite3.Connection) -> tuple[StoredCircuit, ...]:
            return tuple(StoredCircuit(circuit_of(body), str(version)) for version, body in db.execute(query, given))

        def look() -> tuple[StoredCircuit, ...]:
            return self._connected("begin", work) if self._path.exists() else ()

        return await asyncio.to_thread(look)

    def _connected[T](self, begin: str, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with closing(sqlite3.connect(self._path, timeout=10, isolation_level=None)) as db:
                db.execute("pragma synchronous = normal")
                db.execute(_TABLE)
                db.execute(begin)
                with db:
                    return work(db)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"the circuits at {self._path} did not answer: {error}") from error
