"""Every promise of `tests/support/fault_plans/promises.py` is kept under random fault plans, for each pattern.

A plan says which calls of the app on the world around it go wrong, and how; it is carried out by the app's own
orchestrators, runner, consumers and stores on virtual time.
`--fault-plans N` carries out more of them for each pattern, `--fault-seed S` begins with the plan that failed.
"""

import random
import sys

import pytest

from tests.support.fault_plans.attempts import Window, attempts_of
from tests.support.fault_plans.observed import Began, Stopped
from tests.support.fault_plans.plan import Fault, FaultPlan, Kind
from tests.support.fault_plans.simulation import carry_out
from tests.support.fault_plans.verdict import first_breaches, quiet, told, verdict

# The SDK advises once in a process; an app's own tests would see the same.
pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")

PATTERNS = ("sequential", "parallel", "hierarchical", "event-driven", "consensus", "handoff", "review-loop")
BEFORE_THE_RECORD = Window.BEFORE_THE_RECORD


def carry_out_plans(request: pytest.FixtureRequest, pattern: str) -> None:
    """Carry out as many plans as were asked for."""
    count: int = request.config.getoption("--fault-plans")
    chosen: int | None = request.config.getoption("--fault-seed")
    first = random.randrange(2**32) if chosen is None else chosen
    sys.stdout.write(f"\nfault plans of {pattern}: seeds {first} to {first + count - 1}\n")
    broken = first_breaches(pattern, iter(range(first, first + count)))
    if broken is not None:
        pytest.fail(told(*broken), pytrace=False)


# A class for each pattern, so that processes that share the tests share the patterns.


class TestSequential:
    def test_keeps_every_promise_whatever_goes_wrong(self, request: pytest.FixtureRequest) -> None:
        carry_out_plans(request, "sequential")


class TestParallel:
    def test_keeps_every_promise_whatever_goes_wrong(self, request: pytest.FixtureRequest) -> None:
        carry_out_plans(request, "parallel")


class TestHierarchical:
    def test_keeps_every_promise_whatever_goes_wrong(self, request: pytest.FixtureRequest) -> None:
        carry_out_plans(request, "hierarchical")


class TestEventDriven:
    def test_keeps_every_promise_whatever_goes_wrong(self, request: pytest.FixtureRequest) -> None:
        carry_out_plans(request, "event-driven")


class TestConsensus:
    def test_keeps_every_promise_whatever_goes_wrong(self, request: pytest.FixtureRequest) -> None:
        carry_out_plans(request, "consensus")


class TestHandoff:
    def test_keeps_every_promise_whatever_goes_wrong(self, request: pytest.FixtureRequest) -> None:
        carry_out_plans(request, "handoff")


class TestReviewLoop:
    def test_keeps_every_promise_whatever_goes_wrong(self, request: pytest.FixtureRequest) -> None:
        carry_out_plans(request, "review-loop")


class TestTheWindow:
    """The window between a model's answer and the record, in patterns in which one agent works at a time."""

    @pytest.mark.parametrize("pattern", ["handoff", "review-loop"])
    def test_calls_repeated_equals_the_crashes_in_the_window_after_which_the_agent_was_called_again(
        self, pattern: str
    ) -> None:
        crashes = 0
        for seed in range(60):
            plan = window_plan(pattern, seed)
            with quiet():
                observed = carry_out(plan)
            attempts = [each for of_step in attempts_of(observed).values() for each in of_step]
            stops = [each.seq for each in observed.all(Stopped)]
            begun = [each.seq for each in observed.all(Began)]
            in_window = [each for each in attempts if each.lost and each.asked and each.window is BEFORE_THE_RECORD]
            assert len(in_window) == len(stops), "every crash is in the window"
            again = [stop for stop in stops if stop < max(begun)]
            assert observed.ending.calls_repeated == len(again), str(plan)
            crashes += len(again)
        assert crashes > 30, "they are repeated in most of the plans"


class TestOutages:
    """Stores and buses that are away for longer than a few tries."""

    @pytest.mark.parametrize("pattern", PATTERNS)
    @pytest.mark.parametrize(
        ("operation", "first"), [("advance_run", 1), ("advance_run", 2), ("create_run", 1), ("record_step", 1)]
    )
    def test_a_store_that_is_away_for_minutes_leaves_no_run_that_never_ends(
        self, pattern: str, operation: str, first: int
    ) -> None:
        plan = FaultPlan(pattern, 0, (Fault(operation, first, Kind.REFUSED, times=9),))
        assert verdict(plan) == []

    @pytest.mark.parametrize("first", [1, 2])
    def test_a_store_that_is_away_for_minutes_while_a_run_is_cancelled_leaves_none_that_is_cancelling_for_ever(
        self, first: int
    ) -> None:
        faults = (Fault("model", 1, Kind.SLOW, 60), Fault("read_run", first, Kind.REFUSED, times=9))
        assert verdict(FaultPlan("sequential", 0, faults, cancelled_after=1)) == []


def window_plan(pattern: str, seed: int) -> FaultPlan:
    """One to three crashes, all after an answer that came and before it is recorded."""
    chance = random.Random(seed)
    faults = [Fault("model", chance.randint(1, 4), Kind.DIES_AFTER) for _ in range(chance.randint(1, 3))]
    return FaultPlan(pattern, seed, tuple(faults), lock_seconds=chance.choice((30, 60)))
