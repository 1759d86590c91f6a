"""The consensus pattern, stepped by hand: who is asked when, what ends the vote, and an account that hides nothing."""

import itertools
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrations.consensus_result import ConsensusResult
from orchestrations.requests import ConsensusRequest
from shared.ballots import BallotPaper
from shared.contracts import AgentResult, Usage
from shared.status import RunStatus
from tests.support.documents import a_card, a_failure, a_result
from tests.support.pattern_run import PatternRun

FIVE = ["a", "b", "c", "d", "e"]


def a_request(voters: Any = FIVE, **changes: Any) -> dict[str, Any]:
    return {
        "pattern": "consensus",
        "request": "Is it so?",
        "voters": list(voters),
        "options": ["yes", "no"],
        **changes,
    }


def a_vote(voters: Any = FIVE, **changes: Any) -> PatternRun:
    return PatternRun(a_request(voters, **changes))


def decided(run: PatternRun) -> ConsensusResult:
    return ConsensusResult.model_validate(run.result.result)


def ballots(run: PatternRun) -> dict[str, str]:
    return {each.voter: each.choice or str(each.abstention) for each in decided(run).ballots}


# -- the vote ---------------------------------------------------------------------------------------------------


def test_every_voter_asked_gets_the_same_ballot_paper() -> None:
    run = a_vote("abc")
    run.answer("a", {"choice": "yes"})
    run.answer("b", {"choice": "no"})
    papers = [BallotPaper.model_validate(run.inputs[voter].request) for voter in "abc"]
    assert papers == [BallotPaper(question="Is it so?", options=("yes", "no"))] * 3


def test_a_vote_of_five_decided_by_the_first_three_asks_nobody_else() -> None:
    run = a_vote()
    assert run.open == ["a", "b", "c"]
    for voter in "abc":
        run.answer(voter, {"choice": "yes", "reason": "It is."})
    assert run.over
    assert list(run.sent) == ["a", "b", "c"]
    result = decided(run)
    assert (result.decision, result.decided_by, result.early) == ("yes", "vote", True)
    assert run.result.status is RunStatus.COMPLETED
    assert run.outcomes() == {
        "a": "answered",
        "b": "answered",
        "c": "answered",
        "d": "skipped",
        "e": "skipped",
    }
    assert "decided without it" in str(run.result.account[3].cause)


def test_another_voter_is_asked_only_when_those_asked_cannot_decide_any_more() -> None:
    run = a_vote()
    run.answer("a", {"choice": "yes"})
    assert run.open == ["b", "c"]
    run.answer("b", {"choice": "no"})
    assert run.open == ["c", "d"]
    run.answer("c", {"choice": "no"})
    run.answer("d", {"choice": "no"})
    assert decided(run).decision == "no"
    assert ballots(run) == {"a": "yes", "b": "no", "c": "no", "d": "no", "e": "called_off"}
    assert decided(run).dissent == ("a",)


def test_a_width_asks_so_many_at_once_and_those_under_way_are_called_off() -> None:
    run = a_vote(width=5)
    assert run.open == FIVE
    for voter in "edc":
        run.answer(voter, {"choice": "no"})
    assert decided(run).decision == "no"
    assert ballots(run) == {"a": "called_off", "b": "called_off", "c": "no", "d": "no", "e": "no"}
    assert run.result.status is RunStatus.COMPLETED


def test_the_result_keeps_every_ballot_the_margin_and_the_dissent() -> None:
    run = a_vote("abc", rule={"name": "supermajority", "fraction": "2/3"})
    run.answer("a", {"choice": "yes", "reason": "first"})
    run.answer("b", {"choice": "no", "reason": "second"})
    run.answer("c", "yes")
    result = decided(run)
    assert (result.decision, result.rule, result.tally.margin, result.dissent) == ("yes", "supermajority", 1, ("b",))
    assert [ballot.reason for ballot in result.ballots] == ["first", "second", ""]
    assert result.tally.support == {"yes": 2, "no": 1}


