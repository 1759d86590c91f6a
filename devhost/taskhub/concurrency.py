"""How much of the app runs at once on behalf of a task hub."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many work items of a kind run at once: `host.json`'s `extensions.durableTask.maxConcurrent...Functions`.

    Each is at least 1.
    """

    orchestrators: int = 10
    activities: int = 10
    entities: int = 10

    def __post_init__(self) -> None:
        for name in ("orchestrators", "activities", "entities"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; at least one must be allowed to run")
