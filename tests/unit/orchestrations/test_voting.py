"""Counting, dissent, and whom to ask next. That the verdicts are right is shown against brute force elsewhere."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from orchestrations.ballots import Abstention, Ballot
from orchestrations.voting import NO_QUORUM, UNDECIDED, Verdict, dissent, favours, standing, tally, to_ask
from orchestrations.voting_rules import Vote

FIVE = ("a", "b", "c", "d", "e")
BANDS = {"name": "score", "low": 0, "high": 10, "at_least": {"no": 0, "maybe": 4, "yes": 8}}


def a_vote(rule: Any = "majority", voters: Sequence[str] = FIVE, **fields: Any) -> Vote:
    options = ["yes", "no", "maybe"]
    return Vote.model_validate({"voters": list(voters), "options": options, "rule": rule, **fields})


def choices(**by_voter: str | None) -> list[Ballot]:
    return [
        Ballot(voter=voter, choice=choice)
        if choice is not None
        else Ballot(voter=voter, abstention=Abstention.INVALID, cause="rubbish")
        for voter, choice in by_voter.items()
    ]


# -- the count --------------------------------------------------------------------------------------------------


def test_the_tally_keeps_support_margin_and_every_kind_of_abstention() -> None:
    ballots = [
        *choices(a="yes", b="no", c="yes", d=None),
        Ballot(voter="e", abstention=Abstention.TIMED_OUT, cause="late"),
    ]
    counted = tally(a_vote(), ballots)
    assert counted.support == {"yes": 2, "no": 1, "maybe": 0}
    assert (counted.unit, counted.cast, counted.needed, counted.margin) == ("votes", 3, 3, 1)
    assert counted.abstained == {"invalid": 1, "timed_out": 1}


def test_a_weighted_tally_counts_weight_as_the_decimals_it_is_written_in() -> None:
    weights = {"a": 0.1, "b": 0.2, "c": 0.3}
    vote = a_vote({"name": "weighted", "weights": weights}, voters="abc")
    ballots = choices(a="yes", b="yes", c="no")
    counted = tally(vote, ballots)
    assert (counted.unit, counted.support["yes"], counted.margin) == ("weight", 0.3, 0)
    assert standing(vote, ballots) == UNDECIDED


def test_the_margin_of_a_score_average_is_its_distance_from_the_nearest_boundary() -> None:
    vote = a_vote(BANDS)
    counted = tally(vote, [Ballot(voter=voter, score=score) for voter, score in zip("abc", (9, 9, 6), strict=True)])
    assert (counted.unit, counted.average, counted.margin) == ("ballots", 8, 0)
    assert counted.support == {"yes": 2, "maybe": 1, "no": 0}


def test_a_mean_on_a_boundary_belongs_to_the_upper_option() -> None:
    vote = a_vote(BANDS, voters="ab")
    ballots = [Ballot(voter="a", score=10), Ballot(voter="b", score=6)]
    assert standing(vote, ballots) == Verdict("decided", "yes")


def test_a_borda_tally_counts_points() -> None:
    vote = a_vote("borda", voters="ab")
    ballots = [
        Ballot(voter="a", ranking=("yes", "maybe", "no")),
        Ballot(voter="b", ranking=("maybe", "yes", "no")),
    ]
    counted = tally(vote, ballots)
    assert (counted.unit, counted.support, counted.margin) == ("points", {"yes": 3, "maybe": 3, "no": 0}, 0)
    assert standing(vote, ballots) == UNDECIDED


def test_an_empty_count_is_no_division_by_nothing() -> None:
    ballots = [Ballot(voter=voter, abstention=Abstention.FAILED, cause="down") for voter in FIVE]
    for rule in ("majority", "borda", BANDS):
        counted = tally(a_vote(rule), ballots)
        assert (counted.cast, counted.margin, counted.average) == (0, 0, None)
        assert standing(a_vote(rule), ballots) == NO_QUORUM


def test_weight_that_nobody_cast_elects_nobody() -> None:
    weights = {"a": 1, "b": 0, "c": 0}
    vote = a_vote({"name": "weighted", "weights": weights}, voters="abc", quorum=2)
    assert standing(vote, choices(a=None, b="yes", c="yes")) == UNDECIDED


def test_the_order_in_which_ballots_came_in_changes_nothing() -> None:
    for rule, ballots in (
        ("majority", choices(a="yes", b="no", c="yes", d=None)),
        (BANDS, [Ballot(voter=v, score=s) for v, s in zip("abcd", (1, 9.5, 4, 0.1), strict=True)]),
    ):
        for count in range(5):
            for some in itertools.combinations(ballots, count):
                assert len({standing(a_vote(rule), order) for order in itertools.permutations(some)}) == 1


# -- dissent ----------------------------------------------------------------------------------------------------


def test_dissent_is_who_cast_a_ballot_for_something_else_and_no_abstention_is() -> None:
    ballots = choices(a="yes", b="no", c=None, d="maybe", e="yes")
    assert dissent(a_vote(), ballots, "yes") == ("b", "d")


def test_a_score_speaks_for_the_option_in_whose_range_it_lies_and_a_ranking_for_its_first() -> None:
    assert [favours(a_vote(BANDS), Ballot(voter="a", score=score)) for score in (0, 3.9, 4, 8)] == [
        "no",
        "no",
        "maybe",
        "yes",
    ]
    assert favours(a_vote("borda"), Ballot(voter="a", ranking=("no", "yes", "maybe"))) == "no"


# -- whom to ask ------------------------------------------------------------------------------------------------


def test_no_more_voters_are_asked_than_could_decide_the_vote() -> None:
    assert to_ask(a_vote(), [], [], None) == ("a", "b", "c")
    assert to_ask(a_vote("unanimous"), [], [], None) == FIVE
    assert to_ask(a_vote({"name": "supermajority", "fraction": 0.8}), [], [], None) == ("a", "b", "c", "d")
    assert to_ask(a_vote(quorum=4), [], [], None) == ("a", "b", "c", "d")
    assert to_ask(a_vote("borda", voters="abc"), [], [], None) == ("a", "b")


def test_one_who_answered_is_followed_by_the_next_only_when_those_still_busy_cannot_decide() -> None:
    asked = ["a", "b", "c"]
    assert to_ask(a_vote(), choices(a="yes"), asked, None) == ()
    assert to_ask(a_vote(), choices(a="yes", b="yes"), asked, None) == ()
    assert to_ask(a_vote(), choices(a="yes", b="no"), asked, None) == ("d",)
    assert to_ask(a_vote(), choices(a=None), asked, None) == ("d",)
    assert to_ask(a_vote(), choices(a="yes", b="yes", c="yes"), asked, None) == ()


def test_a_heavy_voter_may_decide_alone() -> None:
    weights = {"a": 1, "b": 1, "c": 5}
    vote = a_vote({"name": "weighted", "weights": weights}, voters="cab", quorum=1)
    assert to_ask(vote, [], [], None) == ("c",)
    assert standing(vote, choices(c="yes")) == Verdict("decided", "yes")


def test_a_width_keeps_that_many_busy() -> None:
    assert to_ask(a_vote(), [], [], 2) == ("a", "b")
    assert to_ask(a_vote(), choices(a="yes"), ["a", "b"], 2) == ("c",)
    assert to_ask(a_vote(), [], [], 50) == FIVE
    assert to_ask(a_vote(), choices(a="yes", b="yes", c="yes"), ["a", "b", "c"], 5) == ()


@pytest.mark.parametrize("width", [None, 1, 2, 5])
@pytest.mark.parametrize("lifo", [False, True])
@pytest.mark.parametrize("rule", ["majority", "unanimous", {"name": "supermajority", "fraction": "2/3"}])
def test_a_vote_that_stops_early_ends_as_it_would_have_with_every_voter_asked(
    rule: Any, lifo: bool, width: int | None
) -> None:
    """Over everything that four voters can do, answered first come first or last come first."""
    vote = a_vote(rule, voters="abcd", quorum=2)
    for doing in itertools.product(("yes", "no", None), repeat=4):
        answers = {ballot.voter: ballot for ballot in choices(**dict(zip("abcd", doing, strict=True)))}
        given: list[Ballot] = []
        asked: list[str] = []
        while (verdict := standing(vote, given)) is None:
            asked += to_ask(vote, given, asked, width)
            busy = [voter for voter in asked if voter not in {ballot.voter for ballot in given}]
            assert busy, "a vote that is not decided waits for somebody"
            given.append(answers[busy[-1 if lifo else 0]])
        assert verdict == standing(vote, list(answers.values()))


def test_a_vote_of_a_hundred_is_counted_without_trying_everybody() -> None:
    voters = [f"v{n}" for n in range(100)]
    assert len(to_ask(a_vote(voters=voters), [], [], None)) == 51
    assert len(to_ask(a_vote("borda", voters=voters), [], [], None)) == 58