def test_a_voter_that_answers_with_rubbish_abstains_and_is_a_failure_in_the_account() -> None:
    run = a_vote("abc")
    run.answer("a", "I would not say yes.")
    run.answer("b", {"choice": "yes"})
    run.answer("c", {"choice": "yes"})
    assert decided(run).decision == "yes"
    assert run.result.status is RunStatus.PARTIAL
    assert run.outcomes()["a"] == "failed"
    assert "none of the options" in str(run.result.account[0].cause)
    assert run.result.usage.input_tokens == 30


def test_a_voter_that_abstains_on_purpose_has_answered() -> None:
    run = a_vote("abc")
    run.answer("a", {"reason": "I cannot know."})
    run.answer("b", "yes")
    run.answer("c", "yes")
    assert (run.result.status, run.outcomes()["a"]) == (RunStatus.COMPLETED, "answered")
    assert ballots(run)["a"] == "abstained"


def test_without_a_quorum_the_vote_fails_as_soon_as_it_cannot_be_met() -> None:
    run = a_vote(quorum=4)
    run.answer("a", a_failure())
    run.answer("b", a_failure())
    assert run.over
    assert "e" not in run.sent
    assert run.result.status is RunStatus.FAILED
    assert run.result.error is not None
    assert run.result.error.type == "NoQuorum"
    assert decided(run).decision is None
    assert "quorum" in str(run.result.account[4].cause)


def test_voters_that_are_late_abstain_and_the_ballots_there_are_decide() -> None:
    run = a_vote("abc", deadline_seconds=30)
    run.answer("a", "yes")
    run.answer("b", a_failure())
    assert run.open == ["c"]
    run.pass_time(31)
    assert ballots(run) == {"a": "yes", "b": "failed", "c": "timed_out"}
    assert run.result.status is RunStatus.FAILED


def test_halfway_to_the_deadline_everybody_is_asked_so_that_one_who_hangs_keeps_nobody_from_voting() -> None:
    run = a_vote(deadline_seconds=30)
    run.answer("a", "yes")
    run.answer("b", "yes")
    assert run.open == ["c"]
    run.pass_time(16)
    assert run.open == ["c", "d", "e"]
    run.answer("e", "yes")
    assert decided(run).decision == "yes"
    assert run.result.status is RunStatus.COMPLETED
    assert run.root.open_timers() == []


def test_a_late_voter_does_not_hold_up_a_vote_with_a_quorum() -> None:
    run = a_vote("abc", deadline_seconds=30, rule="unanimous", quorum=2)
    run.answer("a", "yes")
    run.answer("b", "yes")
    run.pass_time(31)
    assert decided(run).decision == "yes"
    assert (run.result.status, run.outcomes()["c"]) == (RunStatus.PARTIAL, "timed_out")


def test_scores_and_rankings_decide_too() -> None:
    rule = {"name": "score", "low": 0, "high": 10, "at_least": {"no": 0, "yes": 5}}
    run = a_vote("ab", rule=rule)
    run.answer("a", {"score": 9})
    run.answer("b", "3")
    assert (decided(run).decision, decided(run).tally.average, decided(run).tally.margin) == ("yes", 6, 1)
    run = a_vote("abc", rule="borda", options=["x", "y", "z"])
    for voter, ranking in (("a", "xyz"), ("b", "yxz"), ("c", "yzx")):
        run.answer(voter, {"ranking": list(ranking)})
    assert (decided(run).decision, decided(run).tally.support) == ("y", {"x": 3, "y": 5, "z": 1})


def test_progress_shows_the_votes_as_they_come() -> None:
    run = a_vote("abc")
    run.answer("a", "yes")
    shown = run.root.ctx.custom_statuses[-1]
    assert (shown["cast"], shown["voters"], shown["support"]) == (1, 3, {"yes": 1, "no": 0})


# -- when nobody wins -------------------------------------------------------------------------------------------


def tied(**changes: Any) -> PatternRun:
    run = a_vote("ab", **changes)
    run.answer("a", {"choice": "yes", "reason": "It helps."})
    run.answer("b", {"choice": "no", "reason": "It hurts."})
    return run


def test_a_tie_is_no_decision_unless_the_request_says_otherwise() -> None:
    run = tied()
    assert (decided(run).decision, decided(run).decided_by) == (None, None)
    assert run.result.status is RunStatus.COMPLETED


