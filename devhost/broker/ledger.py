"""The index in memory of one queue's messages: about 25 bytes a message, whatever its payload.

Columns over the sequence numbers, in pages, so that a long backlog costs little and a page without messages costs
nothing. The next waiting message is found by a byte search; the next thing that falls due by a lower bound per page
that is made exact only when it is reached.
"""

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterator

from devhost.broker.instants import NEVER
from devhost.broker.lifecycle import Event, Status, after

_SLOTS = 256
_WAITING = bytes([Status.WAITING])
_STATUSES = tuple(Status)


class _Page:
    """`_SLOTS` sequence numbers in a row."""

    __slots__ = ("deliveries", "due", "earliest", "expires", "live", "sizes", "statuses")

    def __init__(self) -> None:
        self.statuses = bytearray(_SLOTS)
        #: When something happens to the message by itself: its lock or its life ends, its schedule comes.
        self.due = array("q", [NEVER]) * _SLOTS
        self.expires = array("q", [NEVER]) * _SLOTS
        self.deliveries = array("I", [0]) * _SLOTS
        self.sizes = array("I", [0]) * _SLOTS
        self.live = 0
        self.earliest = NEVER


class Ledger:
    """Status, due time, expiry, deliveries and size by sequence number. Times are instants, sizes bytes."""

    def __init__(self) -> None:
        self._pages: dict[int, _Page] = {}
        self._order: list[int] = []
        #: No number below it is waiting.
        self._cursor = 0
        self.count_of = [0] * len(Status)
        self.size_bytes = 0

    def __len__(self) -> int:
        return sum(self.count_of)

    def add(
        self, number: int, status: Status, *, size: int, due: int = NEVER, expires: int = NEVER, deliveries: int = 0
    ) -> None:
        """Enter a message that is not there yet."""
        index, slot = divmod(number, _SLOTS)
        page = self._pages.get(index)
        if page is None:
            page = self._pages[index] = _Page()
            insort(self._order, index)
        page.live += 1
        page.sizes[slot] = size
        page.expires[slot] = expires
        page.deliveries[slot] = deliveries
        self.size_bytes += size
        self._enter(page, number, slot, status, due)

    def apply(self, event: Event, number: int, due: int = NEVER) -> Status:
        """Move a message along the table; it leaves the ledger with `ABSENT`. `due` is when its new status ends."""
        index, slot = divmod(number, _SLOTS)
        page = self._pages[index]
        old = _STATUSES[page.statuses[slot]]
        new = after(event, old)
        self.count_of[old] -= 1
        if new is Status.ABSENT:
            self._clear(index, page, slot)
        else:
            self._enter(page, number, slot, new, due)
        return new

    def status(self, number: int) -> Status:
        """`ABSENT` for a number that was never given out or has left."""
        page = self._pages.get(number // _SLOTS)
        return Status.ABSENT if page is None else _STATUSES[page.statuses[number % _SLOTS]]

    def due(self, number: int) -> int:
        """When the status of a present message ends by itself."""
        return self._pages[number // _SLOTS].due[number % _SLOTS]

    def extend(self, number: int, due: int) -> None:
        """Set when the status of a present message ends."""
        page = self._pages[number // _SLOTS]
        page.due[number % _SLOTS] = due
        page.earliest = min(page.earliest, due)

    def expires(self, number: int) -> int:
        """When a present message's time to live ends."""
        return self._pages[number // _SLOTS].expires[number % _SLOTS]

    def deliveries(self, number: int) -> int:
        """How often a present message has been handed out."""
        return self._pages[number // _SLOTS].deliveries[number % _SLOTS]

    def set_deliveries(self, number: int, count: int) -> None:
        """Record how often a present message has been handed out."""
        self._pages[number // _SLOTS].deliveries[number % _SLOTS] = count

    def size(self, number: int) -> int:
        """The size of a present message."""
        return self._pages[number // _SLOTS].sizes[number % _SLOTS]

    def next_waiting(self) -> int | None:
        """The lowest waiting number."""
        if not self.count_of[Status.WAITING]:
            return None
        first, slot = divmod(self._cursor, _SLOTS)
        for place in range(bisect_left(self._order, first), len(self._order)):
            index = self._order[place]
            found = self._pages[index].statuses.find(_WAITING, slot if index == first else 0)
            if found >= 0:
                self._cursor = index * _SLOTS + found
                return self._cursor
        raise AssertionError("a waiting message lies below the cursor")

    def present(self, start: int) -> Iterator[int]:
        """All numbers from `start` on that are present, in order; the ledger must not change meanwhile."""
        for place in range(bisect_left(self._order, start // _SLOTS), len(self._order)):
            index = self._order[place]
            base = index * _SLOTS
            for slot, status in enumerate(self._pages[index].statuses):
                if status and base + slot >= start:
                    yield base + slot

    def earliest(self) -> int:
        """A time before which nothing falls due; `NEVER` when nothing does."""
        return min((page.earliest for page in self._pages.values()), default=NEVER)

    def due_until(self, limit: int) -> list[tuple[int, int]]:
        """(due, number) of everything due at or before `limit`, in order. What is found must then be dealt with."""
        found: list[tuple[int, int]] = []
        for index, page in self._pages.items():
            if page.earliest <= limit:
                base = index * _SLOTS
                found += [(due, base + slot) for slot, due in enumerate(page.due) if due <= limit]
                page.earliest = min((due for due in page.due if due > limit), default=NEVER)
        found.sort()
        return found

    def _enter(self, page: _Page, number: int, slot: int, status: Status, due: int) -> None:
        page.statuses[slot] = status
        page.due[slot] = due
        page.earliest = min(page.earliest, due)
        self.count_of[status] += 1
        if status is Status.WAITING and number < self._cursor:
            self._cursor = number

    def _clear(self, index: int, page: _Page, slot: int) -> None:
        self.size_bytes -= page.sizes[slot]
        page.live -= 1
        if not page.live:
            del self._pages[index]
            self._order.pop(bisect_left(self._order, index))
            return
        page.statuses[slot] = Status.ABSENT
        page.due[slot] = page.expires[slot] = NEVER
