"""A file that an earlier version wrote: brought up to date once, with everything in it, or left as it is."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from shared.errors import StateCorrupted
from shared.state.decisions import Claimed
from shared.state.listing import RunFilter
from shared.state.projection import replay
from shared.state.sqlite import SqliteState
from shared.state.sqlite_schema import SCHEMA_VERSION
from shared.status import RunStatus
from tests.support.documents import a_claim, a_result, a_run, a_run_result, after
from tests.support.run_histories import RandomLife

# As version 1 made them.
VERSION_1 = """
create table runs (
    task_id text primary key, type text not null, status text not null, created_at text not null, body text not null
) without rowid;
create table steps (
    task_id text not null, step_id text not null, position integer not null, status text not null, body text not null,
    primary key (task_id, step_id)
) without rowid;
pragma user_version = 1;
"""


async def a_file_of_version_1(folder: Path) -> Path:
    """A file with two runs: one in the middle of its life, one that is over."""
    newer = SqliteState(folder / "newer.db")
    life = RandomLife(newer, 11)
    await life.begin()
    await life.go_on(12)
    await newer.create_run(a_run("run-2", created_at=after(-60)))
    await newer.advance_run("run-2", RunStatus.COMPLETED, now=after(1), result=a_run_result())
    await newer.close()
    path = folder / "state.db"
    with closing(sqlite3.connect(path)) as db, closing(sqlite3.connect(folder / "newer.db")) as other:
        db.executescript(VERSION_1)
        with db:
            for row in other.execute("select task_id, type, status, body from runs"):
                db.execute("insert into runs values (?, ?, ?, 'x', ?)", row)
            db.executemany("insert into steps values (?, ?, ?, ?, ?)", other.execute("select * from steps"))
    return path


async def test_a_file_of_version_1_keeps_every_run_and_step_and_is_found_in_lists(tmp_path: Path) -> None:
    path = await a_file_of_version_1(tmp_path)
    old, new = SqliteState(path), SqliteState(tmp_path / "newer.db")
    for task_id in ("run-1", "run-2"):
        assert await old.read_run(task_id) == await new.read_run(task_id)
    assert await old.list_runs(RunFilter(text="tides"), limit=5) == await new.list_runs(
        RunFilter(text="tides"), limit=5
    )
    await old.close()
    await new.close()


async def test_the_log_of_a_run_of_version_1_begins_with_what_was_found_and_adds_up_to_it(tmp_path: Path) -> None:
    store = SqliteState(await a_file_of_version_1(tmp_path))
    log, record = await store.read_log("run-1"), await store.read_run("run-1")
    assert log is not None
    assert record is not None
    kinds = [numbered.event.kind for numbered in log.events]
    assert kinds == ["run_found"] + ["step_found"] * len(record.steps)
    assert replay(log.events) == record
    await store.close()


async def test_a_run_of_version_1_goes_on(tmp_path: Path) -> None:
    store = SqliteState(await a_file_of_version_1(tmp_path))
    await store.create_run(a_run("run-3"))
    assert isinstance(await store.claim_step(a_claim(task_id="run-3")), Claimed)
    claim = a_claim("editor", owner="late", at=99_999)
    if isinstance(await store.claim_step(claim), Claimed):
        await store.record_step("run-1", "editor", owner="late", result=a_result(), now=after(99_999))
    log = await store.read_log("run-1")
    assert log is not None
    assert replay(log.events) == await store.read_run("run-1")
    await store.close()


async def test_hosts_that_open_a_file_of_version_1_at_once_bring_it_up_to_date_once(tmp_path: Path) -> None:
    path = await a_file_of_version_1(tmp_path)
    stores = [SqliteState(path) for _ in range(4)]
    logs = await asyncio.gather(*(store.read_log("run-1") for store in stores))
    assert all(log == logs[0] and log is not None for log in logs)
    for store in stores:
        await store.close()


async def test_a_file_of_version_1_with_a_damaged_run_is_refused_by_name_and_left_as_it_is(tmp_path: Path) -> None:
    path = await a_file_of_version_1(tmp_path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("update runs set body = '{}' where task_id = 'run-2'")
    store = SqliteState(path)
    with pytest.raises(StateCorrupted, match="run-2"):
        await store.read_run("run-1")
    await store.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("pragma user_version").fetchone() == (1,)
        assert db.execute("select count(*) from runs").fetchone() == (2,)


async def test_a_file_that_was_brought_up_to_date_has_this_version(tmp_path: Path) -> None:
    path = await a_file_of_version_1(tmp_path)
    store = SqliteState(path)
    await store.read_run("run-1")
    await store.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("pragma user_version").fetchone() == (SCHEMA_VERSION,)
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)


async def test_a_crowd_that_opens_a_file_of_version_1_at_once_waits_for_each_other(tmp_path: Path) -> None:
    """SQLite gives up at once where two connections go over to write-ahead mode; so often, one always met another."""
    path = await a_file_of_version_1(tmp_path)
    for number in range(20):
        copy = tmp_path / f"copy-{number}.db"
        copy.write_bytes(path.read_bytes())
        stores = [SqliteState(copy) for _ in range(8)]
        records = await asyncio.gather(*(store.read_run("run-1") for store in stores))
        assert all(record == records[0] and record is not None for record in records)
        for store in stores:
            await store.close()
