"""Agents that hold a conversation: they reply or pass it on, and to nobody who is not offered."""

from typing import Any

import pytest
from pydantic import ValidationError

from agents.desk import as_turn, read_paper, turn_model
from shared.contracts import AgentInput
from shared.errors import InvalidRequest
from shared.turns import Colleague, Turn, TurnPaper

COLLEAGUES = (Colleague(name="billing", description="Money."), Colleague(name="technical", description="Machines."))
PAPER = TurnPaper(request="My card expired.", colleagues=COLLEAGUES, passes_left=3)


def filled(paper: TurnPaper, pass_to: str, reply: str = "") -> Turn:
    return as_turn(turn_model(paper).model_validate({"reason": "r", "pass_to": pass_to, "reply": reply}).model_dump())


def test_a_holder_passes_on_to_a_colleague_and_a_half_written_reply_is_left_out() -> None:
    assert filled(PAPER, "billing", "Well, ...") == Turn(pass_to="billing", reason="r")


def test_a_holder_that_passes_to_nobody_replies() -> None:
    assert filled(PAPER, "nobody", "Hello.") == Turn(reply="Hello.", reason="r")


@pytest.mark.parametrize(
    ("paper", "pass_to"),
    [
        (PAPER, "ghost"),
        (TurnPaper(request="?"), "billing"),
        (PAPER.model_copy(update={"must_reply": "the conversation was passed on 5 times already"}), "billing"),
    ],
)
def test_nobody_can_be_passed_to_who_is_not_offered(paper: TurnPaper, pass_to: str) -> None:
    with pytest.raises(ValidationError):
        filled(paper, pass_to)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ("Help!", "input.request"),
        ({}, "input.request.request"),
        ({"request": "Help!", "colleagues": [{"name": "billing"}]}, "input.request.colleagues.0.description"),
        ({"request": "Help!", "passes_left": -1}, "input.request.passes_left"),
    ],
)
def test_a_request_that_is_no_conversation_is_refused_by_field(request_: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_paper(AgentInput(request=request_))
    assert caught.value.field == field
