"""An event loop in which time passes only when nobody has anything else to do, and nothing depends on threads.

A day of waiting takes no time, and the same program runs in the same order every time.
"""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, override

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class Stuck(Exception):
    """Nothing is going to happen any more, or no time is ever going to pass."""


_MOST_PASSES = 100_000


class _NoFiles:
    """Stands where an event loop waits for files: it lets the time pass until the next timer instead."""

    def __init__(self) -> None:
        self.now = 0.0
        self._passes = 0

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Stuck("everybody waits for something that nobody will do")
        self._passes = 0 if timeout > 0 else self._passes + 1
        if self._passes > _MOST_PASSES:
            self._passes = 0
            raise Stuck(f"no time passes any more after {self.now:g} s: somebody goes round in a circle")
        self.now += max(0.0, timeout)
        return []

    def close(self) -> None:
        """Nothing is held open."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Its time begins at 0 and jumps from timer to timer. What is meant for a thread is done at once, in the caller."""

    def __init__(self) -> None:
        super().__init__()
        self._files = _NoFiles()
        self._selector = self._files
        # Less than a timer may be early by, because sums of waits are not exact; and less than the least wait there is.
        self._clock_resolution = 1e-9

    @override
    def time(self) -> float:
        return self._files.now

    def _process_events(self, _: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody waits in another thread."""

    @override
    def run_in_executor[**P, T](
        self, executor: Any, func: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done


def run_virtually[T](program: Coroutine[Any, Any, T]) -> T:
    """What `program` returns, run on a loop of its own; what it leaves running is cancelled."""
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(program)
    finally:
        _end_all(loop)
        asyncio.set_event_loop(None)
        loop.close()


def _end_all(loop: VirtualLoop) -> None:
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left))


class VirtualClock:
    """The loop's time as instants. `skew` is by how much this clock is wrong; it may be changed at any time."""

    def __init__(self, skew: timedelta = timedelta(0)) -> None:
        self.skew = skew

    def now(self) -> datetime:
        """What this clock shows."""
        return START + timedelta(seconds=asyncio.get_running_loop().time()) + self.skew

    async def sleep_until(self, when: datetime) -> None:
        """Return once this clock shows `when`."""
        while (remaining := (when - self.now()).total_seconds()) > 0:
            await asyncio.sleep(remaining)
