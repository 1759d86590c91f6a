"""The app's one source of time outside orchestrators, passed in so that tests can hold it still."""

import asyncio
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits for it."""

    def now(self) -> datetime:
        """The current instant, timezone-aware UTC."""
        ...

    async def sleep_until(self, when: datetime) -> None:
        """Return after as long as it is until `when`; at once when that has come. Safe to cancel."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The current instant, timezone-aware UTC."""
        return datetime.now(UTC)

    async def sleep_until(self, when: datetime) -> None:
        """Sleep on the event loop, as long as it is until `when` now.

        A clock that is set meanwhile changes nothing of it: claims are renewed and calls paced by time that goes by.
        """
        if (remaining := (when - self.now()).total_seconds()) > 0:
            await asyncio.sleep(remaining)