def test_a_judge_decides_and_sees_every_ballot() -> None:
    run = tied(tie="judge")
    assert run.open == ["judge"]
    given = run.inputs["judge"]
    assert BallotPaper.model_validate(given.request).may_abstain is False
    assert [(each.agent, each.output) for each in given.earlier] == [
        ("a", {"voter": "a", "choice": "yes", "reason": "It helps."}),
        ("b", {"voter": "b", "choice": "no", "reason": "It hurts."}),
    ]
    run.answer("judge", {"choice": "no", "reason": "Harm weighs more."})
    assert (decided(run).decision, decided(run).decided_by, decided(run).reason) == ("no", "judge", "Harm weighs more.")
    assert run.outcomes()["judge"] == "answered"
    assert decided(run).dissent == ("a",)


@pytest.mark.parametrize("answer", ["perhaps", {"reason": "hard to say"}, {"choice": "maybe"}, a_failure()])
def test_a_judge_that_does_not_decide_fails_the_run_with_the_ballots_kept(answer: Any) -> None:
    run = tied(tie={"name": "judge", "agent": "judge"})
    run.answer("judge", answer)
    assert run.result.status is RunStatus.FAILED
    assert run.outcomes()["judge"] == "failed"
    assert ballots(run) == {"a": "yes", "b": "no"}


def test_a_judge_of_a_tied_ranking_chooses_among_the_first() -> None:
    run = a_vote("ab", rule="borda", options=["x", "y", "z"], tie="judge")
    run.answer("a", {"ranking": ["x", "y", "z"]})
    run.answer("b", {"ranking": ["y", "x", "z"]})
    assert BallotPaper.model_validate(run.inputs["judge"].request).options == ("x", "y")
    run.answer("judge", "z")
    assert run.result.status is RunStatus.FAILED


def test_a_judge_is_not_asked_when_somebody_won() -> None:
    run = a_vote("abc", tie="judge")
    for voter in "abc":
        run.answer(voter, "yes") if voter in run.open else None
    assert "judge" not in run.sent
    assert "judge" not in run.outcomes()


def test_a_person_decides_by_an_event() -> None:
    run = tied(tie="person")
    shown = run.root.ctx.custom_statuses[-1]
    assert (shown["waiting_for"], shown["event"], shown["options"]) == ("person", "decision", ["yes", "no"])
    run.root.raise_event("decision", "perhaps")
    run.root.raise_event("decision", {"surprise": 1})
    run.root.raise_event("decision", {"option": "YES", "by": "Ada", "reason": "I checked."})
    run.pass_time(0)
    assert (decided(run).decision, decided(run).decided_by, decided(run).reason) == ("yes", "person", "I checked.")
    assert run.result.status is RunStatus.COMPLETED


def test_a_person_who_does_not_decide_in_time_fails_the_run() -> None:
    run = tied(tie={"name": "person", "deadline_seconds": 60})
    run.pass_time(61)
    assert run.result.status is RunStatus.FAILED
    assert run.result.error is not None
    assert run.result.error.type == "NobodyDecided"


def test_without_a_quorum_neither_judge_nor_person_is_asked() -> None:
    run = a_vote("ab", tie="judge")
    run.answer("a", a_failure())
    assert run.result.status is RunStatus.FAILED
    assert "judge" not in run.sent


# -- nesting ----------------------------------------------------------------------------------------------------


def test_a_vote_may_vote_in_a_vote() -> None:
    inner = a_request("xyz", name="committee", request=None)
    run = a_vote(["a", inner, "b"])
    run.answer("a", "no")
    for voter in ("committee.x", "committee.y"):
        run.answer(voter, "yes")
    run.answer("b", "yes")
    assert decided(run).decision == "yes"
    assert ballots(run) == {"a": "no", "committee": "yes", "b": "yes"}
    assert run.outcomes()["committee.x"] == "answered"


