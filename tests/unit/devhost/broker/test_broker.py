"""The broker as a whole: what a failing disk does, and that everything is refused afterwards."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from devhost.broker.broker import Broker
from devhost.broker.errors import StoreFailed
from tests.support.brokers import DELETE, LOCK, Bench, bodies, message, shown, take, token
from tests.support.inline_executor import InlineExecutor


class FailingDisk(InlineExecutor):
    """Commits until it is told to fail."""

    def __init__(self) -> None:
        self.failing = False

    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if not self.failing or fn.__name__ == "close":
            return super().submit(fn, *args, **kwargs)
        future: Future[T] = Future()
        future.set_exception(sqlite3.OperationalError("database or disk is full"))
        return future


async def test_a_failing_disk_is_told_to_everybody_and_loses_nothing_acknowledged(bench: Bench) -> None:
    disk = FailingDisk()
    broker = await Broker.open(bench.path, bench.topology, bench.clock, executor=disk)
    bench.opened.append(broker)
    await broker.send("q", [message("kept"), message("locked")])
    (first,) = await take(broker)
    waiting = asyncio.create_task(broker.receive("q/$deadletterqueue", max_messages=1, mode=LOCK))
    await asyncio.sleep(0)
    told: list[Exception] = []
    broker.on_failure = told.append
    disk.failing = True
    calls = [
        broker.send("q", [message("lost")]),
        broker.complete("q", token(first)),
        broker.receive("q", max_messages=1, mode=DELETE),
    ]
    for outcome in await asyncio.gather(waiting, *calls, return_exceptions=True):
        assert isinstance(outcome, StoreFailed), outcome
        assert "disk is full" in str(outcome)
    for call in (broker.send("q", [message()]), shown(broker), broker.delete_queue("q")):
        with pytest.raises(StoreFailed):
            await call
    with pytest.raises(StoreFailed):
        broker.counts("q")
    assert [type(error) for error in told] == [StoreFailed]
    bench.advance(days=1)
    await asyncio.sleep(0)
    await broker.close()
    assert bodies(await shown(await bench.open())) == ["kept", "locked"]


async def test_a_receive_cancelled_after_the_disk_failed_is_only_cancelled(bench: Bench) -> None:
    disk = FailingDisk()
    broker = await Broker.open(bench.path, bench.topology, bench.clock, executor=disk)
    bench.opened.append(broker)
    await broker.send("q", [message()])
    disk.failing = True
    receiver = asyncio.create_task(broker.receive("q", max_messages=1, mode=DELETE))
    await asyncio.sleep(0)
    receiver.cancel()
    (outcome,) = await asyncio.gather(receiver, return_exceptions=True)
    assert isinstance(outcome, asyncio.CancelledError)
    await broker.close()
    assert len(await shown(await bench.open())) == 1
