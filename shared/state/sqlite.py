"""The embedded twin of the state store: one SQLite file, in write-ahead mode, safe for several processes at once.

Documents are kept as they are, beside the events that they add up to: the disk is cheap here, and a read is a lookup.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from shared.contracts import AgentResult, RunResult
from shared.errors import ClaimLost
from shared.sqlite_file import SqliteFile
from shared.state import sqlite_lists
from shared.state.charges import Charges
from shared.state.decisions import (
    ClaimDecision,
    Claimed,
    ClaimRequest,
    NotWanted,
    decide_advance,
    decide_call_off,
    decide_claim,
    decide_record,
    decide_release,
    decide_renewal,
    is_taken_over,
    why_unwanted,
)
from shared.state.documents import Attempt, RunDocument, RunRecord, StepDocument, is_task_id
from shared.state.events import EventLog, NumberedEvent, OfRun, OfStep, RunCreated, StepClaimed
from shared.state.listing import RunFilter, RunPage, summary_of
from shared.state.projection import apply_to_run, apply_to_step, replayed
from shared.state.sqlite_schema import (
    append_event,
    insert_agents,
    insert_run,
    insert_step,
    microseconds,
    open_file,
    read_document,
)
from shared.status import RunStatus


class SqliteState:
    """Runs in the SQLite file at `path`, opened on first use. `charges` counts its reads and writes; they are free."""

    def __init__(self, path: Path) -> None:
        self.charges = Charges()
        self._file = SqliteFile(path, open_file, what="state store")

    async def create_run(self, run: RunDocument) -> bool:
        """Insert unless the id is taken; see `StateStore.create_run`."""

        def work(db: sqlite3.Connection) -> bool:
            if _is_taken(db, run.task_id):
                return False
            insert_run(db, run, microseconds(run))
            append_event(db, run.task_id, RunCreated(at=run.created_at, run=run))
            return True

        return await self._writing(work)

    async def read_run(self, task_id: str) -> RunRecord | None:
        """One run and its steps; see `StateStore.read_run`."""

        def work(db: sqlite3.Connection) -> RunRecord | None:
            run = _run(db, task_id)
            if run is None:
                return None
            rows = db.execute("select body from steps where task_id = ? order by position", (task_id,))
            return RunRecord(run=run, steps=tuple(read_document(StepDocument, body, task_id) for (body,) in rows))

        return await self._reading(work)

    async def advance_run(
        self, task_id: str, to: RunStatus, *, now: datetime, result: RunResult | None = None
    ) -> RunDocument:
        """Move a run on; see `StateStore.advance_run`."""

        def work(db: sqlite3.Connection) -> RunDocument:
            run = _run(db, task_id)
            event = decide_advance(run, task_id, to, result, now)
            if isinstance(event, RunDocument):
                return event
            moved = _write_run(db, task_id, run, event)
            position = db.execute("select position from runs where task_id = ?", (task_id,)).fetchone()[0]
            insert_agents(db, summary_of(moved).agents, position)
            return moved

        return await self._writing(work)

    async def call_off(self, task_id: str, step_ids: Sequence[str], *, now: datetime) -> None:
        """Go on without steps; see `StateStore.call_off`."""

        def work(db: sqlite3.Connection) -> None:
            run = _run(db, task_id)
            event = decide_call_off(run, task_id, step_ids, now)
            if event is not None:
                _write_run(db, task_id, run, event)

        await self._writing(work)

    async def claim_step(self, request: ClaimRequest) -> ClaimDecision:
        """Claim a step; see `StateStore.claim_step`."""

        def work(db: sqlite3.Connection) -> ClaimDecision:
            step = _step(db, request.task_id, request.step_id)
            decision = decide_claim(_run(db, request.task_id), step, request)
            if not isinstance(decision, StepClaimed):
                return decision
            claimed = _write_step(db, request.task_id, step, decision)
            return Claimed(claimed, taken_over=is_taken_over(step))

        return await self._writing(work)

    async def renew_step(
        self, task_id: str, step_id: str, *, owner: str, lease_until: datetime, now: datetime
    ) -> NotWanted | None:
        """Keep a claim; see `StateStore.renew_step`."""

        def work(db: sqlite3.Connection) -> NotWanted | None:
            run, step = _run(db, task_id), _step(db, task_id, step_id)
            event = decide_renewal(step, owner, lease_until, now)
            if run is None:
                raise ClaimLost(f"run {task_id} is gone")
            _write_step(db, task_id, step, event)
            return why_unwanted(run, step_id)

        return await self._writing(work)

    async def record_step(self, task_id: str, step_id: str, *, owner: str, result: AgentResult, now: datetime) -> None:
        """Write a result; see `StateStore.record_step`."""

        def work(db: sqlite3.Connection) -> None:
            step = _step(db, task_id, step_id)
            event = decide_record(step, owner, result, now)
            if event is not None:
                _write_step(db, task_id, step, event)

        await self._writing(work)

    async def release_step(self, task_id: str, step_id: str, *, owner: str, attempt: Attempt) -> None:
        """Give a claim back; see `StateStore.release_step`."""

        def work(db: sqlite3.Connection) -> None:
            step = _step(db, task_id, step_id)
            event = decide_release(step, owner, attempt)
            if event is not None:
                _write_step(db, task_id, step, event)

        await self._writing(work)

    async def read_log(self, task_id: str) -> EventLog | None:
        """The log of a run; see `StateStore.read_log`."""

        def work(db: sqlite3.Connection) -> EventLog | None:
            if not is_task_id(task_id):
                return None
            rows = db.execute("select sequence, body from events where task_id = ? order by sequence", (task_id,))
            events = tuple(_numbered(sequence, body, task_id) for sequence, body in rows)
            return EventLog(task_id=task_id, events=events) if events else None

        return await self._reading(work)

    async def list_runs(self, asked: RunFilter, *, limit: int, continuation: str | None = None) -> RunPage:
        """A page of runs; see `StateStore.list_runs`."""
        return await self._reading(lambda db: sqlite_lists.page(db, asked, limit, continuation))

    async def count_runs(self, asked: RunFilter) -> Mapping[RunStatus, int]:
        """Runs by status; see `StateStore.count_runs`."""
        return await self._reading(lambda db: sqlite_lists.counts(db, asked))

    async def import_run(self, log: EventLog) -> bool:
        """Store a run with its log; see `StateStore.import_run`."""
        record = replayed(log)

        def work(db: sqlite3.Connection) -> bool:
            if _is_taken(db, log.task_id):
                return False
            insert_run(db, record.run, microseconds(record.run))
            for step in record.steps:
                insert_step(db, step)
            for numbered in log.events:
                append_event(db, log.task_id, numbered.event)
            return True

        return await self._writing(work)

    async def purge_run(self, task_id: str) -> int:
        """Remove a run; see `StateStore.purge_run`."""

        def work(db: sqlite3.Connection) -> int:
            if not is_task_id(task_id) or not _is_taken(db, task_id):
                return 0
            row = db.execute("select position from runs where task_id = ?", (task_id,)).fetchone()
            steps = db.execute("delete from steps where task_id = ?", (task_id,)).rowcount
            db.execute("delete from events where task_id = ?", (task_id,))
            db.execute("delete from run_agents where position = ?", row)
            db.execute("delete from run_words where rowid = ?", row)
            db.execute("delete from runs where position = ?", row)
            return 1 + steps

        return await self._writing(work)

    async def close(self) -> None:
        """Close the file."""
        await self._file.close()

    async def _writing[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        self.charges.add("write", None, 0.0)
        return await self._file.write(work)

    async def _reading[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        self.charges.add("read", None, 0.0)
        return await self._file.read(work)


def _is_taken(db: sqlite3.Connection, task_id: str) -> bool:
    return db.execute("select 1 from runs where task_id = ?", (task_id,)).fetchone() is not None


def _run(db: sqlite3.Connection, task_id: str) -> RunDocument | None:
    if not is_task_id(task_id):
        return None
    row = db.execute("select body from runs where task_id = ?", (task_id,)).fetchone()
    return read_document(RunDocument, row[0], task_id) if row else None


def _step(db: sqlite3.Connection, task_id: str, step_id: str) -> StepDocument | None:
    row = db.execute("select body from steps where task_id = ? and step_id = ?", (task_id, step_id)).fetchone()
    return read_document(StepDocument, row[0], task_id) if row else None


def _numbered(sequence: int, body: str, task_id: str) -> NumberedEvent:
    return read_document(NumberedEvent, f'{{"sequence": {sequence}, "event": {body}}}', task_id)


def _write_run(db: sqlite3.Connection, task_id: str, run: RunDocument | None, event: OfRun) -> RunDocument:
    changed = apply_to_run(run, event)
    db.execute(
        "update runs set status = ?, summary = ?, body = ? where task_id = ?",
        (changed.status, summary_of(changed).model_dump_json(), changed.model_dump_json(), task_id),
    )
    append_event(db, task_id, event)
    return changed


def _write_step(db: sqlite3.Connection, task_id: str, step: StepDocument | None, event: OfStep) -> StepDocument:
    changed = apply_to_step(task_id, step, event)
    insert_step(db, changed)
    append_event(db, task_id, event)
    return changed