def test_a_vote_in_a_sequence_works_on_what_came_before() -> None:
    inner = a_request("ab", name="vote", request=None)
    run = PatternRun({"pattern": "sequential", "request": "q", "agents": ["writer", inner]})
    run.answer("writer", "draft")
    assert run.inputs["vote.a"].earlier[0].output == "draft"
    run.answer("vote.a", "yes")
    run.answer("vote.b", "yes")
    assert run.result.status is RunStatus.COMPLETED


def test_a_voter_with_a_question_of_its_own_gets_a_paper_of_its_own() -> None:
    run = a_vote([{"agent": "a", "request": "In Spanish: is it so?"}, "b"])
    questions = [BallotPaper.model_validate(run.inputs[voter].request).question for voter in "ab"]
    assert questions == ["In Spanish: is it so?", "Is it so?"]


# -- budget -----------------------------------------------------------------------------------------------------


CARDS = {name: a_card(name, max_output_tokens=1000) for name in ("a", "b", "c", "judge")}
"""With the paper of these tests a call may come to 1,066 tokens."""


def priced(tokens: int, **changes: Any) -> PatternRun:
    return PatternRun(a_request("abc", budget={"tokens": tokens}, **changes), cards=CARDS)


def costly(choice: str) -> AgentResult:
    return a_result(choice, usage=Usage(input_tokens=60, output_tokens=1000))


def test_no_more_voters_are_asked_than_the_budget_can_pay_in_the_worst_case() -> None:
    run = priced(1500)
    assert run.open == ["a"]
    run.answer("a", costly("yes"))
    assert list(run.sent) == ["a"]
    assert run.result.status is RunStatus.BUDGET_EXHAUSTED
    assert run.outcomes() == {"a": "answered", "b": "skipped", "c": "skipped"}
    assert decided(run).tally.abstained == {"failed": 2}


def test_what_a_voter_did_not_use_pays_for_the_next() -> None:
    run = priced(1500)
    run.answer("a", a_result("yes"))
    assert run.open == ["b"]
    run.answer("b", a_result("yes"))
    assert (run.result.status, decided(run).decision) == (RunStatus.COMPLETED, "yes")


def test_a_vote_that_is_level_because_the_third_voter_costs_too_much_is_out_of_budget() -> None:
    run = priced(2300)
    run.answer("a", costly("yes"))
    run.answer("b", costly("no"))
    assert run.result.status is RunStatus.BUDGET_EXHAUSTED
    assert (decided(run).decision, run.outcomes()["c"]) == (None, "skipped")


def test_a_vote_that_is_decided_all_the_same_is_partial() -> None:
    run = priced(2300, rule="unanimous", quorum=2)
    run.answer("a", costly("yes"))
    run.answer("b", costly("yes"))
    assert (run.result.status, decided(run).decision) == (RunStatus.PARTIAL, "yes")


def test_a_judge_that_costs_too_much_is_not_asked_and_the_run_says_so() -> None:
    run = PatternRun(a_request("ab", budget={"tokens": 2300}, tie="judge"), cards=CARDS)
    run.answer("a", costly("yes"))
    run.answer("b", costly("no"))
    assert "judge" not in run.sent
    assert (run.result.status, run.outcomes()["judge"]) == (RunStatus.BUDGET_EXHAUSTED, "skipped")


# -- everything that can happen ---------------------------------------------------------------------------------

HAPPENS = ("yes", "no", "rubbish", "abstain", "fail", "late", "refused", "twice")


@pytest.mark.parametrize("rule", ["majority", "unanimous"])
@pytest.mark.parametrize("width", [None, 3])
def test_the_account_adds_up_whatever_happens_to_each_voter(rule: str, width: int | None) -> None:
    """Completed is never said with something missing, and the decision is that of the ballots that were cast."""
    for doing in itertools.product(HAPPENS, repeat=3):
        fate = dict(zip("abc", doing, strict=True))
        refused = [voter for voter, what in fate.items() if what == "refused"]
        run = PatternRun(a_request("abc", rule=rule, width=width, quorum=2, deadline_seconds=30), refused=refused)
        for wait in (16, 16, 0):
            while not run.over and (ready := [voter for voter in run.open if fate[voter] != "late"]):
                play(run, ready[0], fate[ready[0]])
            run.pass_time(wait)
        for voter in [voter for voter, what in fate.items() if what == "late" and voter in run.sent]:
            run.raise_reply(voter, a_result("yes").model_dump(mode="json"))
        check_account(run, fate, rule)


