"""Named places in the engine where a test may let the process die."""

from typing import Final, Protocol


class CrashPoints(Protocol):
    """Told of each place that is reached. To die there, it calls `Engine.die` and raises `Crashed`."""

    def reached(self, name: str) -> None:
        """The engine is at the place called `name`, one of `NAMES`."""
        ...


class Crashed(BaseException):
    """Unwinds the call in which a simulated crash happened. Nothing catches it but the event loop and the endpoint."""


class NoCrashPoints:
    """What production runs with."""

    def reached(self, name: str) -> None:
        """Go on."""


NAMES: Final = (
    "turn-begins",
    "turn-ended",
    "turn-applied",
    "activity-begins",
    "activity-ended",
    "timer-due",
    "entity-batch-begins",
    "entity-batch-ended",
    "entity-batch-applied",
    "entity-signal-due",
    "call-received",
    "commit-begins",
    "commit-written",
    "commit-done",
    "effects-done",
)
