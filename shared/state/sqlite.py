"""The embedded twin of the state store: one SQLite file, in write-ahead mode, safe for several processes at once.

One thread owns the connection and makes one call after another, so that the disk never holds up the event loop and
a call that is cancelled cannot leave its transaction to the next one. A write is on disk when its call returns.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ValidationError

from shared.contracts import AgentResult, RunResult
from shared.errors import StateCorrupted, StoreUnavailable
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
_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


class SqliteState:
    """Runs in the SQLite file at `path`, opened on first use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="state")

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
            return RunRecord(run=run, steps=tuple(_document(StepDocument, body, task_id) for (body,) in rows))

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
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _in_transaction[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run_in_transaction, work)

    def _run_in_transaction[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = _open(self._path)
            self._connection.execute("begin immediate")
            with self._connection:
                return work(self._connection)
        except sqlite3.Error as error:
            if error.sqlite_errorcode in _DAMAGED:
                raise StateCorrupted(f"the state store at {self._path} cannot be read: {error}") from error
            raise StoreUnavailable(f"the state store at {self._path} did not answer: {error}") from error
        except OSError as error:
            raise StoreUnavailable(f"the state store at {self._path} cannot be opened: {error}") from error


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=10, isolation_level=None)
    try:
        _prepare(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    found = db.execute("pragma user_version").fetchone()[0]
    if found not in (0, SCHEMA_VERSION):
        # Nothing may be written before this: the file belongs to a version that keeps it in another way.
        raise StateCorrupted(f"the state store at {path} has schema version {found}; this app reads {SCHEMA_VERSION}")
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = full")
    if found == 0:
        db.executescript(_SCHEMA)
        db.execute(f"pragma user_version = {SCHEMA_VERSION}")


def _document[D: BaseModel](contract: type[D], body: str, task_id: str) -> D:
    try:
        return contract.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        kind = contract.__name__
        raise StateCorrupted(f"a {kind} of run {task_id} cannot be read: {where}: {first['msg']}") from None


def _run(db: sqlite3.Connection, task_id: str) -> RunDocument | None:
    row = db.execute("select body from runs where task_id = ?", (task_id,)).fetchone()
    return _document(RunDocument, row[0], task_id) if row else None


def _step(db: sqlite3.Connection, task_id: str, step_id: str) -> StepDocument | None:
    row = db.execute("select body from steps where task_id = ? and step_id = ?", (task_id, step_id)).fetchone()
    return _document(StepDocument, row[0], task_id) if row else None


def _write_step(db: sqlite3.Connection, step: StepDocument) -> None:
    db.execute(
        "insert into steps values (?, ?, (select count(*) from steps where task_id = ?), ?, ?)"
        " on conflict do update set status = excluded.status, body = excluded.body",
        (step.task_id, step.step_id, step.task_id, step.status, step.model_dump_json()),
    )
