"""The embedded store's file: shared by processes, damaged, changed by hand, of a later version, out of reach."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from shared.errors import StateCorrupted, StoreUnavailable
from shared.state.listing import RunFilter
from shared.state.sqlite import SqliteState
from shared.state.sqlite_schema import SCHEMA_VERSION
from shared.status import RunStatus
from tests.support.documents import a_claim, a_run, after
from tests.support.host_process import ROOT


@pytest.fixture
async def make() -> AsyncIterator[Callable[[Path], SqliteState]]:
    """Makes stores, and closes them at the end."""
    made: list[SqliteState] = []

    def one(path: Path) -> SqliteState:
        made.append(SqliteState(path))
        return made[-1]

    yield one
    for store in made:
        await store.close()


def by_hand(path: Path, statement: str, *values: object) -> None:
    """Change the file as a person with a database tool would."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement, values)


async def test_nothing_is_touched_until_the_first_call(tmp_path: Path, make: Callable[[Path], SqliteState]) -> None:
    store = make(tmp_path / "a" / "b" / "state.db")
    assert not (tmp_path / "a").exists()
    await store.create_run(a_run())
    assert (tmp_path / "a" / "b" / "state.db").exists()


async def test_a_file_that_is_no_database_is_said_to_be_unreadable_and_left_alone(
    tmp_path: Path, make: Callable[[Path], SqliteState]
) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"these are my holiday photos" * 100)
    for _ in range(2):
        with pytest.raises(StateCorrupted, match=r"state\.db"):
            await make(path).read_run("run-1")
    assert path.read_bytes() == b"these are my holiday photos" * 100


async def test_a_file_of_a_later_version_is_refused_by_number_and_left_alone(
    tmp_path: Path, make: Callable[[Path], SqliteState]
) -> None:
    path = tmp_path / "state.db"
    by_hand(path, f"pragma user_version = {SCHEMA_VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(StateCorrupted, match=f"version {SCHEMA_VERSION + 1}.*reads {SCHEMA_VERSION}"):
        await make(path).create_run(a_run())
    assert path.read_bytes() == before


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path, make: Callable[[Path], SqliteState]) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        await make(tmp_path / "file" / "state.db").read_run("run-1")


async def test_a_path_that_is_a_folder_is_unavailable(tmp_path: Path, make: Callable[[Path], SqliteState]) -> None:
    with pytest.raises(StoreUnavailable):
        await make(tmp_path).read_run("run-1")


async def test_a_store_that_could_not_be_opened_opens_once_the_cause_is_gone(
    tmp_path: Path, make: Callable[[Path], SqliteState]
) -> None:
    obstacle = tmp_path / "file"
    obstacle.write_text("in the way")
    store = make(obstacle / "state.db")
    with pytest.raises(StoreUnavailable):
        await store.create_run(a_run())
    obstacle.unlink()
    assert await store.create_run(a_run()) is True


@pytest.mark.parametrize(
    "body",
    ["", "not json", "[]", "{}", '{"schema_version": 2}', '{"task_id": "run-1", "status": "dancing"}'],
)
async def test_a_run_changed_by_hand_is_a_clear_error_that_names_the_run(
    tmp_path: Path, make: Callable[[Path], SqliteState], body: str
) -> None:
    path = tmp_path / "state.db"
    store = make(path)
    await store.create_run(a_run())
    by_hand(path, "update runs set body = ?", body)
    with pytest.raises(StateCorrupted, match="run-1"):
        await store.read_run("run-1")
    with pytest.raises(StateCorrupted, match="run-1"):
        await store.advance_run("run-1", RunStatus.RUNNING, now=after(1))


async def test_a_step_changed_by_hand_is_a_clear_error_that_names_the_field(
    tmp_path: Path, make: Callable[[Path], SqliteState]
) -> None:
    path = tmp_path / "state.db"
    store = make(path)
    await store.create_run(a_run())
    await store.claim_step(a_claim())
    by_hand(path, "update steps set body = json_set(body, '$.attempt', 'many')")
    for call in (store.read_run("run-1"), store.claim_step(a_claim(owner="second"))):
        with pytest.raises(StateCorrupted, match="attempt"):
            await call


