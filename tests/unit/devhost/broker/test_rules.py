"""Rules: correlation filters, names, and what a set of rules wants."""

from decimal import Decimal
from typing import Any

import pytest

from devhost.broker.errors import ArgumentError, EntityExists, EntityNotFound, FilterSyntaxError, InvalidOperation
from devhost.broker.model import Message, Scalar
from devhost.broker.rules import RuleSet, matcher, refuse_action
from devhost.broker.sql_filter import Scope
from devhost.broker.topology import CorrelationFilter, FalseFilter, Rule, SqlFilter, TrueFilter

FIELDS: dict[str, str] = {
    "correlation_id": "correlation_id",
    "message_id": "message_id",
    "to": "to",
    "reply_to": "reply_to",
    "label": "subject",
    "session_id": "session_id",
    "reply_to_session_id": "reply_to_session_id",
    "content_type": "content_type",
}


def with_properties(**properties: Scalar) -> Scope:
    return Scope(Message(content=b"", size=0, properties=properties))


@pytest.mark.parametrize(("wanted", "had"), FIELDS.items())
def test_a_correlation_filter_compares_each_field_exactly(wanted: str, had: str) -> None:
    as_wanted: dict[str, Any] = {wanted: "X"}
    wants = matcher(CorrelationFilter(**as_wanted))
    for value, expected in (("X", True), ("x", False), (None, False)):
        as_had: dict[str, Any] = {had: value}
        assert wants(Scope(Message(content=b"", size=0, **as_had))) is expected


def test_all_fields_and_properties_must_fit() -> None:
    wants = matcher(CorrelationFilter(label="a", properties={"n": 1, "s": "x"}))
    cases: list[tuple[str, dict[str, Scalar], bool]] = [
        ("a", {"n": 1, "s": "x", "more": 2}, True),
        ("b", {"n": 1, "s": "x"}, False),
        ("a", {"n": 1}, False),
        ("a", {"n": 2, "s": "x"}, False),
    ]
    for subject, properties, expected in cases:
        assert wants(Scope(Message(content=b"", size=0, subject=subject, properties=properties))) is expected


@pytest.mark.parametrize(
    ("had", "wanted", "same"),
    [
        (1, 1.0, True),
        (Decimal(1), 1, True),
        (1, "1", False),
        (True, 1, False),
        (1, True, False),
        (True, True, True),
        (None, None, True),
        (b"a", "a", False),
    ],
)
def test_property_values_are_compared_with_their_kind(had: Scalar, wanted: Scalar, same: bool) -> None:
    assert matcher(CorrelationFilter(properties={"v": wanted}))(with_properties(v=had)) is same


def test_a_correlation_filter_without_anything_to_compare_is_refused() -> None:
    with pytest.raises(ArgumentError, match="at least one field"):
        matcher(CorrelationFilter())


def test_true_and_false_filters() -> None:
    assert matcher(TrueFilter())(with_properties())
    assert not matcher(FalseFilter())(with_properties())


def test_one_rule_that_matches_is_enough_and_no_rule_wants_nothing() -> None:
    rules = RuleSet("s", [Rule("a", FalseFilter()), Rule("b", SqlFilter("n = @n", {"n": 1}))])
    assert rules.match(with_properties(n=1))
    assert not rules.match(with_properties(n=2))
    assert not RuleSet("s").match(with_properties())


def test_rule_names_are_unique_without_regard_to_case() -> None:
    rules = RuleSet("s", [Rule("One")])
    with pytest.raises(EntityExists, match="s has a rule 'ONE' already"):
        rules.add(Rule("ONE"))
    rules.remove("oNE")
    with pytest.raises(EntityNotFound, match="s has no rule 'One'"):
        rules.remove("One")


@pytest.mark.parametrize("name", ["", "x" * 51])
def test_a_rule_needs_a_name_of_the_services_length(name: str) -> None:
    with pytest.raises(ArgumentError, match="1 to 50 characters"):
        RuleSet("s", [Rule(name)])


def test_a_rule_with_a_bad_filter_is_not_added() -> None:
    rules = RuleSet("s")
    with pytest.raises(FilterSyntaxError):
        rules.add(Rule("bad", SqlFilter("n =")))
    assert rules.all() == ()


def test_actions_are_refused_by_name() -> None:
    refuse_action("t/subscriptions/s", "r", None)
    with pytest.raises(
        InvalidOperation, match=r"rule 'r' has an action \('SET x = 1'\); rule actions are not modelled"
    ):
        refuse_action("t/subscriptions/s", "r", "SET x = 1")
