"""The one thing the host knows of a trigger: it has a name, it starts, and it stops after draining."""

from typing import Protocol


class Trigger(Protocol):
    """Listens to something outside and calls one function of the app."""

    @property
    def name(self) -> str:
        """The function's name."""
        ...

    async def start(self) -> None:
        """Begin to listen. Returns at once; trouble with the thing outside is logged and retried, never raised."""
        ...

    async def stop(self) -> None:
        """Take nothing new, let running invocations finish, then let go of everything held."""
        ...
