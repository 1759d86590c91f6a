"""The embedded twin of the state store: one SQLite file, in write-ahead mode, safe for several processes at once.

A call runs in a worker thread, so that the disk never holds up the event loop; a lock keeps the one connection to
one call at a time. A write is on disk when its call returns.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from shared.contracts import AgentResult, RunResult
from shared.errors import StoreUnavailable
from shared.state.decisions import (
    ClaimDecision,
    Claimed,
    ClaimRequest,
    decide_advance,
    decide_claim,
    decide_record,
    decide_release,
)
from shared.state.documents import Attempt, RunDocument, RunRecord, StepDocument
from shared.status import RunStatus

SCHEMA_VERSION = 1
_SCHEMA = """
create table if not exists runs (
    task_id text primary key, type text not null, status text not null, created_at text not null, body text not null
) without rowid;
create table if not exists steps (
    task_id text not null, step_id text not null, position integer not null, status text not null, body text not null,
    primary key (task_id, step_id)
) without rowid;
"""


class SqliteState:
    """Runs in the SQLite file at `path`, opened on first use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._turn = asyncio.Lock()

    async def create_run(self, run: RunDocument) -> bool:
        """Insert unless the id is taken; see `StateStore.create_run`."""

        def work(db: sqlite3.Connection) -> bool:
            cursor = db.execute(
                "insert into runs values (?, ?, ?, ?, ?) on conflict do nothing",
                (run.task_id, run.type, run.status, run.created_at.isoformat(), run.model_dump_json()),
            )
            return cursor.rowcount == 1

        return await self._in_transaction(work)

    async def read_run(self, task_id: str) -> RunRecord | None:
        """One run and its steps; see `StateStore.read_run`."""

        def work(db: sqlite3.Connection) -> RunRecord | None:
            run = _run(db, task_id)
            if run is None:
                return None
            rows = db.execute("select body from steps where task_id = ? order by position", (task_id,))
            return RunRecord(run=run, steps=tuple(StepDocument.model_validate_json(body) for (body,) in rows))

        return await self._in_transaction(work)

    async def advance_run(
        self, task_id: str, to: RunStatus, *, now: datetime, result: RunResult | None = None
    ) -> RunDocument:
        """Move a run on; see `StateStore.advance_run`."""

        def work(db: sqlite3.Connection) -> RunDocument:
            moved = decide_advance(_run(db, task_id), task_id, to, result, now)
            db.execute(
                "update runs set status = ?, body = ? where task_id = ?",
                (moved.status, moved.model_dump_json(), task_id),
            )
            return moved

        return await self._in_transaction(work)

    async def claim_step(self, request: ClaimRequest) -> ClaimDecision:
        """Claim a step; see `StateStore.claim_step`."""

        def work(db: sqlite3.Connection) -> ClaimDecision:
            step = _step(db, request.task_id, request.step_id)
            decision = decide_claim(_run(db, request.task_id), step, request)
            if isinstance(decision, Claimed):
                _write_step(db, decision.step)
            return decision

        return await self._in_transaction(work)

    async def record_step(self, task_id: str, step_id: str, *, owner: str, result: AgentResult, now: datetime) -> None:
        """Write a result; see `StateStore.record_step`."""

        def work(db: sqlite3.Connection) -> None:
            _write_step(db, decide_record(_step(db, task_id, step_id), owner, result, now))

        await self._in_transaction(work)

    async def release_step(self, task_id: str, step_id: str, *, owner: str, attempt: Attempt) -> None:
        """Give a claim back; see `StateStore.release_step`."""

        def work(db: sqlite3.Connection) -> None:
            _write_step(db, decide_release(_step(db, task_id, step_id), owner, attempt))

        await self._in_transaction(work)

    async def close(self) -> None:
        """Close the file."""
        async with self._turn:
            if self._connection is not None:
                await asyncio.to_thread(self._connection.close)
                self._connection = None

    async def _in_transaction[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        async with self._turn:
            return await asyncio.to_thread(self._run_in_transaction, work)

    def _run_in_transaction[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = _open(self._path)
            self._connection.execute("begin immediate")
            with self._connection:
                return work(self._connection)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the state store at {self._path} did not answer: {error}") from error
        except OSError as error:
            raise StoreUnavailable(f"the state store at {self._path} cannot be opened: {error}") from error


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = full")
    db.executescript(_SCHEMA)
    found = db.execute("pragma user_version").fetchone()[0]
    if found not in (0, SCHEMA_VERSION):
        db.close()
        raise StoreUnavailable(f"the state store at {path} has schema version {found}; this app reads {SCHEMA_VERSION}")
    db.execute(f"pragma user_version = {SCHEMA_VERSION}")
    return db


def _run(db: sqlite3.Connection, task_id: str) -> RunDocument | None:
    row = db.execute("select body from runs where task_id = ?", (task_id,)).fetchone()
    return RunDocument.model_validate_json(row[0]) if row else None


def _step(db: sqlite3.Connection, task_id: str, step_id: str) -> StepDocument | None:
    row = db.execute("select body from steps where task_id = ? and step_id = ?", (task_id, step_id)).fetchone()
    return StepDocument.model_validate_json(row[0]) if row else None


def _write_step(db: sqlite3.Connection, step: StepDocument) -> None:
    db.execute(
        "insert into steps values (?, ?, (select count(*) from steps where task_id = ?), ?, ?)"
        " on conflict do update set status = excluded.status, body = excluded.body",
        (step.task_id, step.step_id, step.task_id, step.status, step.model_dump_json()),
    )
