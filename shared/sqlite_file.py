"""One SQLite file in write-ahead mode: transactions off the event loop, and SQLite's errors in the app's words.

One thread owns the connection and makes one call after another, so that the disk never holds up the event loop and
a call that is cancelled cannot leave its transaction to the next one. A write is on disk when its call returns.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from shared.errors import StateCorrupted, StoreUnavailable

_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
_LONGEST_WAIT_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 0.01


class SqliteFile:
    """The file at `path`, which `connect` opens on first use. `what` names it in errors.

    Raises `StoreUnavailable` when the file does not answer and `StateCorrupted` when it is no database.
    """

    def __init__(self, path: Path, connect: Callable[[Path], sqlite3.Connection], *, what: str) -> None:
        self._path = path
        self._connect = connect
        self._what = what
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=what.replace(" ", "-"))

    async def write[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns, made in one transaction that nobody else writes beside."""
        return await self._in_thread("begin immediate", work)

    async def read[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns. It waits for nobody: it sees the file as it was when it began."""
        return await self._in_thread("begin", work)

    async def close(self) -> None:
        """Close the file; the next call opens it again."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _in_thread[T](self, begin: str, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, begin, work)

    def _transact[T](self, begin: str, work: Callable[[sqlite3.Connection], T]) -> T:
        where = f"the {self._what} at {self._path}"
        try:
            if self._connection is None:
                self._connection = self._connect(self._path)
            self._connection.execute(begin)
            with self._connection:
                return work(self._connection)
        except sqlite3.Error as error:
            if error.sqlite_errorcode in _DAMAGED:
                raise StateCorrupted(f"{where} cannot be read: {error}") from error
            raise StoreUnavailable(f"{where} did not answer: {_cause(error)}") from error
        except OSError as error:
            raise StoreUnavailable(f"{where} cannot be opened: {error}") from error


def write_ahead(db: sqlite3.Connection) -> None:
    """Put the file into write-ahead mode, where it is not. Raises `sqlite3.OperationalError` when others hold it.

    Others who do the same at this moment are waited for here: to spare them a deadlock, SQLite does not wait by itself
    where each would have to let the other go first.
    """
    until = time.monotonic() + _LONGEST_WAIT_SECONDS
    while True:
        try:
            db.execute("pragma journal_mode = wal")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_LOOK_AGAIN_SECONDS)
        else:
            return


def _cause(error: sqlite3.Error) -> str:
    """What went wrong, and what a person can do about it where SQLite's own words do not say."""
    match error.sqlite_errorcode & 0xFF:
        case sqlite3.SQLITE_BUSY:
            return f"{error}: another process holds it"
        case sqlite3.SQLITE_FULL:
            return f"{error}: make room, and what failed will be tried again"
        case _:
            return str(error)
