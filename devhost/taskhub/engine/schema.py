"""The task hub's file: its tables, how it is opened, and how a file that cannot be used is refused.

A history is kept in chunks, each what the history grew by from one commit to the next. A chunk's id is the instance's
key and the chunk's number in one integer, so that a history is a range of ids and grows without rewriting anything.
"""

import sqlite3
from pathlib import Path
from typing import Final

from devhost.errors import StartError
from devhost.owned_file import FileKind, ForeignFile, OtherVersion, take

_CHUNK_BITS: Final = 24

_TABLES: Final = """
CREATE TABLE instances(
    key INTEGER PRIMARY KEY,
    instance_id TEXT NOT NULL UNIQUE,
    execution_id TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT,
    status INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    completed_at INTEGER,
    scheduled_at INTEGER,
    parent_id TEXT,
    parent_execution_id TEXT,
    parent_task_id INTEGER,
    custom_status TEXT,
    failure BLOB,
    tags TEXT);
CREATE INDEX instances_created ON instances(created_at);
CREATE INDEX instances_unfinished ON instances(created_at) WHERE completed_at IS NULL;
CREATE INDEX instances_finished ON instances(status, created_at) WHERE completed_at IS NOT NULL;
CREATE INDEX instances_completed ON instances(completed_at) WHERE completed_at IS NOT NULL;
CREATE INDEX instances_children ON instances(parent_id) WHERE parent_id IS NOT NULL;
CREATE TABLE secrets(name TEXT PRIMARY KEY, secret BLOB NOT NULL);
CREATE TABLE lives(number INTEGER PRIMARY KEY);
CREATE TABLE inputs(key INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE outputs(key INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE history(id INTEGER PRIMARY KEY, events BLOB NOT NULL);
CREATE TABLE strays(
    id INTEGER PRIMARY KEY,
    instance_id TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    event BLOB NOT NULL);
CREATE TABLE inbox(id INTEGER PRIMARY KEY, key INTEGER NOT NULL, event BLOB NOT NULL);
CREATE TABLE entities(
    key INTEGER PRIMARY KEY,
    entity_id TEXT NOT NULL UNIQUE,
    state TEXT,
    modified_at INTEGER NOT NULL,
    section TEXT,
    owner TEXT);
CREATE INDEX entities_without_state ON entities(entity_id) WHERE state IS NULL;
CREATE INDEX entities_locked ON entities(owner) WHERE owner IS NOT NULL;
CREATE TABLE entity_messages(number INTEGER PRIMARY KEY, entity_id TEXT NOT NULL, due_at INTEGER, event BLOB NOT NULL);
"""
_KIND: Final = FileKind(application_id=0x4D535448, version=1, tables=_TABLES, cache_kib=2048)


def chunk_id(key: int, number: int) -> int:
    """The id of a chunk of an instance's history; ids of one instance are in the order of its chunks."""
    return key << _CHUNK_BITS | number


def chunk_range(key: int) -> tuple[int, int]:
    """The lowest and the highest id that a chunk of the instance can have."""
    return chunk_id(key, 0), chunk_id(key + 1, 0) - 1


def life_of(connection: sqlite3.Connection) -> int:
    """How often the file was opened, this time included."""
    (number,) = connection.execute("SELECT max(number) FROM lives").fetchone()
    return int(number)


def open_file(path: Path) -> sqlite3.Connection:
    """Open or create the task hub's file, for this process alone; it is used by one thread.

    Raises `StartError` for a file that is damaged, in use, another program's, or written by a newer version.
    """
    connection: sqlite3.Connection | None = None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        take(connection, _KIND)
        _count_life(connection)
    except (sqlite3.Error, OSError, ForeignFile, OtherVersion) as error:
        if connection is not None:
            connection.close()
        raise StartError(f"the task hub's file {path} {_refusal(error)}") from error
    return connection


def _refusal(error: Exception) -> str:
    match error:
        case ForeignFile():
            return "is a database of another program"
        case OtherVersion(found=found):
            age = "a newer" if found > _KIND.version else "another"
            return (
                f"was written by {age} version of this host (its schema is {found}, this host knows {_KIND.version}):"
                " use that version, or move the file away"
            )
        case _:
            return f"cannot be used: {error}; move it away to begin with an empty task hub"


def _count_life(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO lives(number) SELECT coalesce(max(number),0)+1 FROM lives")
    connection.execute("DELETE FROM lives WHERE number<(SELECT max(number) FROM lives)")
    connection.execute("COMMIT")
