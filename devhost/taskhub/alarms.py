"""Things to do at given times: one heap and one sleeper, on the injected clock and the running event loop.

However many alarms are set, a single task sleeps until the earliest one. Everything happens on the event loop's thread.
"""

import asyncio
import heapq
import itertools
import logging
from collections.abc import Callable
from datetime import datetime

from devhost.clock import Clock

_log = logging.getLogger(__name__)


class Alarms:
    """Calls back at set times. An alarm whose time has passed rings as soon as the event loop turns."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._sleeper: asyncio.Task[None] | None = None
        self._stopped = False

    def at(self, when: datetime, ring: Callable[[], None]) -> None:
        """Call `ring` once the clock has reached `when` (timezone-aware); equal times ring in order."""
        if self._stopped:
            return
        heapq.heappush(self._heap, (when, next(self._order), ring))
        if self._heap[0][2] is ring:
            self._sleep_until_earliest()

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
        while self._heap and self._heap[0][0] <= self._clock.now():
            self._ring(heapq.heappop(self._heap)[2])
        if self._heap:
            self._sleep_until_earliest()

    @staticmethod
    def _ring(ring: Callable[[], None]) -> None:
        try:
            ring()
        except Exception:
            _log.exception("an alarm of the task hub failed")
