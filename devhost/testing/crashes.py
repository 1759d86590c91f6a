"""Where the task hub dies in a test: at the n-th time it comes to a named place."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from devhost.taskhub.engine.crash_points import NAMES, Crashed

PLACES: Final = NAMES
"""The names of the places, each at a step of a turn, an activity, an entity's batch, a timer or a commit."""


class CrashPlan:
    """Counts the places that the engine comes to, and lets it die where the test said."""

    def __init__(self) -> None:
        self.reached_so_far: Counter[str] = Counter()
        self.crashed_at: str | None = None
        self._die: Callable[[], None] = lambda: None
        self._at: tuple[str, int] | None = None

    def crash_at(self, place: str, *, times: int = 1) -> None:
        """Die when `place` is reached for the `times`-th time from now on. Raises `ValueError` for an unknown place."""
        if place not in PLACES:
            raise ValueError(f"there is no place called {place!r}; there are {', '.join(PLACES)}")
        if times < 1:
            raise ValueError("a place is reached once, or more often")
        self._at = (place, self.reached_so_far[place] + times)

    def begin_life(self, die: Callable[[], None]) -> None:
        """A new engine runs, which `die` stops dead."""
        self.crashed_at = None
        self._die = die

    def reached(self, name: str) -> None:
        """What the engine tells of each place."""
        self.reached_so_far[name] += 1
        if self.crashed_at is None and self._at == (name, self.reached_so_far[name]):
            self._at, self.crashed_at = None, name
            self._die()
            raise Crashed(name)
