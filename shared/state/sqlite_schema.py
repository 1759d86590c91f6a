"""The tables of the embedded state store, and how a file of an earlier version is brought to this one."""

import sqlite3
from contextlib import closing
from pathlib import Path

from pydantic import BaseModel, ValidationError

from shared.errors import StateCorrupted
from shared.sqlite_file import write_ahead
from shared.state.documents import RunDocument, StepDocument
from shared.state.events import RunEvent, RunFound, StepFound
from shared.state.listing import search_words, summary_of

SCHEMA_VERSION = 2
"""1 had the tables `runs` and `steps` and kept no log."""

_TABLES = """
-- `position` is the run's place in every list. The body is last: a list reads a row up to it.
create table runs (
    position integer primary key, task_id text not null unique, type text not null, status text not null,
    summary text not null, body text not null
);
create index runs_by_status on runs (status, position);
create index runs_by_type on runs (type, position);
create table run_agents (agent text not null, position integer not null, primary key (agent, position)) without rowid;
create index run_agents_by_run on run_agents (position);
-- Its rowid is the run's position. Words come to it in the form in which they are compared, so that what parts them
-- here, whatever in ASCII is no letter or digit, parts nothing but them.
create virtual table run_words using fts5 (words, tokenize = 'ascii');
create table steps (
    task_id text not null, step_id text not null, position integer not null, status text not null, body text not null,
    primary key (task_id, step_id)
) without rowid;
create table events (
    task_id text not null, sequence integer not null, body text not null, primary key (task_id, sequence)
) without rowid;
"""
_RUNS_PER_MICROSECOND = 1024


def open_file(path: Path) -> sqlite3.Connection:
    """A connection to the store at `path`, made or brought up to date where it must be.

    Raises `StateCorrupted` for a file of a later version, which is left as it is, and what `sqlite3` raises.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=10, isolation_level=None)
    try:
        _prepare(db, path)
    except BaseException:
        db.close()
        raise
    return db


def read_document[D: BaseModel](contract: type[D], body: str, task_id: str) -> D:
    """A stored text as a document. Raises `StateCorrupted`, which names the run and the field."""
    try:
        return contract.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        kind = contract.__name__
        raise StateCorrupted(f"a {kind} of run {task_id} cannot be read: {where}: {first['msg']}") from None


def position_at(microseconds: int) -> int:
    """The first position in lists of a run that was created so many microseconds after 1970."""
    return microseconds * _RUNS_PER_MICROSECOND


def insert_run(db: sqlite3.Connection, run: RunDocument, microseconds: int) -> None:
    """Insert a run that is not there yet, with all by which it is found."""
    position = _free_position(db, microseconds)
    summary = summary_of(run)
    db.execute(
        "insert into runs values (?, ?, ?, ?, ?, ?)",
        (position, run.task_id, run.type, run.status, summary.model_dump_json(), run.model_dump_json()),
    )
    db.execute("insert into run_words (rowid, words) values (?, ?)", (position, " ".join(search_words(run))))
    insert_agents(db, summary.agents, position)


def insert_agents(db: sqlite3.Connection, agents: tuple[str, ...], position: int) -> None:
    """Let the run at `position` be found by these agents too."""
    db.executemany("insert or ignore into run_agents values (?, ?)", [(agent, position) for agent in agents])


def insert_step(db: sqlite3.Connection, step: StepDocument) -> None:
    """Insert a step after the others of its run, or write over what it was."""
    db.execute(
        "insert into steps values (?, ?, (select count(*) from steps where task_id = ?), ?, ?)"
        " on conflict do update set status = excluded.status, body = excluded.body",
        (step.task_id, step.step_id, step.task_id, step.status, step.model_dump_json()),
    )


def append_event(db: sqlite3.Connection, task_id: str, event: RunEvent) -> None:
    """Write an event under the next number of its run's log."""
    db.execute(
        "insert into events values (?, (select coalesce(max(sequence), 0) + 1 from events where task_id = ?), ?)",
        (task_id, task_id, event.model_dump_json()),
    )


def microseconds(run: RunDocument) -> int:
    """When a run was created, in microseconds after 1970; exact, as a float would not be."""
    seconds = int(run.created_at.replace(microsecond=0).timestamp())
    return seconds * 1_000_000 + run.created_at.microsecond


def _free_position(db: sqlite3.Connection, microseconds: int) -> int:
    """The place of a new run in the lists: by the time it was created, then by the order in which they came."""
    first = position_at(microseconds)
    taken = db.execute(
        "select max(position) from runs where position between ? and ?", (first, first + _RUNS_PER_MICROSECOND - 1)
    ).fetchone()[0]
    position = first if taken is None else int(taken) + 1
    while db.execute("select 1 from runs where position = ?", (position,)).fetchone():
        position += 1
    return position


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    # Nothing may be written before this: a file of a later version is kept in another way.
    if _version(db, path) == SCHEMA_VERSION:
        db.execute("pragma synchronous = full")
        return
    write_ahead(db)
    db.execute("pragma synchronous = full")
    db.execute("begin immediate")
    with db:
        # Another process may have been faster since.
        found = _version(db, path)
        if found == 0:
            _create_tables(db)
        elif found == 1:
            _begin_logs(db)


def _version(db: sqlite3.Connection, path: Path) -> int:
    found = int(db.execute("pragma user_version").fetchone()[0])
    if found > SCHEMA_VERSION or found < 0:
        raise StateCorrupted(f"the state store at {path} has schema version {found}; this app reads {SCHEMA_VERSION}")
    return found


def _create_tables(db: sqlite3.Connection) -> None:
    # Not as a script: that would end the transaction.
    for statement in _TABLES.split(";"):
        db.execute(statement)
    db.execute(f"pragma user_version = {SCHEMA_VERSION}")


def _begin_logs(db: sqlite3.Connection) -> None:
    """From version 1: the log of each run begins with the run and the steps as they are found."""
    db.execute("alter table runs rename to runs_1")
    db.execute("alter table steps rename to steps_1")
    _create_tables(db)
    with closing(db.execute("select task_id, body from runs_1")) as runs:
        for task_id, body in runs:
            run = read_document(RunDocument, body, task_id)
            insert_run(db, run, microseconds(run))
            append_event(db, task_id, RunFound(at=run.updated_at, run=run))
    with closing(db.execute("select task_id, body from steps_1 order by task_id, position")) as steps:
        for task_id, body in steps:
            step = read_document(StepDocument, body, task_id)
            insert_step(db, step)
            at = step.completed_at or step.started_at
            append_event(db, task_id, StepFound(at=at, step_id=step.step_id, step=step))
    db.execute("drop table runs_1")
    db.execute("drop table steps_1")
