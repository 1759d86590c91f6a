"""From what a voter answered, or did not, to its ballot."""

from typing import Any

import pytest

from orchestrations.ballots import Abstention, Ballot, ballot_paper, option_in, read_answer, read_ballot
from orchestrations.voting_rules import Vote
from shared.ballots import BallotPaper
from shared.contracts import AgentResult
from shared.status import StepStatus
from tests.support.documents import a_failure, a_result

OPTIONS = ("allow", "remove", "needs review")
SCORE = {"name": "score", "low": 1, "high": 5, "at_least": {"remove": 1, "needs review": 2, "allow": 4}}


def a_vote(rule: Any = "majority") -> Vote:
    aliases = {"allow": ["ok", "approve"], "remove": ["reject"]}
    return Vote.model_validate({"voters": ["a", "b"], "options": OPTIONS, "aliases": aliases, "rule": rule})


def read(output: Any, rule: Any = "majority") -> Ballot:
    return read_answer(a_vote(rule), "a", output)


# -- choices ----------------------------------------------------------------------------------------------------


def test_a_structured_answer_keeps_its_reason() -> None:
    assert read({"choice": "allow", "reason": "It harms nobody."}) == Ballot(
        voter="a", choice="allow", reason="It harms nobody."
    )


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("allow", "allow"),
        (" **Allow.** ", "allow"),
        ("OK", "allow"),
        ("Needs   Review", "needs review"),
        ("Remove\n\nIt names a private address.", "remove"),
        ("It names a private address.\n\nremove", "remove"),
        ("I looked at it from all sides.\nVerdict: reject\nBecause it harms.", "remove"),
        ("**Decision:** allow", "allow"),
        ("Final answer = approve", "allow"),
    ],
)
def test_free_text_is_mapped_to_the_option_that_it_names(text: str, option: str) -> None:
    assert read(text).choice == option
    assert read({"choice": text}).choice == option


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "maybe",
        "I would not allow this.",
        "allow or remove",
        "allow\nremove",
        "Verdict: allow\nVerdict: remove",
        "Verdict: keep\nallow",
        "disallow",
        "allow" * 10_000,
        "\x00",
        "{}",
    ],
)
def test_text_that_names_no_option_for_certain_is_an_invalid_ballot_with_its_cause(text: str) -> None:
    ballot = read(text)
    assert (ballot.abstention, ballot.choice) == (Abstention.INVALID, None)
    assert ballot.cause is not None
    assert len(ballot.cause) < 300


@pytest.mark.parametrize("output", ["abstain", "Abstain.", {"choice": "abstain"}, {}, {"reason": "I am no lawyer."}])
def test_a_voter_may_abstain(output: Any) -> None:
    assert read(output).abstention is Abstention.ABSTAINED


@pytest.mark.parametrize(
    "output",
    [
        None,
        7,
        True,
        [],
        ["allow"],
        {"choice": 7},
        {"choice": "allow", "surprise": 1},
        {"choice": "allow", "score": 3},
        {"score": 3},
        {"ranking": ["allow", "remove", "needs review"]},
        {"choice": "allow", "reason": "x" * 2001},
        {"verdict": "allow"},
        [[[[]]]],
    ],
)
def test_rubbish_is_an_abstention_that_says_what_was_wrong(output: Any) -> None:
    ballot = read(output)
    assert ballot.abstention is Abstention.INVALID
    assert ballot.cause


def test_the_normaliser_says_none_rather_than_guessing() -> None:
    words = a_vote().words()
    assert option_in("approve", words) == "allow"
    assert option_in("not allow", words) is None


# -- scores and rankings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("output", "score"), [({"score": 1}, 1), ({"score": 4.5}, 4.5), ("5", 5), (" 2.5 ", 2.5)])
def test_a_score_within_the_scale_is_cast(output: Any, score: float) -> None:
    assert read(output, SCORE).score == score


@pytest.mark.parametrize(
    "output",
    [{"score": 0.99}, {"score": 5.01}, "6", "-1", "nan", "inf", "1e999", "four", {"choice": "allow"}, {"score": "x"}],
)
def test_a_score_out_of_range_or_no_score_is_an_invalid_ballot(output: Any) -> None:
    assert read(output, SCORE).abstention is Abstention.INVALID


def test_a_ranking_of_all_options_is_cast_under_their_own_names() -> None:
    ballot = read({"ranking": ["reject", "NEEDS REVIEW", "ok"], "reason": "so"}, "borda")
    assert ballot == Ballot(voter="a", ranking=("remove", "needs review", "allow"), reason="so")


@pytest.mark.parametrize(
    "ranking",
    [
        [],
        ["allow"],
        ["allow", "remove"],
        ["allow", "remove", "ghost"],
        ["allow", "allow", "remove"],
        ["allow", "remove", "needs review", "ghost"],
        ["allow", "approve", "remove"],
    ],
)
def test_a_ranking_with_unknown_missing_or_repeated_options_is_an_invalid_ballot(ranking: list[str]) -> None:
    assert read({"ranking": ranking}, "borda").abstention is Abstention.INVALID


def test_a_ranking_cannot_be_read_off_free_text() -> None:
    assert read("allow, remove, needs review", "borda").abstention is Abstention.INVALID


# -- results ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "abstention"),
    [
        (StepStatus.FAILED, Abstention.FAILED),
        (StepStatus.REJECTED, Abstention.FAILED),
        (StepStatus.TIMED_OUT, Abstention.TIMED_OUT),
        (StepStatus.SKIPPED, Abstention.FAILED),
    ],
)
def test_a_voter_that_gave_no_answer_has_a_ballot_that_says_why(status: StepStatus, abstention: Abstention) -> None:
    ballot = read_ballot(a_vote(), "a", a_failure(status))
    assert (ballot.abstention, ballot.cause) == (abstention, "Broken it is")
    assert not ballot.is_cast


@pytest.mark.parametrize(
    ("kind", "abstention"), [("NotNeeded", Abstention.CALLED_OFF), ("StepTimedOut", Abstention.TIMED_OUT)]
)
def test_a_voter_that_was_not_asked_has_a_ballot_that_says_why(kind: str, abstention: Abstention) -> None:
    assert read_ballot(a_vote(), "a", a_failure(StepStatus.SKIPPED, kind=kind)).abstention is abstention


def test_a_failure_without_an_error_has_a_cause_all_the_same() -> None:
    assert read_ballot(a_vote(), "a", AgentResult(status=StepStatus.TIMED_OUT)).cause == "a timed_out"


def test_an_answer_is_read_from_the_agents_output() -> None:
    assert read_ballot(a_vote(), "a", a_result({"choice": "allow"})).choice == "allow"


# -- the paper --------------------------------------------------------------------------------------------------


def test_every_voter_gets_the_same_paper_which_says_how_to_answer() -> None:
    assert ballot_paper(a_vote(), {"text": "Hi"}) == BallotPaper(question={"text": "Hi"}, options=OPTIONS)
    assert ballot_paper(a_vote("borda"), None).answer == "ranking"
    scored = ballot_paper(a_vote(SCORE), "Hi")
    assert (scored.answer, scored.low, scored.high) == ("score", 1, 5)
