"""Every promise of `tests/support/fault_plans/promises.py` is kept under random fault plans, for each pattern.

A plan says which calls of the app on the world around it go wrong, and how; it is carried out by the app's own
orchestrators, runner, consumers and stores on virtual time. `--fault-plans N` carries out more of them for each
pattern, `--fault-seed S` begins with the plan that failed.
"""

import random
import sys

import pytest

from tests.support.fault_plans.verdict import first_breaches, told

# The SDK advises once in a process; an app's own tests would see the same.
pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")


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
