"""The durable timers of all instances, each an alarm that can be called off with its instance."""

from collections.abc import Callable
from functools import partial
from typing import Final

from devhost.broker.instants import to_datetime, to_instant
from devhost.clock import Clock
from devhost.taskhub.alarms import Alarm, Alarms

# What lies further away than this is past what a datetime can hold.
_LAST: Final = 253_402_300_799_000_000


class Timers:
    """Alarms by the key of their instance. What they do is on disk as the event that created the timer."""

    def __init__(self, clock: Clock, alarms: Alarms) -> None:
        self._clock = clock
        self._alarms = alarms
        self._of: dict[int, dict[int, Alarm]] = {}

    def now(self) -> int:
        """The clock's time, as an instant."""
        return to_instant(self._clock.now())

    def set(self, key: int, timer_id: int, due: int, ring: Callable[[], None]) -> None:
        """Call `ring` when the clock has reached `due`. Ids are unique within the instance."""
        alarm = self._alarms.at(to_datetime(min(due, _LAST)), partial(self._ring, key, timer_id, ring))
        self._of.setdefault(key, {})[timer_id] = alarm

    def cancel(self, key: int) -> None:
        """Call off all timers of an instance."""
        for alarm in self._of.pop(key, {}).values():
            alarm.cancel()

    def count(self) -> int:
        """How many timers are set."""
        return sum(map(len, self._of.values()))

    def _ring(self, key: int, timer_id: int, ring: Callable[[], None]) -> None:
        timers = self._of.get(key, {})
        timers.pop(timer_id, None)
        if not timers:
            self._of.pop(key, None)
        ring()
