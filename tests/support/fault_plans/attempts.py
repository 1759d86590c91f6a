"""What was seen, put together by steps: who had each of them when, and what became of it. Pure functions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tests.support.fault_plans.observed import (
    Answered,
    Asked,
    Began,
    Granted,
    Observed,
    Recorded,
    Released,
    Renewed,
    Seen,
    Stopped,
)


class Window(StrEnum):
    """Where in an attempt its process, or its claim, was lost."""

    BEFORE_THE_CALL = "after the claim and before a model was asked"
    DURING_THE_CALL = "after a model was asked and before it answered"
    BEFORE_THE_RECORD = "after the model's answer and before the record"


@dataclass
class Attempt:
    """One claim of a step that was granted. `ended` is how its owner ended it, None when nobody knows."""

    granted: Granted
    renewed: list[Renewed] = field(default_factory=list)
    began: bool = False
    asked: list[Asked] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    ended: Recorded | Released | None = None
    drained: bool = False

    @property
    def lost(self) -> bool:
        """Whether what its model answered, if anything, is in no record."""
        return self.ended is None or (self.drained and bool(self.asked))

    @property
    def kept(self) -> Sequence[Answered]:
        """The answers that are in a record, or in the log of a step that was given back."""
        return self.answered if self.ended is not None else ()

    @property
    def window(self) -> Window:
        """Where it was lost, if it was."""
        if not self.asked:
            return Window.BEFORE_THE_CALL
        done = len(self.asked) == len(self.answered)
        return Window.BEFORE_THE_RECORD if done else Window.DURING_THE_CALL

    @property
    def last_heard_of(self) -> float:
        """When its claim was granted or last renewed, in seconds."""
        return max([self.granted.at, *(each.at for each in self.renewed)])


type Attempts = Mapping[str, Sequence[Attempt]]
"""By their steps, in the order in which they were granted."""


def attempts_of(observed: Observed) -> Attempts:
    """The attempts that were seen."""
    by_owner: dict[str, Attempt] = {}
    by_step: dict[str, list[Attempt]] = {}
    drained: set[str] = set()
    for seen in observed.seen:
        if isinstance(seen, Granted):
            by_owner[seen.owner] = Attempt(seen)
            by_step.setdefault(seen.step, []).append(by_owner[seen.owner])
        elif isinstance(seen, Stopped) and seen.drained:
            drained.add(seen.process)
        else:
            attempt = by_owner.get(getattr(seen, "owner", ""))
            if attempt is not None:
                _add(attempt, seen, drained)
    return by_step


def _add(attempt: Attempt, seen: Seen, drained: set[str]) -> None:
    match seen:
        case Renewed():
            attempt.renewed.append(seen)
        case Began():
            attempt.began = True
        case Asked():
            attempt.asked.append(seen)
        case Answered():
            attempt.answered.append(seen)
        case Recorded() | Released():
            attempt.ended = attempt.ended or seen
            attempt.drained = isinstance(seen, Released) and seen.owner.partition("/")[0] in drained


def made_again(attempts: Sequence[Attempt]) -> Iterable[Attempt]:
    """Those that were lost, and after which the step's agent was called again; or may have been, if that is lost."""
    for number, attempt in enumerate(attempts):
        if attempt.lost and any(later.began or later.lost for later in attempts[number + 1 :]):
            yield attempt
