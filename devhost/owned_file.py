"""A SQLite file that belongs to one process of this host for as long as it is open.

The broker and the task hub each keep one. Both are refused to a second process, leave a foreign file exactly as it
was, and are on disk with every commit.
"""

import sqlite3
from dataclasses import dataclass


class ForeignFile(Exception):
    """The file is a database of another program."""


class OtherVersion(Exception):
    """The file was written by a version of this host whose tables are others; `found` is its number."""

    def __init__(self, found: int) -> None:
        super().__init__(f"version {found}")
        self.found = found


@dataclass(frozen=True, slots=True)
class FileKind:
    """What tells a file of this kind from others, the tables of a new one, and how much of it is kept in memory."""

    application_id: int
    version: int
    tables: str
    cache_kib: int


def take(connection: sqlite3.Connection, kind: FileKind) -> None:
    """Make the file this connection's alone, and give a new one its tables.

    Raises `ForeignFile`, `OtherVersion`, and `sqlite3.Error` when another process has it or it is no database.
    """
    # Asked before anything is changed, so that a foreign file is left exactly as it was.
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if objects and application_id != kind.application_id:
        raise ForeignFile
    # Exclusive for the connection's life: no shared-memory file, and a second process is refused.
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA secure_delete=OFF")
    connection.execute(f"PRAGMA cache_size=-{kind.cache_kib}")
    connection.execute("PRAGMA wal_autocheckpoint=2000")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("COMMIT")
    _prepare(connection, kind)


def _prepare(connection: sqlite3.Connection, kind: FileKind) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        connection.executescript(
            f"BEGIN; {kind.tables} PRAGMA application_id={kind.application_id};"
            f" PRAGMA user_version={kind.version}; COMMIT;"
        )
    elif version != kind.version:
        raise OtherVersion(version)
