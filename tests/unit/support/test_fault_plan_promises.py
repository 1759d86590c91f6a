"""The promises that fault plans are judged by can each be broken: by one thing in what was seen that is otherwise."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from shared.contracts import ErrorInfo, Usage
from shared.state.documents import Attempt, RunRecord
from shared.status import RunStatus, StepStatus
from tests.support.documents import NOW
from tests.support.fault_plans.evidence import Evidence
from tests.support.fault_plans.observed import (
    Advanced,
    Affected,
    Answered,
    Asked,
    Began,
    Completed,
    Granted,
    Observed,
    Recorded,
    Released,
    Seen,
    Sent,
    Stopped,
    Told,
    Unanswered,
)
from tests.support.fault_plans.plan import Fault, FaultPlan, Kind
from tests.support.fault_plans.promises import PROMISES, breaches
from tests.support.fault_plans.simulation import asked_of, carry_out

pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")

PLAN = FaultPlan("review-loop", 3)


@cache
def sound() -> Observed:
    """A run in which nothing goes wrong: alpha drafts, the checker reviews."""
    return carry_out(PLAN)


def judged(observed: Observed, plan: FaultPlan = PLAN) -> set[str]:
    """The promises that are not kept."""
    return {breach.promise for breach in breaches(Evidence(plan, asked_of(plan), observed))}


def renumbered(seen: list[Seen]) -> Observed:
    """The sound run, with these events in this order instead."""
    return replace(sound(), seen=tuple(replace(each, seq=number) for number, each in enumerate(seen, start=1)))


def without(unwanted: Callable[[Seen], bool]) -> Observed:
    return renumbered([each for each in sound().seen if not unwanted(each)])


def then(*more: Seen) -> Observed:
    """The sound run, and then something else."""
    return renumbered([*sound().seen, *more])


def with_ending(**changes: Any) -> Observed:
    return replace(sound(), ending=replace(sound().ending, **changes))


def record() -> RunRecord:
    found = sound().ending.record
    assert found is not None
    return found


def with_result(**changes: Any) -> Observed:
    """The sound run, whose document says something else of its result, as the orchestration does."""
    run = record().run
    assert run.result is not None
    result = run.result.model_copy(update=changes)
    changed = record().model_copy(update={"run": run.model_copy(update={"result": result})})
    return with_ending(record=changed, output=result.model_dump(mode="json"))


def with_step(**changes: Any) -> Observed:
    """The sound run, whose first step's document says something else."""
    first, *others = record().steps
    return with_ending(record=record().model_copy(update={"steps": (first.model_copy(update=changes), *others)}))


def owner_of() -> str:
    return next(each.owner for each in sound().all(Granted) if each.step == "alpha")


def test_a_run_in_which_nothing_goes_wrong_breaks_no_promise() -> None:
    assert judged(sound()) == set()
    assert len(list(sound().all(Asked))) > 1


def test_every_promise_has_a_test_here() -> None:
    assert {promise.__name__ for promise in PROMISES} == {name for name, _ in BROKEN}


def of_a_step(kind: type[Any]) -> Callable[[Seen], bool]:
    return lambda each: isinstance(each, kind) and each.step == "alpha"


def lost_attempt() -> Attempt:
    error = ErrorInfo(type="RunnerLost", message="gone", retryable=True)
    return Attempt(attempt=1, started_at=NOW, ended_at=NOW + timedelta(seconds=60), error=error, answer_lost=True)


def of_message(kind: type[Any]) -> Callable[[Seen], bool]:
    return lambda each: isinstance(each, kind) and each.queue == "alpha-tasks"


def taken_over(after: float) -> Observed:
    """Alpha's step is given to another so many seconds after its owner was last heard of."""
    begun = next(each for each in sound().all(Granted) if each.step == "alpha")
    seen = [each for each in sound().seen if not (getattr(each, "owner", "") == begun.owner and each.seq > begun.seq)]
    seen.insert(seen.index(begun) + 1, Granted(0, begun.at + after, "alpha", "somebody-else"))
    return renumbered(seen)


