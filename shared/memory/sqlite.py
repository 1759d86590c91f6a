"""The embedded twin of the memory store: one SQLite file, safe for several processes at once.

A scope holds so few entries that they are found by its key and looked through; no index grows with the whole store.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from shared.errors import StateCorrupted
from shared.memory.entries import MAX_ENTRIES, MEMORY, Fact, Scope, Turn, microseconds
from shared.memory.search import searched_words
from shared.sqlite_file import SqliteFile, write_ahead

SCHEMA_VERSION = 1
_TABLES = """
create table memories (
    scope text not null, key text not null, tenant text not null, kind text not null, stamp text not null,
    at integer not null, expires_at integer, words text not null, body text not null, primary key (scope, key)
);
create index memories_by_tenant on memories (tenant);
create index memories_by_end on memories (expires_at) where expires_at is not null;
"""
# What is over is removed by later writes, so many of them at a time.
_SWEPT = 100


class SqliteMemory:
    """Entries in the SQLite file at `path`, opened on first use; each scope keeps the newest `limits` of a kind."""

    def __init__(self, path: Path, *, limits: Mapping[str, int] = MAX_ENTRIES) -> None:
        self._file = SqliteFile(path, _connect, what="memory store")
        self._limits = limits

    async def put(self, entry: Fact | Turn, *, now: datetime) -> bool:
        """Insert or replace; see `MemoryStore.put`."""
        scope = entry.scope.path
        row = _row(entry)

        def work(db: sqlite3.Connection) -> bool:
            written = db.execute(
                "insert into memories values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (scope, key) do update set"
                " kind = excluded.kind, stamp = excluded.stamp, at = excluded.at, expires_at = excluded.expires_at,"
                " words = excluded.words, body = excluded.body where memories.stamp < excluded.stamp",
                row,
            ).rowcount
            _sweep(db, now)
            _make_room(db, scope, self._limits[entry.kind], now)
            return written == 1

        return await self._file.write(work)

    async def read(self, scope: Scope, *, now: datetime, words: Sequence[str] = ()) -> tuple[Fact | Turn, ...]:
        """The entries of a scope; see `MemoryStore.read`."""

        rows = await self._file.read(
            lambda db: db.execute(
                "select key, words, body from memories where scope = ? and (expires_at is null or expires_at > ?)"
                " order by at, key",
                (scope.path, microseconds(now)),
            ).fetchall()
        )
        return tuple(
            _read(scope, key, body)
            for key, held, body in rows
            if not words or any(f" {word} " in held for word in words)
        )

    async def forget(self, scope: Scope, key: str) -> bool:
        """Remove one entry; see `MemoryStore.forget`."""
        return await self._delete("scope = ? and key = ?", scope.path, key) > 0

    async def forget_scope(self, scope: Scope) -> int:
        """Remove a scope; see `MemoryStore.forget_scope`."""
        return await self._delete("scope = ?", scope.path)

    async def forget_tenant(self, tenant: str) -> int:
        """Remove a tenant; see `MemoryStore.forget_tenant`."""
        return await self._delete("tenant = ?", tenant)

    async def close(self) -> None:
        """Close the file."""
        await self._file.close()

    async def _delete(self, condition: str, *values: str) -> int:
        return await self._file.write(lambda db: db.execute(f"delete from memories where {condition}", values).rowcount)


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=10, isolation_level=None)
    try:
        _prepare(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    # Nothing may be written before this: a file of a later version is kept in another way.
    if _version(db, path) == 0:
        write_ahead(db)
        db.execute("begin immediate")
        with db:
            # Another process may have been faster since.
            if _version(db, path) == 0:
                for statement in _TABLES.split(";"):
                    db.execute(statement)
                db.execute(f"pragma user_version = {SCHEMA_VERSION}")
    db.execute("pragma synchronous = full")
    # What somebody asked to be forgotten is overwritten, not only let go of.
    db.execute("pragma secure_delete = on")


def _version(db: sqlite3.Connection, path: Path) -> int:
    found = int(db.execute("pragma user_version").fetchone()[0])
    if found > SCHEMA_VERSION or found < 0:
        raise StateCorrupted(f"the memory store at {path} has schema version {found}; this app reads {SCHEMA_VERSION}")
    return found


def _sweep(db: sqlite3.Connection, now: datetime) -> None:
    db.execute(
        "delete from memories where rowid in (select rowid from memories where expires_at <= ? limit ?)",
        (microseconds(now), _SWEPT),
    )


def _make_room(db: sqlite3.Connection, scope: str, limit: int, now: datetime) -> None:
    """Keep the newest entries of a scope; those that are over count as the oldest."""
    db.execute(
        "delete from memories where rowid in (select rowid from memories where scope = ?"
        " order by (expires_at is null or expires_at > ?) desc, at desc, key desc limit -1 offset ?)",
        (scope, microseconds(now), limit),
    )


def _row(entry: Fact | Turn) -> tuple[str | int | None, ...]:
    """An entry as its row, in the order of the table's columns."""
    return (
        entry.scope.path,
        entry.key,
        entry.scope.tenant,
        entry.kind,
        entry.stamp,
        microseconds(entry.at),
        None if entry.expires_at is None else microseconds(entry.expires_at),
        searched_words(entry.text) if isinstance(entry, Fact) else "",
        entry.model_dump_json(),
    )


def _read(scope: Scope, key: str, body: str) -> Fact | Turn:
    try:
        return MEMORY.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StateCorrupted(f"what {scope.path} holds as {key} cannot be read: {where}: {first['msg']}") from None
