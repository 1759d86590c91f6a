"""The decisions of a review loop."""

from typing import Any

import pytest

from orchestrations.reviews import after_review, nothing_changed, read_review
from shared.contracts import ErrorInfo
from shared.reviews import Review

CONTENT = Review(satisfied=True)
DISCONTENT = Review(satisfied=False, problems=("The title lies.",))


def test_a_checker_that_is_satisfied_ends_the_loop_in_any_round() -> None:
    assert [after_review(CONTENT, number, 3) for number in (1, 2, 3)] == ["accepted"] * 3


def test_a_checker_that_is_not_satisfied_gives_the_maker_another_round_until_they_run_out() -> None:
    assert [after_review(DISCONTENT, number, 3) for number in (1, 2, 3)] == ["again", "again", "rounds_run_out"]
    assert after_review(DISCONTENT, 1, 1) == "rounds_run_out"


def test_a_satisfied_checker_may_still_remark_on_something() -> None:
    review = read_review({"satisfied": True, "problems": ["A comma is missing."], "summary": "Good."})
    assert isinstance(review, Review)
    assert after_review(review, 1, 1) == "accepted"


@pytest.mark.parametrize(
    "output",
    [
        None,
        "accept",
        "satisfied",
        True,
        [],
        {},
        {"satisfied": "perhaps"},
        {"satisfied": False},
        {"satisfied": False, "problems": []},
        {"satisfied": False, "problems": ["  "]},
        {"satisfied": False, "problems": "many"},
        {"satisfied": False, "problems": ["x" * 1001]},
        {"satisfied": False, "problems": ["x"] * 21},
        {"satisfied": True, "surprise": 1},
    ],
)
def test_rubbish_is_no_review_and_the_error_says_why(output: Any) -> None:
    error = read_review(output)
    assert isinstance(error, ErrorInfo)
    assert error.type == "InvalidReview"
    assert error.message


def test_a_maker_that_sends_back_the_same_draft_has_nothing_new_to_be_reviewed() -> None:
    assert nothing_changed({"text": "a"}, {"text": "a"})
    assert not nothing_changed("a", "b")
