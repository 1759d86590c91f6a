"""Group commit: who shares a transaction, who hears of it when, and what a failure does."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest

from devhost.broker.errors import BrokerClosed, BrokerError, StoreFailed
from devhost.broker.schema import open_file
from devhost.broker.store import Store
from tests.support.eventually import eventually
from tests.support.inline_executor import InlineExecutor


class HeldExecutor(Executor):
    """Keeps what is submitted until `release`, which does it in the caller."""

    def __init__(self) -> None:
        self.held: list[tuple[Callable[[], Any], Future[Any]]] = []

    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        self.held.append((lambda: fn(*args, **kwargs), future))
        return future

    async def release(self) -> None:
        await eventually(lambda: self.held)
        for work, future in self.held:
            future.set_result(work())
        self.held.clear()
        await asyncio.sleep(0.01)


def add(key: int) -> Callable[[sqlite3.Connection], int]:
    def work(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO seen(key,digest,at) VALUES(?,x'00',0)", (key,))
        return key

    return work


def on_disk(path: Path) -> list[int]:
    connection = open_file(path)
    try:
        return [key for (key,) in connection.execute("SELECT key FROM seen ORDER BY key")]
    finally:
        connection.close()


def counting(store: Store) -> list[int]:
    commits: list[int] = []
    store.before_commit = lambda _: commits.append(1)
    return commits


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "b.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    opened = open_file(path)
    yield opened
    opened.close()


async def test_callers_of_one_turn_share_a_commit(path: Path, connection: sqlite3.Connection) -> None:
    store = Store(connection)
    commits = counting(store)
    assert await asyncio.gather(*(store.submit(add(key)) for key in range(100))) == list(range(100))
    assert len(commits) == 1
    await store.close()
    assert on_disk(path) == list(range(100))


async def test_what_comes_during_a_commit_shares_the_next_one(connection: sqlite3.Connection) -> None:
    executor = HeldExecutor()
    store = Store(connection, executor)
    commits = counting(store)
    first = store.submit(add(1))
    await eventually(lambda: executor.held)
    later = [store.submit(add(key)) for key in (2, 3, 4)]
    await executor.release()
    assert first.done()
    assert not any(future.done() for future in later)
    await executor.release()
    assert [future.result() for future in later] == [2, 3, 4]
    assert len(commits) == 2


async def test_nobody_is_told_before_the_commit_is_over(connection: sqlite3.Connection) -> None:
    executor = HeldExecutor()
    store = Store(connection, executor)
    future = store.submit(add(1))
    await eventually(lambda: executor.held)
    await asyncio.sleep(0.01)
    assert not future.done()
    await executor.release()
    assert future.done()


async def test_effects_come_in_the_order_of_the_calls_however_many_wait(connection: sqlite3.Connection) -> None:
    executor = HeldExecutor()
    store = Store(connection, executor)
    seen: list[int] = []

    def see(number: int) -> Callable[[sqlite3.Connection], None]:
        return lambda _: seen.append(number)

    futures = [store.submit(see(0))]
    await eventually(lambda: executor.held)
    futures += [store.submit(see(number)) for number in range(1, 2000)]
    while not futures[-1].done():
        await executor.release()
        if len(futures) < 2003:
            futures.append(store.submit(see(len(futures))))
    assert seen == list(range(2003))


async def test_commits_do_not_run_on_the_event_loops_thread(connection: sqlite3.Connection) -> None:
    threads: list[int] = []
    store = Store(connection)
    connection.set_trace_callback(
        lambda statement: threads.append(threading.get_ident()) if statement == "COMMIT" else None
    )
    await store.submit(add(1))
    await store.close()
    assert threads
    assert threading.get_ident() not in threads


async def test_a_cancelled_caller_takes_nothing_back(path: Path, connection: sqlite3.Connection) -> None:
    store = Store(connection)
    future = store.submit(add(1))
    future.cancel()
    await store.submit(add(2))
    await store.close()
    assert on_disk(path) == [1, 2]


async def test_failed_work_undoes_its_transaction_and_ends_the_store(
    path: Path, connection: sqlite3.Connection
) -> None:
    store = Store(connection)
    told: list[BrokerError] = []
    store.on_failure = told.append
    await store.submit(add(1))
    futures = [store.submit(add(key)) for key in (2, 1, 3) if not told]
    assert len(futures) == 2
    for future in futures:
        with pytest.raises(StoreFailed, match="a write failed and the broker has stopped"):
            await future
    with pytest.raises(StoreFailed):
        store.submit(add(4))
    with pytest.raises(StoreFailed):
        await store.read(lambda _: 1)
    assert len(told) == 1
    await store.close()
    assert on_disk(path) == [1]


async def test_a_failed_commit_is_told_to_everybody_in_it_and_behind_it(connection: sqlite3.Connection) -> None:
    executor = HeldExecutor()
    store = Store(connection, executor)
    first = store.submit(add(1))
    await eventually(lambda: executor.held)
    second = store.submit(add(2))
    _, flight = executor.held.pop()
    flight.set_exception(sqlite3.OperationalError("disk I/O error"))
    for future in (first, second):
        with pytest.raises(StoreFailed, match="disk I/O error"):
            await future


async def test_reads_see_everything_handed_in_before(connection: sqlite3.Connection) -> None:
    store = Store(connection)
    store.submit(add(1))
    pending = asyncio.ensure_future(store.submit(add(2)))
    assert await store.read(lambda c: c.execute("SELECT count(*) FROM seen").fetchone()[0]) == 2
    await pending
    await store.close()


async def test_a_read_with_nothing_under_way_makes_no_transaction(connection: sqlite3.Connection) -> None:
    store = Store(connection)
    commits = counting(store)
    assert await store.read(lambda c: c.execute("SELECT count(*) FROM seen").fetchone()[0]) == 0
    assert commits == []
    await store.close()


async def test_closing_commits_what_was_handed_in_and_takes_no_more(path: Path, connection: sqlite3.Connection) -> None:
    store = Store(connection)
    future = store.submit(add(1))
    closing = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    with pytest.raises(BrokerClosed):
        store.submit(add(2))
    await closing
    assert future.result() == 1
    await store.close()
    assert on_disk(path) == [1]


async def test_an_abort_loses_exactly_what_was_not_committed(path: Path, connection: sqlite3.Connection) -> None:
    store = Store(connection, InlineExecutor())
    await store.submit(add(1))
    unfinished = [store.submit(add(2)), store.submit(add(3))]
    await store.abort()
    for future in unfinished:
        with pytest.raises(BrokerClosed):
            await future
    assert on_disk(path) == [1]


async def test_an_abort_during_a_commit_lets_it_finish(path: Path, connection: sqlite3.Connection) -> None:
    executor = HeldExecutor()
    store = Store(connection, executor)
    first = store.submit(add(1))
    await eventually(lambda: executor.held)
    second = store.submit(add(2))
    ending = asyncio.ensure_future(store.abort())
    await asyncio.sleep(0)
    while not ending.done():
        await executor.release()
    assert first.result() == 1
    with pytest.raises(BrokerClosed):
        await second
    assert on_disk(path) == [1]