async def test_one_damaged_run_takes_no_other_with_it(tmp_path: Path, make: Callable[[Path], SqliteState]) -> None:
    path = tmp_path / "state.db"
    store = make(path)
    await store.create_run(a_run("damaged"))
    await store.create_run(a_run("whole"))
    by_hand(path, "update runs set body = 'x' where task_id = 'damaged'")
    with pytest.raises(StateCorrupted):
        await store.read_run("damaged")
    assert await store.read_run("whole") is not None


async def test_a_file_that_another_holds_is_waited_for(tmp_path: Path, make: Callable[[Path], SqliteState]) -> None:
    path = tmp_path / "state.db"
    store = make(path)
    await store.create_run(a_run())
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("begin immediate")
    call = asyncio.create_task(store.advance_run("run-1", RunStatus.RUNNING, now=after(1)))
    done, _ = await asyncio.wait([call], timeout=0.2)
    assert not done
    holder.execute("rollback")
    holder.close()
    assert (await call).status is RunStatus.RUNNING


async def test_a_reader_waits_for_no_writer(tmp_path: Path, make: Callable[[Path], SqliteState]) -> None:
    path = tmp_path / "state.db"
    store = make(path)
    await store.create_run(a_run())
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("begin immediate")
        holder.execute("update runs set status = 'half-written'")
        assert await store.read_run("run-1") is not None
        assert await store.read_log("run-1") is not None
        assert (await store.list_runs(RunFilter(), limit=5)).runs
        holder.execute("rollback")


async def test_a_full_disk_is_said_takes_nothing_away_and_is_over_once_there_is_room(
    tmp_path: Path, make: Callable[[Path], SqliteState]
) -> None:
    store = make(tmp_path / "state.db")
    await store.create_run(a_run())
    # SQLite's own limit of a file answers as a disk without room does.
    pages = await store._reading(lambda db: db.execute("pragma page_count").fetchone()[0])
    await store._reading(lambda db: db.execute(f"pragma max_page_count = {pages}").fetchone())
    with pytest.raises(StoreUnavailable, match="full: make room"):
        await store.create_run(a_run("too-much", input={"topic": "x" * 100_000}))
    assert await store.read_run("run-1") is not None
    assert await store.read_run("too-much") is None
    assert await store.read_log("too-much") is None
    await store._reading(lambda db: db.execute("pragma max_page_count = 1000000").fetchone())
    assert await store.create_run(a_run("too-much", input={"topic": "x" * 100_000})) is True


async def test_an_event_changed_by_hand_is_a_clear_error_that_names_the_run(
    tmp_path: Path, make: Callable[[Path], SqliteState]
) -> None:
    path = tmp_path / "state.db"
    store = make(path)
    await store.create_run(a_run())
    for body in ("{}", "not json", '{"kind": "run_exploded"}'):
        by_hand(path, "update events set body = ?", body)
        with pytest.raises(StateCorrupted, match="run-1"):
            await store.read_log("run-1")


async def test_the_event_loop_turns_while_the_disk_is_waited_for(
    tmp_path: Path, make: Callable[[Path], SqliteState]
) -> None:
    path = tmp_path / "state.db"
    store = make(path)
    await store.create_run(a_run())
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("begin immediate")
        call = asyncio.create_task(store.create_run(a_run("run-2")))
        turns = 0
        while turns < 50 and not call.done():
            await asyncio.sleep(0.001)
            turns += 1
        assert turns == 50
        holder.execute("rollback")
    assert await call is True


WRITER = """
import asyncio, sys
from pathlib import Path
from shared.state.sqlite import SqliteState
from tests.support.documents import a_claim, a_run

async def main(path, who):
    store = SqliteState(path)
    won = 0
    for number in range(20):
        await store.create_run(a_run(f"run-{number}"))
        decision = await store.claim_step(a_claim(task_id=f"run-{number}", owner=who))
        won += type(decision).__name__ == "Claimed"
    await store.close()
    print(won)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


def test_processes_that_begin_on_a_fresh_file_at_once_share_it_and_win_each_step_once(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), f"process-{number}"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    answers = [process.communicate(timeout=60) for process in processes]
    assert [errors for _, errors in answers] == [""] * 4
    assert sum(int(output) for output, _ in answers) == 20
