"""The decisions of a review loop: what a checker's answer means, and whether the maker gets another round."""

from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue, ValidationError

from shared.contracts import ErrorInfo
from shared.reviews import Review

type NextRound = Literal["accepted", "again", "rounds_run_out"]


@dataclass(frozen=True, slots=True)
class Round:
    """One round that is over: what was made and what the checker said of it."""

    draft: JsonValue
    review: Review


def read_review(output: JsonValue) -> Review | ErrorInfo:
    """A checker's answer as a review, or what is wrong with it.

    Text is no review: whether a draft is accepted is not to be guessed from a sentence.
    """
    try:
        return Review.model_validate(output)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        return ErrorInfo(type="InvalidReview", message=f"{where}: {first['msg']}")


def after_review(review: Review, number: int, rounds: int) -> NextRound:
    """What follows from the review of round `number`, counted from 1, of at most `rounds`."""
    if review.satisfied:
        return "accepted"
    return "again" if number < rounds else "rounds_run_out"


def nothing_changed(before: JsonValue, after: JsonValue) -> bool:
    """Whether a maker sent back what it had made before, so that another review could say nothing new."""
    return before == after
