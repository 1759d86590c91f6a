"""Things to do at given times: one heap and one sleeper, on the injected clock and the running event loop.

However many alarms are set, a single task sleeps until the earliest one. Everything happens on the event loop's thread.
"""

import asyncio
import heapq
import itertools
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

from devhost.clock import Clock

_log = logging.getLogger(__name__)

# So many cancelled alarms may lie in the heap before they are swept out, once they are also the larger part of it.
_SWEEP: Final = 64


class Alarm:
    """One thing to do at one time, which can be called off."""

    __slots__ = ("_alarms", "ring", "when")

    def __init__(self, alarms: "Alarms", when: datetime, ring: Callable[[], None]) -> None:
        self._alarms = alarms
        self.when = when
        #: None once it rang or was called off.
        self.ring: Callable[[], None] | None = ring

    def cancel(self) -> None:
        """Do not ring. Calling off what rang already changes nothing."""
        if self.ring is not None:
            self.ring = None
            self._alarms.called_off()


class Alarms:
    """Calls back at set times. An alarm whose time has passed rings as soon as the event loop turns."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[datetime, int, Alarm]] = []
        self._order = itertools.count()
        self._sleeper: asyncio.Task[None] | None = None
        self._cancelled = 0
        self._stopped = False

    @property
    def earliest(self) -> datetime | None:
        """When the next alarm rings; None when none is set."""
        while self._heap and self._heap[0][2].ring is None:
            heapq.heappop(self._heap)
            self._cancelled -= 1
        return self._heap[0][0] if self._heap else None

    def at(self, when: datetime, ring: Callable[[], None]) -> Alarm:
        """Call `ring` once the clock has reached `when` (timezone-aware); equal times ring in order."""
        alarm = Alarm(self, when, ring)
        if self._stopped:
            return alarm
        heapq.heappush(self._heap, (when, next(self._order), alarm))
        if self._heap[0][2] is alarm:
            self._sleep_until_earliest()
        return alarm

    def called_off(self) -> None:
        """Take note of a cancelled alarm; used by `Alarm`."""
        self._cancelled += 1
        if self._cancelled > _SWEEP and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].ring is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    async def stop(self) -> None:
        """Forget every alarm and end the sleeper."""
        self._stopped = True
        self._heap.clear()
        if self._sleeper is not None:
            self._sleeper.cancel()
            await asyncio.gather(self._sleeper, return_exceptions=True)

    def _sleep_until_earliest(self) -> None:
        if self._sleeper is not None:
            self._sleeper.cancel()
        self._sleeper = asyncio.get_running_loop().create_task(self._sleep(self._heap[0][0]), name="task hub alarms")

    async def _sleep(self, when: datetime) -> None:
        await self._clock.sleep_until(when)
        # From here on nothing waits, so a new alarm set by one that rings cannot cancel this task half-way.
        self._sleeper = None
        while (earliest := self.earliest) is not None and earliest <= self._clock.now():
            self._ring(heapq.heappop(self._heap)[2])
        if self._heap:
            self._sleep_until_earliest()

    @staticmethod
    def _ring(alarm: Alarm) -> None:
        ring, alarm.ring = alarm.ring, None
        try:
            if ring is not None:
                ring()
        except Exception:
            _log.exception("an alarm of the task hub failed")
