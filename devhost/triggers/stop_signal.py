"""A wish to stop that wakes whoever sleeps, so that a trigger ends between two pieces of work and never inside one."""

import asyncio
import contextlib
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

from devhost.clock import Clock


class StopSignal:
    """Set once; every wait on it ends then."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Ask for the stop."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether the stop was asked for."""
        return self._event.is_set()

    async def sleep_until(self, clock: Clock, when: datetime) -> bool:
        """Wait for `when`; False when the stop came first."""
        if self._event.is_set():
            return False
        sleeping = asyncio.ensure_future(clock.sleep_until(when))
        stopping = asyncio.ensure_future(self._event.wait())
        try:
            await asyncio.wait((sleeping, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            stopping.cancel()
        return not self._event.is_set()

    async def unless_set[T](self, work: Coroutine[Any, Any, T]) -> T | None:
        """The outcome of `work`, which is cancelled when the stop comes first: None then."""
        if self._event.is_set():
            work.close()
            return None
        working = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self._event.wait())
        try:
            await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not working.done():
                working.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await working
        return None if working.cancelled() else working.result()
