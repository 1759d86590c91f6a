"""What one run of a task came to: what its caller does next is the type's."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.contracts import AgentResult, ErrorInfo


@dataclass(frozen=True, slots=True)
class Answered:
    """The step has its result. `from_record` when an earlier delivery made it."""

    result: AgentResult
    from_record: bool = False


@dataclass(frozen=True, slots=True)
class TryAgain:
    """This attempt failed in a way that another may not: `next_attempt` is due after `delay`."""

    delay: timedelta
    error: ErrorInfo
    next_attempt: int


@dataclass(frozen=True, slots=True)
class Held:
    """Another delivery is running the step, and holds it until `until` unless it renews its claim."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Unwanted:
    """Nobody waits for the step any more; nothing was run, or what ran was stopped."""

    reason: str


type RunOutcome = Answered | TryAgain | Held | Unwanted
