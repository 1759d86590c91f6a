"""Group commit: the writes of many callers share one transaction, and each caller hears of it once it is on disk.

Statements run on the event loop, where they only touch SQLite's page cache, in the order in which they were handed
in. What blocks, the COMMIT with its fsync, runs in the executor; what is handed in meanwhile waits and becomes the
next transaction. The order of effects is thus the order of the calls, whatever the timing. With an executor that runs
its work at once in the caller, every commit happens at the end of the loop's turn and nothing depends on threads.
"""

import asyncio
import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

from devhost.broker.errors import BrokerClosed, BrokerError, StoreFailed

# Work handed in during a commit runs in one go afterwards; this keeps such a burst from holding up the loop for long.
_BURST = 512

type Work[T] = Callable[[sqlite3.Connection], T]


class _Job[T]:
    """One caller's work, and the future that hears of its commit (none when nobody waits)."""

    __slots__ = ("_future", "_result", "_work")

    def __init__(self, work: Work[T], future: asyncio.Future[T] | None) -> None:
        self._work = work
        self._future = future
        self._result: T | None = None

    def run(self, connection: sqlite3.Connection) -> None:
        self._result = self._work(connection)

    def committed(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(self._result)  # type: ignore[arg-type]

    def failed(self, error: BrokerError) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_exception(error)
            # Looked at, so that a caller who has gone is not reported: what ended the store is kept by the store.
            self._future.exception()


class Store:
    """One connection, one transaction at a time. A failed commit ends the store: memory is then ahead of the disk."""

    def __init__(self, connection: sqlite3.Connection, executor: Executor | None = None) -> None:
        #: Called in each transaction just before it is committed.
        self.before_commit: Callable[[sqlite3.Connection], None] = lambda _: None
        #: Called once when the store has failed.
        self.on_failure: Callable[[BrokerError], None] = lambda _: None
        self._connection = connection
        self._executor = executor or ThreadPoolExecutor(1, thread_name_prefix="broker-commit")
        self._shut_down_executor = executor is None
        self._queued: deque[_Job[Any]] = deque()
        self._group: list[_Job[Any]] = []
        self._flight: asyncio.Future[None] | None = None
        self._closing: BrokerError | None = None
        self._ended: BrokerError | None = None
        self._released = False

    def check(self) -> None:
        """Raise what ended the store: `BrokerClosed` or `StoreFailed`."""
        error = self._ended or self._closing
        if error is not None:
            raise error

    def submit[T](self, work: Work[T]) -> asyncio.Future[T]:
        """Run `work` after everything handed in before; the future has its result once it is on disk.

        Cancelling the future takes nothing back. Raises, or the future does, `BrokerClosed` or `StoreFailed`.
        """
        self.check()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._hand_in(_Job(work, future))
        return future

    def post(self, work: Work[None]) -> None:
        """As `submit`, for work that nobody waits for: what later calls learn of it is on disk when they return."""
        self.check()
        self._hand_in(_Job(work, None))

    async def read[T](self, work: Work[T]) -> T:
        """Run `work`, which changes nothing, over everything handed in before; at once when nothing is under way."""
        self.check()
        if self._flight is None and not self._group:
            try:
                return work(self._connection)
            except sqlite3.Error as error:
                self._fail(error)
                self.check()
        return await self.submit(work)

    async def close(self) -> None:
        """Commit what was handed in, take nothing more, and release the file."""
        if self._ended is None and self._closing is None:
            last = self.submit(lambda _: None)
            self._closing = BrokerClosed("the broker is closed")
            with contextlib.suppress(BrokerError):
                await last
        await self.abort()

    async def abort(self) -> None:
        """Release the file as a crash would: what is not committed is gone, its callers get `BrokerClosed`."""
        if self._released:
            return
        self._released = True
        error = self._ended = self._ended or BrokerClosed("the broker is closed")
        if self._flight is not None:
            await asyncio.wait([self._flight])
        self._fail_all(error)
        await asyncio.get_running_loop().run_in_executor(self._executor, self._connection.close)
        if self._shut_down_executor:
            self._executor.shutdown(wait=False)

    def _hand_in(self, job: _Job[Any]) -> None:
        if self._flight is None and not self._queued:
            self._run(job)
        else:
            self._queued.append(job)

    def _run(self, job: _Job[Any]) -> None:
        try:
            if not self._group:
                self._connection.execute("BEGIN IMMEDIATE")
                asyncio.get_running_loop().call_soon(self._start_commit)
            self._group.append(job)
            job.run(self._connection)
        except Exception as error:
            self._fail(error)

    def _start_commit(self) -> None:
        if not self._group or self._flight is not None or self._ended is not None:
            return
        try:
            self.before_commit(self._connection)
        except Exception as error:
            self._fail(error)
            return
        commit = self._executor.submit(self._commit)
        if commit.done():
            self._landed(commit)
        else:
            self._flight = asyncio.wrap_future(commit)
            self._flight.add_done_callback(self._landed)

    def _commit(self) -> None:
        self._connection.execute("COMMIT")

    def _landed(self, flight: asyncio.Future[None] | Future[None]) -> None:
        self._flight = None
        error = flight.exception()
        if error is not None:
            self._fail(error)
            return
        group, self._group = self._group, []
        for job in group:
            job.committed()
        for _ in range(min(len(self._queued), _BURST)):
            if self._ended is None:
                self._run(self._queued.popleft())

    def _fail(self, cause: BaseException) -> None:
        if self._ended is not None:
            return
        self._ended = StoreFailed(f"a write failed and the broker has stopped; open it again: {cause!r}")
        self._ended.__cause__ = cause
        self._fail_all(self._ended)
        self.on_failure(self._ended)

    def _fail_all(self, error: BrokerError) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.rollback()
        jobs = [*self._group, *self._queued]
        self._group.clear()
        self._queued.clear()
        for job in jobs:
            job.failed(error)
