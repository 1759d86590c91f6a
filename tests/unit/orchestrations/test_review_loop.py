"""The review loop, stepped by hand: rounds, what each is given, and an account that hides nothing."""

import itertools
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrations.door import check_request
from orchestrations.registry import PATTERNS
from orchestrations.requests import ReviewLoopRequest
from orchestrations.review_loop import ReviewLoopResult
from shared.errors import InvalidRequest
from shared.status import RunStatus
from tests.support.documents import a_card, a_failure, a_result
from tests.support.pattern_run import PatternRun

CARDS = {name: a_card(name) for name in ("writer", "reviewer")}
ACCEPT = {"satisfied": True, "problems": [], "summary": "Good."}
REVISE = {"satisfied": False, "problems": ["The title lies."], "summary": "Nearly."}


def a_request(**changes: Any) -> dict[str, Any]:
    return {"pattern": "review-loop", "request": "On tides", "maker": "writer", "checker": "reviewer", **changes}


def a_loop(**changes: Any) -> PatternRun:
    return PatternRun(a_request(**changes))


def ended(run: PatternRun) -> ReviewLoopResult:
    return ReviewLoopResult.model_validate(run.result.result)


def test_a_draft_that_is_accepted_at_once_is_the_result() -> None:
    run = a_loop()
    run.answer("writer", "draft")
    run.answer("reviewer", ACCEPT)
    assert run.result.status is RunStatus.COMPLETED
    assert (ended(run).draft, ended(run).accepted, ended(run).rounds, ended(run).ended) == (
        "draft",
        True,
        1,
        "accepted",
    )
    assert run.outcomes() == {"writer": "answered", "reviewer": "answered"}


def test_the_maker_is_given_its_draft_and_the_review_and_the_checker_the_new_draft_and_the_old_review() -> None:
    run = a_loop()
    run.answer("writer", "first draft")
    assert [each.output for each in run.inputs["reviewer"].earlier] == ["first draft"]
    run.answer("reviewer", REVISE)
    assert [each.output for each in run.inputs["writer-2"].earlier] == ["first draft", REVISE]
    run.answer("writer-2", "second draft")
    assert [each.output for each in run.inputs["reviewer-2"].earlier] == ["second draft", REVISE]
    run.answer("reviewer-2", ACCEPT)
    assert (ended(run).draft, ended(run).rounds, len(ended(run).reviews)) == ("second draft", 2, 2)
    assert run.result.status is RunStatus.COMPLETED
    assert run.inputs["writer-2"].request == "On tides"


def test_rounds_that_run_out_are_a_failure_that_keeps_the_last_draft() -> None:
    run = a_loop(max_rounds=2)
    for number, ending in enumerate(("", "-2")):
        run.answer(f"writer{ending}", f"draft {number}")
        run.answer(f"reviewer{ending}", REVISE)
    assert run.result.status is RunStatus.FAILED
    assert (ended(run).draft, ended(run).accepted, ended(run).ended) == ("draft 1", False, "rounds_run_out")
    assert run.result.error is not None
    assert run.result.error.type == "NotAccepted"


def test_a_draft_that_was_not_accepted_is_partial_when_the_request_says_that_it_will_do() -> None:
    run = a_loop(max_rounds=1, unaccepted="keep")
    run.answer("writer", "draft")
    run.answer("reviewer", REVISE)
    assert (run.result.status, ended(run).draft) == (RunStatus.PARTIAL, "draft")


def test_a_maker_that_sends_back_the_same_draft_is_not_reviewed_again() -> None:
    run = a_loop()
    run.answer("writer", "draft")
    run.answer("reviewer", REVISE)
    run.answer("writer-2", "draft")
    assert "reviewer-2" not in run.sent
    assert ended(run).ended == "unchanged"
    assert run.result.status is RunStatus.FAILED


@pytest.mark.parametrize("output", ["Looks good!", {"satisfied": False}, None, {"verdict": "accept"}])
def test_a_checker_that_returns_rubbish_is_a_failure_and_the_draft_is_kept(output: Any) -> None:
    run = a_loop()
    run.answer("writer", "draft")
    run.answer("reviewer", a_result(output))
    assert run.result.status is RunStatus.FAILED
    assert run.outcomes() == {"writer": "answered", "reviewer": "failed"}
    assert run.result.error is not None
    assert (run.result.error.type, ended(run).draft) == ("InvalidReview", "draft")


def test_a_maker_that_fails_first_leaves_nothing_to_keep() -> None:
    run = a_loop(unaccepted="keep")
    run.answer("writer", a_failure())
    assert (run.result.status, ended(run).draft, ended(run).rounds) == (RunStatus.FAILED, None, 0)


