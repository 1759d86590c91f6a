"""The task hub's file: what cannot be used is refused and left alone, and a failing disk is never hidden."""

import sqlite3
from pathlib import Path

import pytest

from devhost.errors import StartError
from devhost.taskhub.engine.commits import StoreFailed
from devhost.taskhub.engine.schema import open_file
from tests.support.engine_ground import EngineGround
from tests.support.hub_app import make_app

# The SDK advises once in a process; an app's own tests would see the same.
pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")


def refused(path: Path) -> str:
    with pytest.raises(StartError) as refusal:
        open_file(path)
    return str(refusal.value)


def test_a_file_of_a_newer_version_is_refused_by_its_version_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "hub"
    connection = open_file(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    before = path.read_bytes()
    assert "newer version" in refused(path)
    assert "99" in refused(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "hub"
    path.write_bytes(b"not a database at all" * 100)
    assert "not a database" in refused(path)
    assert path.read_bytes() == b"not a database at all" * 100


def test_a_database_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "hub"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs(a)")
    other.commit()
    other.close()
    before = path.read_bytes()
    assert "another program" in refused(path)
    assert path.read_bytes() == before


def test_a_second_user_of_the_file_is_refused(tmp_path: Path) -> None:
    connection = open_file(tmp_path / "hub")
    assert "locked" in refused(tmp_path / "hub")
    connection.close()


def test_a_folder_where_the_file_should_be_is_refused(tmp_path: Path) -> None:
    assert "cannot be used" in refused(tmp_path)


async def test_a_call_whose_commit_fails_is_told_and_nothing_is_done_any_more(tmp_path: Path) -> None:
    ground = EngineGround(tmp_path / "hub", make_app())
    ground.start()
    told: list[Exception] = []
    ground.engine.on_failure = told.append
    kept = await ground.begin("waiter", instance_id="kept")
    ground.engine.context.commits.connection.execute("DROP TABLE inputs")
    with pytest.raises(StoreFailed, match="inputs"):
        await ground.begin("chain", "1", "lost")
    with pytest.raises(StoreFailed):
        await ground.begin("chain", "1", "later")
    assert ground.engine.context.journal.find("lost") is None
    assert ground.engine.context.journal.find(kept) is not None
    assert ["inputs" in str(error) for error in told] == [True]
    await ground.close()


async def test_an_engine_that_is_stopped_has_not_failed(tmp_path: Path) -> None:
    ground = EngineGround(tmp_path / "hub", make_app())
    told: list[Exception] = []
    ground.engine.on_failure = told.append
    ground.start()
    await ground.close()
    assert told == []


async def test_whoever_waits_when_a_commit_fails_is_told(tmp_path: Path) -> None:
    ground = EngineGround(tmp_path / "hub", make_app())
    ground.start()
    waiter = await ground.begin("waiter")
    await ground.still()
    waiting = ground.engine.context.instances.wait(waiter, finished=True)
    ground.engine.context.commits.connection.execute("DROP TABLE history")
    waiting.send(None)
    with pytest.raises(StoreFailed):
        await ground.raise_event(waiter, "go", "1")
    with pytest.raises(StoreFailed):
        waiting.send(None)
    await ground.close()


async def test_ids_never_come_twice_from_the_same_seed_over_the_lives_of_a_file(tmp_path: Path) -> None:
    given: list[str] = []
    for _ in range(3):
        ground = EngineGround(tmp_path / "hub", make_app(), seed=7)
        given += [ground.engine.context.ids.new() for _ in range(3)]
        ground.engine.die()
    assert len(set(given)) == 9


async def test_the_same_seed_gives_the_same_ids_on_a_new_file(tmp_path: Path) -> None:
    given: list[str] = []
    for name in ("a", "b"):
        ground = EngineGround(tmp_path / name, make_app(), seed=7)
        given.append(ground.engine.context.ids.new())
        ground.engine.die()
    assert given[0] == given[1]
