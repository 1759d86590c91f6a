"""The broker's file: its tables, how it is opened, and how a file that cannot be used is refused.

A message's key is its queue's number and its sequence number in one integer, so that the table itself is the index:
a queue is a range of keys. Delivery counts live beside the messages, so that handing one out does not rewrite it.
"""

import sqlite3
from pathlib import Path

from devhost.broker.errors import StoreInUse, StoreUnreadable
from devhost.owned_file import FileKind, ForeignFile, OtherVersion, take

_NUMBER_BITS = 40

_TABLES = """
CREATE TABLE entities(
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    options TEXT NOT NULL,
    declared TEXT,
    dead_letters INTEGER,
    next_number INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL);
CREATE TABLE messages(
    key INTEGER PRIMARY KEY,
    state INTEGER NOT NULL,
    enqueued_number INTEGER NOT NULL,
    enqueued_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    size INTEGER NOT NULL,
    session_id TEXT,
    header TEXT NOT NULL,
    properties TEXT,
    dead_letter TEXT,
    content BLOB NOT NULL);
CREATE TABLE deliveries(key INTEGER PRIMARY KEY, count INTEGER NOT NULL);
CREATE TABLE seen(key INTEGER PRIMARY KEY, digest BLOB NOT NULL, at INTEGER NOT NULL);
CREATE TABLE sessions(
    queue INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    state BLOB NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY(queue, session_id)) WITHOUT ROWID;
"""
_KIND = FileKind(application_id=0x4D535442, version=1, tables=_TABLES, cache_kib=8192)


def message_key(queue: int, number: int) -> int:
    """The key of a queue's message; keys of one queue are in the order of its numbers."""
    return queue << _NUMBER_BITS | number


def split_key(key: int) -> tuple[int, int]:
    """The queue and the sequence number of a key."""
    return key >> _NUMBER_BITS, key & ((1 << _NUMBER_BITS) - 1)


def key_range(queue: int) -> tuple[int, int]:
    """The lowest and the highest key a queue's messages can have."""
    return message_key(queue, 0), message_key(queue + 1, 0) - 1


def open_file(path: Path) -> sqlite3.Connection:
    """Open or create the broker's file for this process alone; one thread at a time may use the connection.

    Raises `StoreInUse` and `StoreUnreadable`.
    """
    try:
        connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise StoreUnreadable(f"{path}: {error}") from error
    try:
        take(connection, _KIND)
    except (sqlite3.Error, ForeignFile, OtherVersion) as error:
        connection.close()
        raise _refusal(path, error) from error
    return connection


def _refusal(path: Path, error: Exception) -> StoreInUse | StoreUnreadable:
    match error:
        case ForeignFile():
            return StoreUnreadable(f"{path} is a database of another program")
        case OtherVersion(found=found):
            return StoreUnreadable(f"{path} was written by another version ({found}, not {_KIND.version})")
        case sqlite3.Error() if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            return StoreInUse(f"{path} is in use by another process; a broker's file has one user at a time")
        case _:
            return StoreUnreadable(f"{path} cannot be read: {error}")
