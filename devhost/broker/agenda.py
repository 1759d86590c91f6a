"""What happens by itself, in the order of its time: locks and lives that end, schedules that come due.

Nothing polls: everything due is dealt with before each operation, and one sleeping alarm is set for the earliest time
there is, so that those who wait are served when it comes.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Protocol

from devhost.broker.instants import NEVER, to_datetime, to_instant
from devhost.clock import Clock


class Timed(Protocol):
    """Something that has things falling due."""

    def earliest(self) -> int:
        """A time before which nothing falls due, `NEVER` when nothing does."""
        ...

    def run_due(self, until: int) -> None:
        """Deal with what is due at or before `until`, in order of time; what is left is asked for again."""
        ...


class Agenda:
    """The earliest due times of many `Timed`, kept with the clock's alarm. Times are instants."""

    def __init__(self, clock: Clock, ring: Callable[[], None]) -> None:
        """`ring` is called when the alarm goes off; it must call `run`."""
        self._clock = clock
        self._ring = ring
        self._entries: list[tuple[int, int, Timed]] = []
        self._noted: dict[Timed, int] = {}
        self._order = itertools.count()
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at = NEVER

    def now(self) -> int:
        """The clock's time."""
        return to_instant(self._clock.now())

    def note(self, item: Timed, due: int) -> None:
        """Remember that something of `item` falls due then; later times than the one known already change nothing."""
        if due < self._noted.get(item, NEVER):
            self._noted[item] = due
            heapq.heappush(self._entries, (due, next(self._order), item))

    def forget(self, item: Timed) -> None:
        """Leave `item` out from now on."""
        self._noted.pop(item, None)

    def run(self, now: int) -> None:
        """Deal with everything due by `now`, across all items in order of time, and set the alarm anew."""
        while self._entries and self._entries[0][0] <= now:
            due, _, item = heapq.heappop(self._entries)
            if self._noted.get(item) != due:
                continue
            del self._noted[item]
            until = max(due, min(now, self._entries[0][0])) if self._entries else now
            item.run_due(until)
            self.note(item, item.earliest())
        self.set_alarm()

    def set_alarm(self) -> None:
        """Have the alarm go off at the earliest time noted."""
        while self._entries and self._noted.get(self._entries[0][2]) != self._entries[0][0]:
            heapq.heappop(self._entries)
        earliest = self._entries[0][0] if self._entries else NEVER
        if earliest >= self._alarm_at:
            return
        self.cancel()
        self._alarm_at = earliest
        self._alarm = asyncio.create_task(self._sleep(earliest), name="broker-alarm")

    def cancel(self) -> None:
        """Stop the alarm."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._alarm_at = NEVER

    async def _sleep(self, until: int) -> None:
        await self._clock.sleep_until(to_datetime(until))
        self._alarm = None
        self._alarm_at = NEVER
        self._ring()
