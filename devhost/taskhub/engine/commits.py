"""When a commit is due, and what waits for it.

A commit costs the disk's time, whatever it holds. So it waits until everything that could still join it has: until no
turn is about to run and nothing happened for some passes of the event loop, or until enough has been gathered. These
are counts and not times: the same work makes the same commits on a fast machine and on a slow one. Only a turn that
takes long, as it may on a thread of its own, is not waited for longer than `_PATIENCE`.

The COMMIT runs on the event loop, as everything else does. It blocks for one write to the disk.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from devhost.taskhub.engine.crash_points import CrashPoints
from devhost.taskhub.engine.pulse import Pulse

_log = logging.getLogger(__name__)

# Passes without anything new after which a commit happens: when somebody waits for it, and when nobody does. The calls
# of clients come some passes apart even when they were made at once, and a pass is far cheaper than a commit.
_LULL: Final = 6
_LONG_LULL: Final = 64
# Seconds of the machine's own time that a commit waits for a turn that is being run.
_PATIENCE: Final = 0.002
# Changes after which a commit happens whatever else is about to come.
_BATCH: Final = 256
_LONG_BATCH: Final = 512


class Part(Protocol):
    """Keeps something in tables of its own."""

    def write(self, connection: sqlite3.Connection) -> None:
        """Write all that has changed since the last call. A transaction is open; it is committed or all ends."""
        ...

    def committed(self) -> None:
        """What the last `write` wrote is on disk."""
        ...


class StoreFailed(Exception):
    """Nothing more is written: memory is ahead of the disk for good, or the hub was stopped."""


class Commits:
    """Writes the parts' changes, many together, and then lets go what waited for that."""

    def __init__(self, connection: sqlite3.Connection, pulse: Pulse, crash_points: CrashPoints) -> None:
        #: Outside a commit there is no open transaction: what is read here is on disk.
        self.connection = connection
        #: How many transactions were committed.
        self.count = 0
        #: Whether more work is being done that should be in the next commit; asked in each pass.
        self.may_grow: Callable[[], bool] = lambda: False
        self.failed: StoreFailed | None = None
        #: Called once when nothing more will be written.
        self.on_failure: Callable[[StoreFailed], None] = lambda _: None
        self._pulse = pulse
        self._crash_points = crash_points
        self._parts: Sequence[Part] = ()
        self._effects: list[Callable[[], None]] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._changes = 0
        self._quiet = 0
        self._forced: asyncio.TimerHandle | None = None
        pulse.listen(self._on_pass)

    def add(self, part: Part) -> None:
        """Write `part` too, after those added before."""
        self._parts = (*self._parts, part)

    @property
    def pending(self) -> bool:
        """Whether something is not yet on disk, or waits for that."""
        return bool(self._changes or self._effects or self._waiters)

    def changed(self) -> None:
        """Something has changed that the next commit must write."""
        if self.failed is None:
            self._changes += 1
            self._quiet = 0
            self._pulse.ring()

    def after(self, effect: Callable[[], None]) -> None:
        """Call `effect` once everything that has changed until now is on disk. Effects are called in order."""
        if self.failed is None:
            self._effects.append(effect)
            self._pulse.ring()

    def require_open(self) -> None:
        """Raise `StoreFailed` when nothing more will be written."""
        if self.failed is not None:
            raise self.failed

    async def settled(self) -> None:
        """Return once everything that has changed until now is on disk. Raises `StoreFailed`."""
        self.require_open()
        if not self.pending:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._pulse.ring()
        await waiter

    def commit(self) -> None:
        """Write what has changed, now."""
        if self._forced is not None:
            self._forced.cancel()
            self._forced = None
        if self.failed is not None:
            return
        self._quiet = 0
        effects, self._effects = self._effects, []
        waiters, self._waiters = self._waiters, []
        if self._changes:
            self._changes = 0
            try:
                self._write()
            except Exception as error:
                self._fail(error, waiters)
                return
            except BaseException:
                self._fail(None, waiters)
                raise
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        for effect in effects:
            try:
                effect()
            except Exception as error:
                self._fail(error, [])
                return
        self._crash_points.reached("effects-done")

    def check(self, task: asyncio.Task[None]) -> None:
        """Write nothing more if `task`, which changes what is in memory, broke off half-way."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error if isinstance(error, Exception) else None, [])

    def abort(self) -> None:
        """End as a crash would: what is not committed is gone, those who wait are told, the file is released."""
        self._fail(None, [])
        self.connection.close()

    def _write(self) -> None:
        self._crash_points.reached("commit-begins")
        self.connection.execute("BEGIN IMMEDIATE")
        for part in self._parts:
            part.write(self.connection)
        self._crash_points.reached("commit-written")
        self.connection.execute("COMMIT")
        self.count += 1
        self._crash_points.reached("commit-done")
        for part in self._parts:
            part.committed()

    def _fail(self, error: Exception | None, waiters: list[asyncio.Future[None]]) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.connection.rollback()
        if self.failed is None:
            reason = "the task hub stops" if error is None else f"the task hub has failed: {error!r}"
            self.failed = StoreFailed(reason)
            self.failed.__cause__ = error
            if error is not None:
                _log.critical("%s; start the host again to go on from what is on disk", reason, exc_info=error)
            self.on_failure(self.failed)
        for waiter in (*waiters, *self._waiters):
            if not waiter.done():
                waiter.set_exception(self.failed)
                # Looked at, so that a caller who has gone is not reported.
                waiter.exception()
        self._waiters = []
        self._effects = []
        self._changes = 0

    def _on_pass(self) -> bool:
        if self.failed is not None or not self.pending:
            return False
        self._quiet += 1
        awaited = bool(self._effects or self._waiters)
        if self._changes >= (_BATCH if awaited else _LONG_BATCH):
            self.commit()
        elif self._quiet > _LULL and self.may_grow():
            if self._forced is None:
                self._forced = asyncio.get_running_loop().call_later(_PATIENCE, self.commit)
            return False
        elif self._quiet > (_LULL if awaited else _LONG_LULL):
            self.commit()
        return self.pending
