"""Limits on HTTP requests from `host.json`: how many run at once, and how many may be in the host at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from devhost.host_json import HostJson


class TooManyRequestsError(Exception):
    """The host already holds as many requests as it may."""


class RequestLimits:
    """`maxConcurrentRequests` run, the next ones wait, and beyond `maxOutstandingRequests` they are turned away."""

    def __init__(self, max_concurrent: int = -1, max_outstanding: int = -1) -> None:
        """-1 means no limit."""
        self._gate = asyncio.Semaphore(max_concurrent) if max_concurrent > 0 else None
        self._max_outstanding = max_outstanding
        self._outstanding = 0

    @classmethod
    def from_host_json(cls, host_json: HostJson) -> Self:
        """Read the limits from `extensions.http`. Raises `StartError` for anything but numbers above 0, or -1."""

        def limit(key: str) -> int:
            return host_json.whole_number("extensions", "http", key, default=-1, none=-1)

        return cls(limit("maxConcurrentRequests"), limit("maxOutstandingRequests"))

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
