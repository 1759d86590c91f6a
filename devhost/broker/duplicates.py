"""Duplicate detection: which message ids an entity has accepted within its window.

Ids are kept as 128-bit digests, so that a long window costs about 100 bytes an id whatever the ids' length. The time
of the first acceptance counts: a duplicate does not prolong the window.
"""

import hashlib
from collections import deque
from collections.abc import Iterable
from datetime import timedelta

from devhost.broker.instants import later
from devhost.broker.schema import message_key


def digest_of(message_id: str) -> bytes:
    """What stands for the id in memory and in the file."""
    return hashlib.blake2b(message_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class DuplicateWindow:
    """The ids of one entity in the order of their acceptance; each has a place, counted upwards from the first ever."""

    def __init__(self, window: timedelta, seen: Iterable[tuple[int, bytes, int]] = ()) -> None:
        """Take up `seen`: (place, digest, instant) in order of place."""
        self.window = window
        self._seen: set[int] = set()
        self._digests: deque[int] = deque()
        self._times: deque[int] = deque()
        self._next_place = 1
        for place, digest, at in seen:
            self._add(int.from_bytes(digest), at)
            self._next_place = place + 1

    def __len__(self) -> int:
        return len(self._digests)

    def admit(self, digest: bytes, now: int) -> int | None:
        """The place of an id accepted now, or None for one that is in the window already. Call `forget` before."""
        value = int.from_bytes(digest)
        if value in self._seen:
            return None
        self._add(value, now)
        self._next_place += 1
        return self._next_place - 1

    def forget(self, now: int) -> tuple[int, int] | None:
        """Drop what has left the window; the first and last place dropped, None when nothing was."""
        first = self._next_place - len(self._digests)
        dropped = 0
        while self._times and later(self._times[0], self.window) <= now:
            self._times.popleft()
            self._seen.remove(self._digests.popleft())
            dropped += 1
        return (first, first + dropped - 1) if dropped else None

    def _add(self, value: int, at: int) -> None:
        self._seen.add(value)
        self._digests.append(value)
        self._times.append(at)


class Sieve:
    """Duplicate detection of the entity with `number` in the file, if it has any, for one send at a time."""

    def __init__(self, number: int, window: DuplicateWindow | None) -> None:
        self._number = number
        self.window = window

    def forget(self, now: int) -> tuple[int, int] | None:
        """Drop what has left the window; the first and last key to delete from the file."""
        dropped = None if self.window is None else self.window.forget(now)
        return (
            None if dropped is None else (message_key(self._number, dropped[0]), message_key(self._number, dropped[1]))
        )

    def passes(self, message_id: str | None, now: int, seen: list[tuple[int, bytes, int]]) -> bool:
        """Whether a message with this id is new; adds to `seen` what the file must remember. Call `forget` before."""
        if self.window is None or message_id is None:
            return True
        digest = digest_of(message_id)
        place = self.window.admit(digest, now)
        if place is None:
            return False
        seen.append((message_key(self._number, place), digest, now))
        return True
