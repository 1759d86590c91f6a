"""What was charged: counted by operation, and handed out for each run once."""

import pytest

from shared.state.charges import Charges


def test_operations_and_units_are_counted_by_operation() -> None:
    charges = Charges()
    for units in (1.0, 2.5):
        charges.add("read", "run-1", units)
    charges.add("query", None, 4.0)
    assert dict(charges.operations) == {"read": 2, "query": 1}
    assert dict(charges.request_units) == {"read": 3.5, "query": 4.0}


def test_what_a_run_cost_is_handed_to_one_writer_only_and_can_be_given_back() -> None:
    charges = Charges()
    charges.add("read", "run-1", 1.5)
    charges.add("read", "run-2", 9.0)
    assert (charges.take("run-1"), charges.take("run-1")) == (1.5, 0.0)
    charges.add("patch", "run-1", 2.0)
    charges.give_back("run-1", 1.5)
    assert charges.unreported("run-1") == pytest.approx(3.5)
    assert charges.unreported("run-2") == 9.0


def test_only_the_runs_of_late_are_remembered() -> None:
    charges = Charges()
    for number in range(1500):
        charges.add("read", f"run-{number}", 1.0)
    assert (charges.unreported("run-0"), charges.unreported("run-1499")) == (0.0, 1.0)
    assert charges.operations["read"] == 1500
