"""The file: who may open it, and what is refused untouched."""

import multiprocessing
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from devhost.broker.errors import StoreInUse, StoreUnreadable
from devhost.broker.schema import key_range, message_key, open_file, split_key
from tests.support.brokers import Bench, message, shown


def test_keys_keep_queues_apart_and_numbers_in_order() -> None:
    assert split_key(message_key(3, 2**40 - 1)) == (3, 2**40 - 1)
    low, high = key_range(3)
    assert low <= message_key(3, 1) < message_key(3, 2) <= high < message_key(4, 1)


def _try_to_open(path: Path, answers: "multiprocessing.Queue[str]") -> None:
    try:
        open_file(path).close()
        answers.put("opened")
    except StoreInUse as error:
        answers.put(str(error))


def test_a_second_process_is_refused_and_the_first_is_unharmed(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[str] = context.Queue()
    with closing(open_file(path)) as connection:
        process = context.Process(target=_try_to_open, args=(path, answers))
        process.start()
        assert answers.get(timeout=30) == f"{path} is in use by another process; a broker's file has one user at a time"
        process.join()
        connection.execute("INSERT INTO seen(key,digest,at) VALUES(1,x'00',0)")
    with closing(open_file(path)) as connection:
        assert connection.execute("SELECT count(*) FROM seen").fetchone() == (1,)


def test_a_second_broker_in_this_process_is_refused_too(tmp_path: Path) -> None:
    with closing(open_file(tmp_path / "b.db")), pytest.raises(StoreInUse):
        open_file(tmp_path / "b.db")


def test_another_programs_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE mine(x)")
    before = path.read_bytes()
    with pytest.raises(StoreUnreadable, match=r"other.db is a database of another program"):
        open_file(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("remember the milk " * 500)
    before = path.read_bytes()
    with pytest.raises(StoreUnreadable, match=r"notes.txt cannot be read: file is not a database"):
        open_file(path)
    assert path.read_bytes() == before


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    with closing(open_file(path)) as connection:
        connection.execute("PRAGMA user_version=9")
    with pytest.raises(StoreUnreadable, match=r"written by another version \(9, not 1\)"):
        open_file(path)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreadable, match=r"nowhere/b.db"):
        open_file(tmp_path / "nowhere" / "b.db")


def test_an_empty_file_becomes_a_brokers(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    path.touch()
    open_file(path).close()
    open_file(path).close()


def test_commits_reach_the_disk_before_they_are_acknowledged(tmp_path: Path) -> None:
    with closing(open_file(tmp_path / "b.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


async def test_a_damaged_file_is_refused_with_a_clear_word(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message("x" * 2000) for _ in range(50)])
    await broker.close()
    data = bytearray(bench.path.read_bytes())
    for page in range(1, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    bench.path.write_bytes(data)
    with pytest.raises(StoreUnreadable, match=r"broker.db (cannot be read|is damaged)"):
        await bench.open()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entities SET options='{}' WHERE path='q'",
        "UPDATE entities SET options='not json' WHERE path='q'",
        "UPDATE entities SET kind='teapot' WHERE path='q'",
        "UPDATE entities SET dead_letters=NULL WHERE path='q'",
        "UPDATE messages SET state=77",
        "DROP TABLE deliveries",
    ],
)
async def test_contents_that_make_no_sense_are_refused_with_a_clear_word(bench: Bench, statement: str) -> None:
    broker = await bench.open()
    await broker.send("q", [message()])
    await broker.close()
    with closing(sqlite3.connect(bench.path)) as connection, connection:
        connection.execute(statement)
    with pytest.raises(StoreUnreadable):
        await bench.open()


async def test_opening_again_after_a_refusal_works(bench: Bench) -> None:
    broker = await bench.open()
    await broker.send("q", [message("kept")])
    with pytest.raises(StoreInUse):
        await bench.open()
    assert len(await shown(broker)) == 1
    await broker.close()
    assert len(await shown(await bench.open())) == 1
