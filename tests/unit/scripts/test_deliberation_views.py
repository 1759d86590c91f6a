"""How the demo draws votes, conversations and review loops, while they go on and once they are over."""

import io
from typing import Any

import pytest
from rich.console import Console

from scripts.deliberation_views import VIEWS
from tests.support.pattern_run import PatternRun

VOTE = {"pattern": "consensus", "request": "?", "voters": ["a", "b", "c"], "options": ["yes", "no"]}
TALK = {"pattern": "handoff", "request": "?", "specialists": ["billing"]}
LOOP = {"pattern": "review-loop", "request": "?"}


def a_task(run: PatternRun, outputs: dict[str, Any]) -> dict[str, Any]:
    """A run as the API shows it, as far as the views look at it."""
    over = run.result if run.over else None
    names = list(dict.fromkeys([*run.sent, *(run.outcomes() if over else ())]))
    status = {step: "succeeded" if step in outputs else "running" if step in run.sent else "skipped" for step in names}
    steps = [
        {"step_id": step, "name": step, "status": status[step], "result": outputs.get(step), "error": None}
        for step in names
    ]
    error = over.error.model_dump() if over and over.error else None
    result = over.result if over else None
    return {"status": over.status.value if over else "running", "steps": steps, "result": result, "error": error}


def drawn(request: dict[str, Any], **outputs: Any) -> str:
    """What a run of the request looks like after these answers; steps have `_` for `-`."""
    answers = {step.replace("_", "-"): output for step, output in outputs.items()}
    run = PatternRun(request)
    for step, output in answers.items():
        run.answer(step, output)
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(VIEWS[request["pattern"]](a_task(run, answers)))
    return console.export_text()


def test_a_vote_shows_ballots_as_they_come() -> None:
    text = drawn(VOTE, a={"choice": "yes", "reason": "It is so."})
    assert "✓  a  yes  It is so." in text
    assert "▸  b" in text


def test_a_vote_that_is_over_shows_the_count_the_verdict_and_who_was_against() -> None:
    text = drawn(VOTE, a={"choice": "yes"}, b={"choice": "no"}, c={"choice": "yes"})
    for part in ("2 votes", "1 votes", "3 cast, 2 needed, margin 1", "yes, decided by vote, against b"):
        assert part in text


def test_a_vote_that_ended_early_shows_who_was_called_off() -> None:
    text = drawn(VOTE, a={"choice": "yes"}, b={"choice": "yes"})
    assert "c  called off" in text
    assert "before everybody was asked" in text


def test_rankings_and_abstentions_are_shown() -> None:
    rule = {**VOTE, "rule": "borda"}
    text = drawn(rule, a={"ranking": ["yes", "no"]}, b={"reason": "Who knows."}, c={"ranking": ["yes", "no"]})
    assert "yes > no" in text
    assert "b  abstained" in text


def test_a_vote_without_a_decision_says_why() -> None:
    text = drawn(VOTE, a="rubbish", b="rubbish")
    assert "no decision" in text
    assert "failed: 0 of the 2 ballots needed were cast" in text


def test_a_conversation_shows_its_way_and_the_reply() -> None:
    text = drawn(TALK, router={"pass_to": "billing", "reason": "Money."}, billing={"reply": "Paid back."})
    assert "→ billing  Money." in text
    assert "billing: Paid back." in text


def test_a_pass_that_was_refused_is_shown() -> None:
    text = drawn(TALK, router={"pass_to": "ghost"}, router_2={"reply": "Hello."})
    assert "router may not pass to ghost" in text


def test_a_review_loop_shows_each_round_and_what_was_to_be_revised() -> None:
    revise = {"satisfied": False, "problems": ["The title lies."], "summary": ""}
    accept = {"satisfied": True, "problems": [], "summary": ""}
    text = drawn(LOOP, writer="a draft", reviewer=revise, writer_2="a new draft", reviewer_2=accept)
    for part in ("round 1", "2 words", "to be revised", "The title lies.", "round 2", "accepted in round 2"):
        assert part in text


@pytest.mark.parametrize("request_", [VOTE, TALK, LOOP])
def test_a_run_that_has_only_begun_can_be_drawn(request_: dict[str, Any]) -> None:
    assert "▸" in drawn(request_)
