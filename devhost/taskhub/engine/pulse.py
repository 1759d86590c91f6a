"""Passes of the event loop: how the engine finds that nothing more is about to happen, without reading a clock.

A pass lets everything run that can run now. Something that waits for others to finish counts passes in which nothing
came; what is still outstanding after enough of them waits for the world, and not for the processor.
"""

import asyncio
from collections.abc import Callable

type OnPass = Callable[[], bool]


class Pulse:
    """Calls its listeners once a pass, for as long as one of them asks for another."""

    def __init__(self) -> None:
        self.passes = 0
        self._listeners: list[OnPass] = []
        self._coming: asyncio.Handle | None = None

    def listen(self, on_pass: OnPass) -> None:
        """Call `on_pass` in every pass; it returns whether it needs another one."""
        self._listeners.append(on_pass)

    def ring(self) -> None:
        """Have a pass come."""
        if self._coming is None:
            self._coming = asyncio.get_running_loop().call_soon(self._pass)

    def stop(self) -> None:
        """Let no further pass come until `ring`."""
        if self._coming is not None:
            self._coming.cancel()
            self._coming = None

    def _pass(self) -> None:
        self._coming = None
        self.passes += 1
        wanted = [on_pass() for on_pass in self._listeners]
        if any(wanted):
            self.ring()
