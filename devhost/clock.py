"""Time, injected: everything in the local host that waits or stamps reads one `Clock`, so that tests can move it."""

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits for it."""

    def now(self) -> datetime:
        """The current instant, timezone-aware UTC."""
        ...

    async def sleep_until(self, when: datetime) -> None:
        """Return once `now()` has reached `when`; at once when it already has. Safe to cancel."""
        ...


class SystemClock:
    """The machine's own clock.

    A sleeper looks at it once every `look_every`: the event loop's time stands still while a laptop sleeps, and knows
    nothing of a clock that is set.
    """

    def __init__(self, look_every: timedelta = timedelta(seconds=30)) -> None:
        self._look_every = look_every.total_seconds()

    def now(self) -> datetime:
        """The current instant, timezone-aware UTC."""
        return datetime.now(UTC)

    async def sleep_until(self, when: datetime) -> None:
        """Sleep on the event loop; a wall clock set back meanwhile is waited out, one set forward wakes."""
        while (remaining := (when - self.now()).total_seconds()) > 0:
            await asyncio.sleep(min(remaining, self._look_every))


class ManualClock:
    """A clock that stands still until `advance` moves it; sleepers wake in the order of their times."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        """The instant the clock was last moved to."""
        return self._now

    async def sleep_until(self, when: datetime) -> None:
        """Wait until `advance` or `move_to` passes `when`."""
        if when <= self._now:
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (when, next(self._order), woken))
        await woken

    @property
    def next_due(self) -> datetime | None:
        """The earliest instant that somebody still waits for; None when nobody waits."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    def advance(self, by: timedelta) -> None:
        """Move forward by `by` (negative is a `ValueError`) and wake every sleeper whose time has come."""
        if by < timedelta(0):
            raise ValueError(f"a clock only moves forward, not by {by}")
        self.move_to(self._now + by)

    def move_to(self, when: datetime) -> None:
        """Set the time and wake every sleeper whose time has come; moving back is allowed and wakes nobody."""
        self._now = when
        while self._sleepers and self._sleepers[0][0] <= when:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
