"""Fault plans: which call of which operation goes wrong, and how. A plan follows from its seed alone."""

import random
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What goes wrong with a call."""

    REFUSED = "fails before it takes effect"
    ANSWER_LOST = "takes effect and fails"
    DIES_BEFORE = "its process dies before it takes effect"
    DIES_AFTER = "its process dies after it took effect"
    DRAINS = "its process is told to stop meanwhile"
    SLOW = "takes so many seconds longer"
    SWALLOWED = "seems to take effect and does not"
    GARBLED = "arrives as something that cannot be read"
    JUMPS = "its process's clock jumps by so many seconds"
    # Of a model:
    TIMES_OUT = "is not answered in its time"
    RATE_LIMITED = "is answered 429, with so many seconds to wait"
    BROKEN = "is answered 500"
    RUBBISH = "is answered with what is no JSON"
    UNFITTING = "is answered with a value that is not offered"
    FILTERED = "is refused by a content filter"
    DIES_DURING = "its process dies while the model answers"
    # Of a delivery:
    TWICE = "is made twice at the same time"
    UNLOCKED = "loses its lock at once"
    UNSETTLED = "is not settled at its end"


_CALL = (Kind.REFUSED, Kind.ANSWER_LOST, Kind.DIES_BEFORE, Kind.DIES_AFTER, Kind.SLOW, Kind.JUMPS)
_MODEL = (
    *(Kind.TIMES_OUT, Kind.RATE_LIMITED, Kind.BROKEN, Kind.RUBBISH, Kind.UNFITTING, Kind.FILTERED, Kind.SLOW),
    *(Kind.DIES_BEFORE, Kind.DIES_DURING, Kind.DIES_AFTER, Kind.DIES_AFTER, Kind.DIES_AFTER, Kind.DRAINS, Kind.JUMPS),
    *(Kind.BROKEN, Kind.TIMES_OUT),
)

OPERATIONS: dict[str, tuple[Kind, ...]] = {
    "model": _MODEL,
    "delivery": (Kind.TWICE, Kind.TWICE, Kind.UNLOCKED, Kind.UNSETTLED, Kind.SLOW, Kind.DIES_BEFORE, Kind.DIES_AFTER),
    "claim_step": _CALL,
    "record_step": _CALL,
    "release_step": _CALL,
    "renew_step": (Kind.REFUSED, Kind.ANSWER_LOST, Kind.DIES_BEFORE, Kind.SLOW),
    "create_run": _CALL,
    "advance_run": _CALL,
    "read_run": (Kind.REFUSED, Kind.DIES_BEFORE),
    "call_off": _CALL,
    "send": (*_CALL, Kind.GARBLED),
    "publish": _CALL,
    "reply": (*_CALL, Kind.SWALLOWED),
    "schedule": _CALL,
    "terminate": _CALL,
    "circuits": (Kind.REFUSED, Kind.SLOW),
    "activity": (Kind.DIES_BEFORE, Kind.DIES_AFTER, Kind.SLOW),
    "turn": (Kind.REFUSED, Kind.ANSWER_LOST),
    "effect": (Kind.DIES_BEFORE, Kind.DIES_AFTER, Kind.SLOW),
}
"""What may go wrong with each operation of the app on the world around it."""

_OFTEN = ("model", "delivery", "claim_step", "record_step", "reply", "send", "effect")
_FEW_CALLS = ("effect", "create_run", "schedule", "terminate", "publish", "call_off")
_SECONDS: dict[Kind, tuple[float, ...]] = {
    Kind.SLOW: (3, 15, 25, 45, 70, 130, 400),
    Kind.JUMPS: (-90, -30, 30, 90, 600),
    Kind.RATE_LIMITED: (0, 1, 20, 300),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """From the `first` call of `operation` on (they are numbered from 1), `times` calls in a row go wrong."""

    operation: str
    first: int
    kind: Kind
    seconds: float = 0
    times: int = 1

    def __str__(self) -> str:
        last = f" to {self.first + self.times - 1}" if self.times > 1 else ""
        seconds = f" ({self.seconds:g} s)" if self.kind in _SECONDS else ""
        return f"{self.operation} {self.first}{last} {self.kind}{seconds}"


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """What happens to one run of `pattern`.

    `processes` is how many instances of the app there are. A message's lock lasts `lock_seconds`. A person cancels the
    run after `cancelled_after` seconds. `sticky` is how the task hub runs its turns.
    """

    pattern: str
    seed: int
    faults: tuple[Fault, ...] = ()
    processes: int = 2
    lock_seconds: int = 300
    cancelled_after: float | None = None
    sticky: bool = True

    def __str__(self) -> str:
        more = [
            f"{self.processes} processes, locks of {self.lock_seconds} s, {'sticky' if self.sticky else 'replayed'}"
        ]
        more += [f"cancelled after {self.cancelled_after:g} s"] if self.cancelled_after is not None else []
        lines = [f"plan {self.seed} of {self.pattern}: {', '.join(more)}", *map(str, self.faults)]
        return "\n  ".join(lines)


def fault_plan(pattern: str, seed: int) -> FaultPlan:
    """The plan of this seed: none to seven faults, those nearest to paid work and to the beginning most often."""
    chance = random.Random(f"{pattern} {seed}")
    return FaultPlan(
        pattern,
        seed,
        tuple(_fault(chance) for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3, 3, 4, 5, 7)))),
        processes=chance.choice((1, 2, 2, 3)),
        lock_seconds=chance.choice((30, 60, 300)),
        cancelled_after=chance.choice((0.5, 2, 5, 30)) if chance.random() < 0.08 else None,
        sticky=chance.random() < 0.8,
    )


def _fault(chance: random.Random) -> Fault:
    operation = chance.choice(_OFTEN) if chance.random() < 0.65 else chance.choice(list(OPERATIONS))
    kind = chance.choice(OPERATIONS[operation])
    latest = 2 if operation in _FEW_CALLS else chance.choice((3, 6, 10))
    return Fault(
        operation,
        first=min(chance.randint(1, latest), chance.randint(1, latest)),
        kind=kind,
        seconds=chance.choice(_SECONDS.get(kind, (0,))),
        times=chance.choice((1, 1, 1, 2, 4, 9)) if kind in (Kind.REFUSED, Kind.BROKEN) else 1,
    )


class Injector:
    """Says of each call what goes wrong with it. Where several faults meet, the first of the plan counts."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self._planned: dict[tuple[str, int], Fault] = {}
        for fault in faults:
            for number in range(fault.first, fault.first + fault.times):
                self._planned.setdefault((fault.operation, number), fault)
        self._calls: Counter[str] = Counter()

    def next(self, operation: str) -> Fault | None:
        """The fault of this call of `operation`, if it has one."""
        self._calls[operation] += 1
        return self._planned.get((operation, self._calls[operation]))
