"""Every pattern against everything that can happen to each of its agents, exhaustively for small runs.

To add a pattern, add a `Case`: its request, the steps that a perfect run takes, and what of it is required.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pytest

from shared.contracts import Usage
from shared.status import RunStatus
from tests.support.documents import a_failure, a_result
from tests.support.pattern_run import PatternRun


class Fate(StrEnum):
    """What becomes of an agent that is asked."""

    ANSWERS = "answers"
    FAILS = "fails"
    TIMES_OUT = "times_out"
    IS_REFUSED = "is_refused"
    ANSWERS_LATE = "answers_late"
    ANSWERS_TWICE = "answers_twice"


GOOD = frozenset({Fate.ANSWERS, Fate.ANSWERS_TWICE})
OUTCOMES = {
    Fate.ANSWERS: "answered",
    Fate.ANSWERS_TWICE: "answered",
    Fate.FAILS: "failed",
    Fate.IS_REFUSED: "failed",
    Fate.TIMES_OUT: "timed_out",
    Fate.ANSWERS_LATE: "timed_out",
}


@dataclass(frozen=True)
class Case:
    """A small run. `complete` and `enough` say by the good steps whether everything, or enough, is there."""

    name: str
    request: Mapping[str, Any]
    steps: tuple[str, ...]
    complete: Callable[[set[str]], bool]
    enough: Callable[[set[str]], bool]

    def __str__(self) -> str:
        return self.name


def everything(*steps: str) -> Callable[[set[str]], bool]:
    return lambda good: good >= set(steps)


def at_least(count: int, *steps: str) -> Callable[[set[str]], bool]:
    return lambda good: len(good & set(steps)) >= count


ABC = ("a", "b", "c")
STAGE = {"pattern": "parallel", "name": "s", "agents": ["b", "c"], "deadline_seconds": 30}
CASES = (
    Case("sequence", {"pattern": "sequential", "agents": ABC}, ABC, everything(*ABC), everything(*ABC)),
    Case("all", {"pattern": "parallel", "agents": ABC}, ABC, everything(*ABC), everything(*ABC)),
    Case(
        "two of three",
        {"pattern": "parallel", "agents": ABC, "require": {"at_least": 2}},
        ABC,
        everything(*ABC),
        at_least(2, *ABC),
    ),
    Case("race", {"pattern": "parallel", "agents": ABC, "require": "any"}, ABC, at_least(1, *ABC), at_least(1, *ABC)),
    Case(
        "narrow race for two",
        {"pattern": "parallel", "agents": ABC, "require": {"first": 2}, "width": 1},
        ABC,
        at_least(2, *ABC),
        at_least(2, *ABC),
    ),
    Case(
        "merged",
        {"pattern": "parallel", "agents": ["a", "b"], "aggregator": "c", "require": {"at_least": 1}},
        ABC,
        everything(*ABC),
        lambda good: "c" in good and bool(good & {"a", "b"}),
    ),
    Case(
        "stage in a sequence",
        {"pattern": "sequential", "agents": ["a", STAGE], "deadline_seconds": 1200},
        ("a", "s.b", "s.c"),
        everything("a", "s.b", "s.c"),
        everything("a", "s.b", "s.c"),
    ),
    Case(
        "forgiving stage in a sequence",
        {"pattern": "sequential", "agents": [{**STAGE, "require": {"at_least": 1}}, "a"], "deadline_seconds": 1200},
        ("s.b", "s.c", "a"),
        everything("s.b", "s.c", "a"),
        lambda good: "a" in good and bool(good & {"s.b", "s.c"}),
    ),
)


def live(case: Case, fates: Mapping[str, Fate], order: Callable[[list[str]], list[str]]) -> PatternRun:
    """Let everyone meet their fate, in the order given; late answers come once the deadline is over."""
    refused = [step for step, fate in fates.items() if fate is Fate.IS_REFUSED]
    run = PatternRun({"request": "x", "deadline_seconds": 30, **case.request}, refused=refused)
    met: set[str] = set()
    for _ in range(100):
        due = [step for step in order(run.open) if step not in met]
        if due:
            met.add(due[0])
            meet(run, due[0], fates[due[0]])
        elif not run.over:
            run.pass_time(30)
            for step in [step for step in met if fates[step] is Fate.ANSWERS_LATE and step not in run.open]:
                run.answer(step, "late")
    return run


def meet(run: PatternRun, step: str, fate: Fate) -> None:
    match fate:
        case Fate.ANSWERS:
            run.answer(step)
        case Fate.ANSWERS_TWICE:
            run.answer(step)
            run.answer(step, "a second time")
        case Fate.FAILS:
            run.answer(step, a_failure())
        case _:
            pass


def ways(case: Case) -> Iterator[dict[str, Fate]]:
    for fates in itertools.product(Fate, repeat=len(case.steps)):
        yield dict(zip(case.steps, fates, strict=True))


@pytest.mark.parametrize("backwards", [False, True], ids=["in-order", "backwards"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_account_adds_up_and_completed_is_never_said_with_something_missing(case: Case, backwards: bool) -> None:
    def order(steps: list[str]) -> list[str]:
        return list(reversed(steps)) if backwards else steps

    for fates in ways(case):
        run = live(case, fates, order)
        result, outcomes = run.result, run.outcomes()
        good = {step for step, outcome in outcomes.items() if outcome == "answered"}

        assert sorted(outcomes) == sorted(case.steps), fates
        assert len(result.account) == len(case.steps), fates
        for step, outcome in outcomes.items():
            assert outcome in (OUTCOMES[fates[step]], "skipped"), (step, fates)
            if outcome == "timed_out":
                assert fates[step] not in GOOD, fates
        assert (result.status is RunStatus.COMPLETED) == case.complete(good), fates
        assert (result.status in (RunStatus.COMPLETED, RunStatus.PARTIAL)) == case.enough(good), fates
        assert (result.error is None) == case.enough(good), fates
        assert result.usage == sum_of(len(good)), fates
        assert run.updates[-1].result == result, fates


def sum_of(answers: int) -> Usage:
    total = Usage()
    for _ in range(answers):
        total = total.plus(a_result().usage)
    return total


def test_every_fate_has_its_outcome() -> None:
    assert set(OUTCOMES) == set(Fate)