BROKEN: list[tuple[str, Callable[[], Observed]]] = [
    ("every_run_ends", lambda: with_ending(record=None)),
    ("every_run_ends", lambda: with_ending(orchestration="running")),
    ("every_run_ends", lambda: with_ending(orchestration="failed")),
    ("every_run_ends", lambda: with_ending(lying=frozenset({("alpha-tasks", "another")}))),
    (
        "every_run_ends",
        lambda: with_ending(
            record=record().model_copy(update={"run": record().run.model_copy(update={"status": RunStatus.RUNNING})})
        ),
    ),
    ("every_run_ends", lambda: renumbered([Advanced(0, 1e5, RunStatus.COMPLETED), *sound().seen])),
    ("the_account_is_whole", lambda: with_result(account=())),
    ("the_account_is_whole", lambda: with_result(account=record().run.result.account * 2)),  # type: ignore[union-attr]
    ("the_account_is_whole", lambda: with_ending(output={"status": "failed"})),
    ("the_account_is_true", lambda: with_step(status=StepStatus.FAILED)),
    ("the_account_is_true", lambda: with_result(status=RunStatus.COMPLETED, account=())),
    ("the_usage_adds_up", lambda: with_result(usage=Usage())),
    ("the_usage_adds_up", lambda: with_result(usage=Usage(input_tokens=10**6, cost_usd=None))),
    ("no_call_is_made_for_a_recorded_step", lambda: then(Asked(0, 9.0, owner_of(), 99))),
    ("no_call_is_made_for_a_recorded_step", lambda: then(Asked(0, 9.0, "nobody", 99))),
    ("one_owner_at_a_time", lambda: taken_over(59)),
    ("calls_repeated_is_exact", lambda: with_step(attempts=(lost_attempt(),))),
    ("calls_repeated_is_exact", lambda: with_ending(calls_repeated=1)),
    (
        "calls_repeated_is_exact",
        lambda: renumbered([Granted(0, 0.0, "alpha", "lost"), *sound().seen]),
    ),
    ("nobody_is_told_before_the_record", lambda: then(Told(0, 9.0, "alpha", StepStatus.FAILED, "Broken"))),
    ("nobody_is_told_before_the_record", lambda: without(of_a_step(Recorded))),
    ("no_message_is_lost", lambda: without(of_message(Completed))),
    ("no_message_is_lost", lambda: then(Sent(0, 9.0, "alpha-tasks", "another", ("alpha",), True))),
    ("no_message_is_lost", lambda: without(of_a_step(Recorded))),
    ("who_waits_is_told", lambda: without(of_a_step(Told))),
    (
        "a_failed_call_is_tried_again_only_by_the_queue",
        lambda: renumbered([Unanswered(0, 0.0, owner_of(), 0), *sound().seen]),
    ),
    (
        "a_failed_call_is_tried_again_only_by_the_queue",
        lambda: renumbered([Granted(0, 0, "alpha", "first"), Released(0, 0, "alpha", "first"), *sound().seen]),
    ),
    ("what_is_unsafe_is_done_once", lambda: then(Affected(0, 1.0, owner_of()), Affected(0, 9.0, owner_of()))),
    ("what_is_unsafe_is_done_once", lambda: then(Affected(0, 1.0, "nobody"))),
]


@pytest.mark.parametrize(("promise", "seen"), BROKEN)
def test_a_promise_that_is_not_kept_is_told(promise: str, seen: Callable[[], Observed]) -> None:
    assert promise in judged(seen())


def test_a_step_may_be_taken_over_once_its_owner_was_not_heard_of_for_a_lease() -> None:
    assert "one_owner_at_a_time" not in judged(taken_over(60))


def test_clocks_that_are_wrong_by_the_plan_excuse_an_early_takeover_by_as_much() -> None:
    wrong = replace(PLAN, faults=(Fault("claim_step", 1, Kind.JUMPS, 30),))
    assert "one_owner_at_a_time" in judged(taken_over(20), wrong)
    assert "one_owner_at_a_time" not in judged(taken_over(31), wrong)


def test_a_lost_answer_that_was_made_again_counts_only_when_an_agent_was_called_again() -> None:
    lost = [Granted(0, 0.0, "alpha", "lost"), Asked(0, 0.0, "lost", 90), Answered(0, 1.0, "lost", 90, (1, 1))]
    again = renumbered([*lost, Stopped(0, 1.0, "lost", False), *sound().seen])
    assert "calls_repeated_is_exact" in judged(again)
    uncalled = [each for each in again.seen if not (isinstance(each, Began) and each.owner == owner_of())]
    assert "calls_repeated_is_exact" not in judged(renumbered(uncalled))
