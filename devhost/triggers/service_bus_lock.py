"""Keeps one lock alive while a function runs: renews it in time, and knows when it was lost all the same."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from devhost.clock import Clock
from devhost.triggers.service_bus_receiver import LockLost, ReceiverError
from devhost.triggers.stop_signal import StopSignal

_log = logging.getLogger(__name__)

_MARGIN: Final = timedelta(seconds=10)
_RETRY: Final = timedelta(seconds=1)


class LockKeeper:
    """Renews a lock by `renew` before it ends, until `renew_until` (None: without end). `what` names it in the log.

    The renewal never overlaps with `finish`: when that returns, the client is at rest.
    """

    def __init__(
        self,
        what: str,
        renew: Callable[[], Awaitable[datetime]],
        locked_until: datetime,
        renew_until: datetime | None,
        clock: Clock,
    ) -> None:
        self.lost = False
        self.renew_until = renew_until
        self._what = what
        self._renew = renew
        self._locked_until = locked_until
        self._clock = clock
        self._stop = StopSignal()

    async def run(self) -> None:
        """Renew until `finish`, the end of the renewal's time, or the loss of the lock."""
        due = self._due()
        while await self._stop.sleep_until(self._clock, due):
            now = self._clock.now()
            if self.renew_until is not None and now >= self.renew_until:
                _log.warning("%s: its lock is no longer renewed (maxAutoLockRenewalDuration is over)", self._what)
                return
            try:
                self._locked_until = await self._renew()
                due = self._due()
            except LockLost:
                self.lost = True
                return
            except ReceiverError as failed:
                if self._clock.now() >= self._locked_until:
                    self.lost = True
                    return
                _log.debug("%s: renewing its lock failed, trying again: %s", self._what, failed)
                due = min(self._clock.now() + _RETRY, self._locked_until)

    def finish(self) -> None:
        """Renew no more."""
        self._stop.set()

    def _due(self) -> datetime:
        now = self._clock.now()
        remaining = self._locked_until - now
        due = self._locked_until - min(_MARGIN, remaining / 2) if remaining > timedelta(0) else now
        return due if self.renew_until is None else min(due, max(self.renew_until, now))


@contextlib.asynccontextmanager
async def kept(keeper: LockKeeper | None) -> AsyncIterator[None]:
    """Run the block under the keeper's care; None is nobody's."""
    if keeper is None:
        yield
        return
    renewing = asyncio.create_task(keeper.run())
    try:
        yield
    finally:
        keeper.finish()
        await renewing