def test_a_pattern_may_be_the_maker() -> None:
    team = {"pattern": "sequential", "name": "team", "agents": ["research", "writer"]}
    run = a_loop(maker=team)
    run.answer("team.research", "dossier")
    run.answer("team.writer", "draft")
    run.answer("reviewer", REVISE)
    assert [each.output for each in run.inputs["team-2.research"].earlier] == ["draft", REVISE]
    run.answer("team-2.research", "dossier 2")
    run.answer("team-2.writer", "draft 2")
    run.answer("reviewer-2", ACCEPT)
    assert ended(run).draft == "draft 2"


# -- everything that can happen ---------------------------------------------------------------------------------

MAKER = ("draft", "same", "fail", "late", "refused", "twice")
CHECKER = ("accept", "revise", "rubbish", "fail", "late", "refused", "twice")


@pytest.mark.parametrize("unaccepted", ["fail", "keep"])
def test_every_loop_ends_and_its_account_adds_up_whatever_maker_and_checker_do(unaccepted: str) -> None:
    for fates in itertools.product(MAKER, CHECKER, MAKER, CHECKER):
        steps = ("writer", "reviewer", "writer-2", "reviewer-2")
        refused = [step for step, fate in zip(steps, fates, strict=True) if fate == "refused"]
        run = PatternRun(a_request(max_rounds=2, unaccepted=unaccepted, deadline_seconds=30), refused=refused)
        for step, fate in zip(steps, fates, strict=True):
            if step in run.open:
                play(run, step, fate)
        check(run, unaccepted)


def play(run: PatternRun, step: str, fate: str) -> None:
    outputs = {"draft": f"by {step}", "same": "the same", "accept": ACCEPT, "revise": REVISE, "rubbish": "fine"}
    match fate:
        case "late":
            run.pass_time(31)
            run.raise_reply(step, a_result("too late").model_dump(mode="json"))
        case "fail":
            run.answer(step, a_failure())
        case "twice":
            run.answer(step, ACCEPT if step.startswith("reviewer") else f"by {step}")
            run.raise_reply(step, a_result("again").model_dump(mode="json"))
        case _:
            run.answer(step, outputs[fate])


def check(run: PatternRun, unaccepted: str) -> None:
    result, outcomes = ended(run), list(run.outcomes().values())
    assert all(outcome == "answered" for outcome in outcomes[:-1])
    assert result.accepted == (run.result.status is RunStatus.COMPLETED)
    if result.accepted:
        assert outcomes[-1] == "answered"
        assert result.reviews[-1].satisfied
    else:
        kept = unaccepted == "keep" and result.draft is not None
        assert run.result.status is (RunStatus.PARTIAL if kept else RunStatus.FAILED)
        assert run.result.error is not None
    assert (result.ended == "failed") == (outcomes[-1] != "answered")


# -- the request ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"maker": "NO"}, "maker"),
        ({"checker": {"agent": "x", "surprise": 1}}, "checker"),
        ({"max_rounds": 0}, "max_rounds"),
        ({"max_rounds": 11}, "max_rounds"),
        ({"unaccepted": "shrug"}, "unaccepted"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_request_that_makes_no_loop_is_refused_by_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ReviewLoopRequest.model_validate(a_request(**changes))
    assert ".".join(str(part) for part in caught.value.errors()[0]["loc"]).startswith(field)


@pytest.mark.parametrize("checker", ["writer", "writer-2"])
def test_a_maker_and_a_checker_whose_names_could_be_confused_are_refused(checker: str) -> None:
    with pytest.raises(ValidationError, match="checker"):
        ReviewLoopRequest.model_validate(a_request(checker=checker))


def test_a_writer_and_a_reviewer_are_who_is_asked_unless_somebody_else_is_named() -> None:
    request = ReviewLoopRequest.model_validate({"request": "On tides"})
    assert [placed.name for placed in request.nodes()] == ["writer", "reviewer"]


def test_names_that_leave_no_room_for_the_last_round_are_refused_at_the_door() -> None:
    """The id of a step has 64 characters, and the tenth round adds three to it."""
    deep: dict[str, Any] = {"agent": "reviewer", "name": "c" * 40}
    for length, rounds, fits in ((20, 10, True), (21, 10, False), (22, 1, True)):
        nested = a_request(name="n" * length, request=None, checker=deep, max_rounds=rounds)
        outer = PATTERNS["sequential"].request.model_validate({"request": "?", "agents": [nested]})
        if fits:
            check_request(outer, CARDS)
        else:
            with pytest.raises(InvalidRequest) as caught:
                check_request(outer, CARDS)
            assert caught.value.field == "agents.0.checker"
