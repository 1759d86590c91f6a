"""Agents that vote: a form in which nothing can be chosen that is not on the paper, and a ballot in the end."""

from typing import Any

import pytest
from pydantic import ValidationError

from agents.voter import as_answer, ballot_model, read_paper
from shared.ballots import BallotAnswer, BallotPaper
from shared.contracts import AgentInput
from shared.errors import InvalidRequest

OPTIONS = ("allow", "remove")


def paper(**changes: Any) -> BallotPaper:
    return BallotPaper.model_validate({"question": "?", "options": OPTIONS, **changes})


def filled(given: BallotPaper, **fields: Any) -> BallotAnswer:
    ballot = ballot_model(given).model_validate({"reason": "So it is.", **fields})
    return as_answer(given, ballot.model_dump(mode="json"))


def test_a_choice_is_one_of_the_options() -> None:
    assert filled(paper(), choice="allow") == BallotAnswer(choice="allow", reason="So it is.")


def test_a_voter_may_abstain_and_say_why() -> None:
    assert filled(paper(), choice="abstain") == BallotAnswer(reason="So it is.")


def test_a_score_lies_on_the_papers_scale() -> None:
    assert filled(paper(answer="score", low=1, high=5), score=4.5).score == 4.5


def test_a_ranking_has_as_many_places_as_there_are_options() -> None:
    assert filled(paper(answer="ranking"), place_1="remove", place_2="allow").ranking == ("remove", "allow")


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        (paper(), {"choice": "ghost"}),
        (paper(), {"choice": None}),
        (paper(may_abstain=False), {"choice": "abstain"}),
        (paper(), {}),
        (paper(), {"choice": "allow", "score": 1}),
        (paper(), {"choice": "allow", "reason": "x" * 2001}),
        (paper(answer="score"), {"score": 10.5}),
        (paper(answer="score"), {"choice": "allow"}),
        (paper(answer="ranking"), {"place_1": "allow"}),
        (paper(answer="ranking"), {"place_1": "allow", "place_2": "ghost"}),
        (paper(answer="ranking"), {"place_1": "allow", "place_2": "remove", "place_3": "allow"}),
    ],
)
def test_a_form_that_is_filled_in_wrongly_is_no_ballot(given: BallotPaper, fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        filled(given, **fields)


@pytest.mark.parametrize("answer", ["choice", "score", "ranking"])
def test_the_reason_is_asked_for_before_the_answer(answer: str) -> None:
    properties = list(ballot_model(paper(answer=answer)).model_json_schema()["properties"])
    assert properties[:2] == ["reason", "place_1" if answer == "ranking" else answer]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ("Is this right?", "input.request"),
        (None, "input.request"),
        ({"question": "?"}, "input.request.options"),
        ({"question": "?", "options": []}, "input.request.options"),
        ({"question": "?", "options": ["a"], "answer": "essay"}, "input.request.answer"),
        ({"question": "?", "options": ["a"], "surprise": 1}, "input.request.surprise"),
    ],
)
def test_a_request_that_is_no_ballot_paper_is_refused_by_field(request_: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_paper(AgentInput(request=request_))
    assert caught.value.field == field
