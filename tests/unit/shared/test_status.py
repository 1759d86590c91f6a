"""The status tables, cell by cell."""

from collections.abc import Mapping
from enum import StrEnum

import pytest

from shared.contracts import AgentResult, RunResult
from shared.errors import IllegalTransition
from shared.status import (
    RUN_TRANSITIONS,
    STEP_TRANSITIONS,
    RunStatus,
    StepStatus,
    check_transition,
    run_is_over,
    step_is_over,
)

RUN = {
    "pending": "running cancelling completed partial failed cancelled budget_exhausted",
    "running": "cancelling completed partial failed cancelled budget_exhausted",
    "cancelling": "cancelled",
    "completed": "",
    "partial": "",
    "failed": "",
    "cancelled": "",
    "budget_exhausted": "",
}
STEP = {
    "pending": "running succeeded failed skipped timed_out rejected",
    "running": "running waiting parked succeeded failed skipped timed_out rejected",
    "waiting": "running succeeded failed skipped timed_out rejected",
    "succeeded": "",
    "failed": "",
    "skipped": "",
    "timed_out": "",
    "rejected": "",
    "parked": "running",
}


def moves[S: StrEnum](table: Mapping[S, frozenset[S]]) -> dict[str, set[str]]:
    return {str(before): {str(after) for after in allowed} for before, allowed in table.items()}


def test_a_run_moves_as_the_table_here_says_and_in_no_other_way() -> None:
    assert moves(RUN_TRANSITIONS) == {before: set(after.split()) for before, after in RUN.items()}


def test_a_step_moves_as_the_table_here_says_and_in_no_other_way() -> None:
    assert moves(STEP_TRANSITIONS) == {before: set(after.split()) for before, after in STEP.items()}


@pytest.mark.parametrize("before", RunStatus)
@pytest.mark.parametrize("after", RunStatus)
def test_a_move_of_a_run_is_checked_against_the_table(before: RunStatus, after: RunStatus) -> None:
    if after in RUN[before].split():
        check_transition(RUN_TRANSITIONS, before, after)
    else:
        with pytest.raises(IllegalTransition, match=f"from {before} to {after}"):
            check_transition(RUN_TRANSITIONS, before, after)


@pytest.mark.parametrize("before", StepStatus)
@pytest.mark.parametrize("after", StepStatus)
def test_a_move_of_a_step_is_checked_against_the_table(before: StepStatus, after: StepStatus) -> None:
    if after in STEP[before].split():
        check_transition(STEP_TRANSITIONS, before, after)
    else:
        with pytest.raises(IllegalTransition, match=f"from {before} to {after}"):
            check_transition(STEP_TRANSITIONS, before, after)


def test_what_is_over_is_what_has_no_moves_left() -> None:
    assert {str(status) for status in RunStatus if run_is_over(status)} == {
        name for name, moves in RUN.items() if not moves
    }
    assert {str(status) for status in StepStatus if step_is_over(status)} == {
        name for name, moves in STEP.items() if not moves
    }


def test_a_result_bears_exactly_the_statuses_that_are_over_or_left_to_a_person() -> None:
    def literals(contract: type[AgentResult] | type[RunResult]) -> set[str]:
        return set(contract.model_json_schema()["properties"]["status"]["enum"])

    assert literals(AgentResult) == {
        str(status) for status in StepStatus if step_is_over(status) or status is StepStatus.PARKED
    }
    assert literals(RunResult) == {str(status) for status in RunStatus if run_is_over(status)}
