"""Limits on HTTP requests from `host.json`: how many run at once, and how many may be in the host at all."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from devhost.errors import StartError


class TooManyRequestsError(Exception):
    """The host already holds as many requests as it may."""


class RequestLimits:
    """`maxConcurrentRequests` run, the next ones wait, and beyond `maxOutstandingRequests` they are turned away."""

    def __init__(self, max_concurrent: int = -1, max_outstanding: int = -1) -> None:
        self._gate = asyncio.Semaphore(max_concurrent) if max_concurrent > 0 else None
        self._max_outstanding = max_outstanding
        self._outstanding = 0

    @classmethod
    def from_host_json(cls, http: Mapping[str, Any]) -> "RequestLimits":
        """Read the limits from `extensions.http`; -1 means none. Raises `StartError` for anything but such numbers."""
        return cls(_limit(http, "maxConcurrentRequests"), _limit(http, "maxOutstandingRequests"))

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """Hold a place while a request is served; raises `TooManyRequestsError` at once when there is none."""
        if 0 < self._max_outstanding <= self._outstanding:
            raise TooManyRequestsError
        self._outstanding += 1
        try:
            if self._gate is None:
                yield
            else:
                async with self._gate:
                    yield
        finally:
            self._outstanding -= 1


def _limit(http: Mapping[str, Any], name: str) -> int:
    value = http.get(name, -1)
    if not isinstance(value, int) or isinstance(value, bool) or value == 0 or value < -1:
        raise StartError(
            f"host.json: extensions.http.{name} must be a number above 0, or -1 for no limit, not {value!r}"
        )
    return value
