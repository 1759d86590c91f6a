"""What a vote refuses before anybody is asked, each time naming the field."""

from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrations.voting_rules import Borda, Majority, Supermajority, Vote, Weighted, exactly, plain

GOOD: dict[str, Any] = {"voters": ["a", "b", "c"], "options": ["yes", "no"]}


def refused(**changes: Any) -> str:
    """The dotted name of the field that a vote is refused for."""
    with pytest.raises(ValidationError) as caught:
        Vote.model_validate({**GOOD, **changes})
    return ".".join(str(part) for part in caught.value.errors()[0]["loc"])


def score(**changes: Any) -> dict[str, Any]:
    return {"name": "score", "at_least": {"no": 0, "yes": 5}, **changes}


@pytest.mark.parametrize(
    ("weights", "field"),
    [
        ({"a": 0, "b": 0, "c": 0}, "rule.weighted.weights"),
        ({"a": 1, "b": -1, "c": 1}, "rule.weighted.weights.b"),
        ({"a": 1, "b": float("nan"), "c": 1}, "rule.weighted.weights.b"),
        ({"a": 1, "b": float("inf"), "c": 1}, "rule.weighted.weights.b"),
        ({"a": 1, "b": 1}, "rule"),
        ({"a": 1, "b": 1, "c": 1, "ghost": 1}, "rule"),
        ({}, "rule.weighted.weights"),
    ],
)
def test_weights_that_weigh_nothing_or_are_not_the_voters_are_refused(weights: dict[str, float], field: str) -> None:
    assert refused(rule={"name": "weighted", "weights": weights}) == field


@pytest.mark.parametrize("quorum", [0, -1, 4, "many", 1.5])
def test_a_quorum_that_cannot_be_met_is_refused(quorum: Any) -> None:
    assert refused(quorum=quorum) == "quorum"


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["yes"],
        ["yes", "yes"],
        ["yes", "YES "],
        ["yes", "**yes**"],
        ["yes", "\uff59\uff45\uff53"],
        ["yes", "abstain"],
        ["yes", "..."],
        ["yes", "x" * 65],
        [f"o{n}" for n in range(51)],
    ],
)
def test_a_vocabulary_that_is_empty_or_says_one_thing_twice_is_refused(options: list[str]) -> None:
    assert refused(options=options).startswith("options")


@pytest.mark.parametrize(
    "aliases", [{"ghost": ["spirit"]}, {"yes": ["no"]}, {"yes": ["ok"], "no": ["OK!"]}, {"yes": ["abstain"]}]
)
def test_aliases_that_name_no_option_or_two_are_refused(aliases: dict[str, list[str]]) -> None:
    assert refused(aliases=aliases) == "aliases"


@pytest.mark.parametrize(
    "fraction",
    [0.5, "1/2", 1.01, "3/2", 0, -1, "2/0", "0/0", "1e9999999", "two thirds", True, None, float("nan"), "-2/3"],
)
def test_a_supermajority_of_half_or_less_or_more_than_all_is_refused(fraction: Any) -> None:
    assert refused(rule={"name": "supermajority", "fraction": fraction}) == "rule.supermajority.fraction"


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (score(low=5, high=5), "rule.score.high"),
        (score(low=5, high=1), "rule.score.high"),
        (score(high=float("inf")), "rule.score.high"),
        (score(at_least={}), "rule.score.at_least"),
        (score(at_least={"no": 1, "yes": 5}), "rule.score.at_least"),
        (score(at_least={"no": 0, "yes": 11}), "rule.score.at_least"),
        (score(at_least={"no": 0, "yes": 0}), "rule.score.at_least"),
        (score(at_least={"no": 0}), "rule"),
        (score(at_least={"no": 0, "yes": 5, "ghost": 7}), "rule"),
        (score(threshold=1), "rule.score.threshold"),
        ({"name": "coin"}, "rule"),
        ("supermajority", "rule.supermajority.fraction"),
        ({"name": "majority", "of": "everything"}, "rule.majority.of"),
        (None, "rule"),
    ],
)
def test_a_rule_that_cannot_decide_is_refused(rule: Any, field: str) -> None:
    assert refused(rule=rule) == field


@pytest.mark.parametrize("voters", [[], ["a", "a"], ["a", "b/c"], [f"v{n}" for n in range(101)]])
def test_voters_that_are_none_or_not_to_be_told_apart_are_refused(voters: list[str]) -> None:
    assert refused(voters=voters).startswith("voters")


def test_a_field_that_is_unknown_is_refused() -> None:
    assert refused(veto="a") == "veto"


def test_a_rules_name_will_do_for_one_that_needs_nothing_else() -> None:
    assert Vote.model_validate(GOOD).rule == Majority()
    assert Vote.model_validate({**GOOD, "rule": "borda"}).rule == Borda()


def test_a_fraction_given_as_a_text_is_exact_and_a_number_is_the_decimal_it_is_written_as() -> None:
    rules = [Supermajority.model_validate({"fraction": given}).fraction for given in ("2/3", 0.7, 1)]
    assert rules == [Fraction(2, 3), Fraction(7, 10), Fraction(1)]
    assert exactly(0.1) + exactly(0.2) == exactly(0.3)


@pytest.mark.parametrize(
    "rule",
    [
        "majority",
        {"name": "supermajority", "fraction": "2/3"},
        "unanimous",
        {"name": "weighted", "weights": {"a": 0.5, "b": 1, "c": 0}},
        score(),
        "borda",
    ],
)
def test_a_vote_survives_being_written_down(rule: Any) -> None:
    vote = Vote.model_validate({**GOOD, "rule": rule})
    assert Vote.model_validate_json(vote.model_dump_json()) == vote
    assert Vote.model_validate(vote.model_dump(mode="json")) == vote


def test_a_quorum_is_by_default_more_than_half_of_the_voters() -> None:
    needed = [Vote(voters=tuple("abcdef"[:count]), options=("yes", "no")).needed for count in range(1, 7)]
    assert needed == [1, 2, 2, 3, 3, 4]
    assert Vote.model_validate({**GOOD, "quorum": 1}).needed == 1


def test_every_ballot_weighs_the_same_unless_the_rule_says_otherwise() -> None:
    weighted = Weighted(weights={"a": 2, "b": 1, "c": 0})
    assert [Vote(**GOOD, rule=weighted).weight(voter) for voter in "abc"] == [2, 1, 0]
    assert [Vote(**GOOD).weight(voter) for voter in "abc"] == [1, 1, 1]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("**Allow.**", "allow"),
        ("  Needs\n review ", "needs review"),
        ("“Ja”", "ja"),
        ("> no", "no"),
        ("👍", "👍"),
        ("--", ""),
    ],
)
def test_options_are_compared_without_case_marks_and_spaces(text: str, form: str) -> None:
    assert plain(text) == form