def play(run: PatternRun, voter: str, what: str) -> None:
    match what:
        case "fail":
            run.answer(voter, a_failure())
        case "twice":
            run.answer(voter, "yes")
            run.raise_reply(voter, a_result("no").model_dump(mode="json"))
        case _:
            run.answer(voter, what)


def check_account(run: PatternRun, fate: dict[str, str], rule: str) -> None:
    expected = {"fail": "failed", "rubbish": "failed", "refused": "failed", "late": "timed_out"}
    outcomes, result = run.outcomes(), decided(run)
    assert list(outcomes) == list("abc")
    for voter, outcome in outcomes.items():
        assert outcome in (expected.get(fate[voter], "answered"), "skipped"), fate
    missing = [voter for voter, outcome in outcomes.items() if outcome in ("failed", "timed_out")]
    cast = [ballot.choice for ballot in result.ballots if ballot.is_cast]
    if len(cast) < 2:
        assert run.result.status is RunStatus.FAILED, fate
        assert result.decision is None
    else:
        assert run.result.status is (RunStatus.PARTIAL if missing else RunStatus.COMPLETED), fate
        winners = [o for o in ("yes", "no") if 2 * cast.count(o) > len(cast)] if rule == "majority" else set(cast)
        agreed = len(winners) == 1
        assert result.decision == (next(iter(winners)) if agreed else None), fate
    if "skipped" in outcomes.values():
        assert result.early
    assert (run.result.error is None) == (run.result.status is not RunStatus.FAILED)


# -- the request ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"voters": []}, "voters"),
        ({"voters": ["a", "a"]}, ""),
        ({"voters": ["a", "Not A Name"]}, "voters.1"),
        ({"options": ["yes"]}, "options"),
        ({"options": ["yes", "Yes"]}, "options"),
        ({"quorum": 6}, "quorum"),
        ({"rule": {"name": "weighted", "weights": {"a": 1}}}, "rule"),
        ({"rule": {"name": "weighted", "weights": dict.fromkeys(FIVE, 0)}}, "rule.weighted.weights"),
        ({"width": 0}, "width"),
        ({"tie": "coin"}, "tie"),
        ({"tie": {"name": "judge", "agent": "NOT"}}, "tie.judge.agent"),
        ({"tie": {"name": "person", "deadline_seconds": -1}}, "tie.person.deadline_seconds"),
        ({"tie": {"name": "judge", "agent": "a"}}, ""),
        ({"preset": "ghost"}, ""),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_request_that_makes_no_vote_is_refused_by_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ConsensusRequest.model_validate(a_request(**changes))
    named = ".".join(str(part) for part in caught.value.errors()[0]["loc"])
    assert named.startswith(field)


def test_two_voters_of_one_name_are_refused_by_field() -> None:
    with pytest.raises(ValidationError, match=r"voters\.1: two nodes are called a"):
        ConsensusRequest.model_validate(a_request(["a", "a"]))


def test_moderation_is_a_preset_that_needs_nothing_but_the_post() -> None:
    request = ConsensusRequest.model_validate({"preset": "moderation", "request": {"post": "Hi."}})
    assert [placed.name for placed in request.nodes()] == [
        "moderator-policy",
        "moderator-context",
        "moderator-harm",
        "judge",
    ]
    assert ConsensusRequest.model_validate(request.model_dump(mode="json")) == request
    other = ConsensusRequest.model_validate(
        {"preset": "moderation", "request": "Hi.", "rule": "unanimous", "tie": "person"}
    )
    assert (other.rule.name, other.tie.name) == ("unanimous", "person")


def test_a_judge_has_time_after_the_ballots() -> None:
    request = ConsensusRequest.model_validate(a_request(tie="judge", deadline_seconds=30))
    assert (request.seconds, request.seconds_in_all) == (30, 150)
    assert ConsensusRequest.model_validate(a_request()).seconds_in_all == 120
