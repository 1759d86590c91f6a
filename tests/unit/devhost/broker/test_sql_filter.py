"""SQL filters: what matches, what is unknown, and what is refused when the rule is made."""

import time
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from devhost.broker.errors import FilterSyntaxError
from devhost.broker.model import Message, Scalar
from devhost.broker.sql_filter import Scope, parse

WHEN = datetime(2026, 1, 2, tzinfo=UTC)
WHO = UUID(int=7)
MESSAGE = Message(
    content=b"",
    size=42,
    message_id="m1",
    session_id="s1",
    correlation_id="c1",
    subject="Order",
    to="there",
    reply_to="back",
    reply_to_session_id="s2",
    content_type="text/plain",
    partition_key="p",
    properties={
        "n": 5,
        "half": 2.5,
        "price": Decimal("9.99"),
        "name": "O'Brien",
        "path": "50%_off\\x",
        "yes": True,
        "no": False,
        "nothing": None,
        "when": WHEN,
        "who": WHO,
        "raw": b"ab",
        "HR-Id": "h",
        'say "hi"': "q",
        "a]b": 1,
        "größe": 3,
        "select": 8,
        "In": 9,
    },
)


def matches(text: str, **parameters: Scalar) -> bool:
    return parse(text, parameters)(Scope(MESSAGE))


@pytest.mark.parametrize(
    "text",
    [
        # comparison
        "n = 5",
        "n=5.0",
        "n <> 4",
        "n != 4",
        "n > 4 AND n >= 5 AND n < 6 AND n <= 5",
        "price < 10",
        "price > 9.98",
        "half = 2.5",
        "half = 25e-1",
        "n = 5.",
        "n > .5",
        "name = 'O''Brien'",
        "'b' > 'a'",
        "yes = TRUE",
        "no = false",
        "yes <> no",
        "when = @when",
        "when < @later",
        "who = @who",
        "who <> @other",
        "raw = @raw",
        "1 = 1",
        # names
        "N = 5",
        "user.n = 5",
        "USER.N = 5",
        "[n] = 5",
        '"n" = 5',
        "[HR-Id] = 'h'",
        '"say ""hi""" = \'q\'',
        "[a]]b] = 1",
        "größe = 3",
        "select = 8",
        "[In] = 9",
        "user.[HR-Id] = 'h'",
        # system properties
        "sys.Label = 'Order'",
        "sys.Subject = 'Order'",
        "SYS.LABEL = 'Order'",
        "sys.[Label] = 'Order'",
        "sys.MessageId = 'm1' AND sys.SessionId = 's1' AND sys.CorrelationId = 'c1' AND sys.To = 'there'",
        "sys.ReplyTo = 'back' AND sys.ReplyToSessionId = 's2' AND sys.ContentType LIKE 'text/%'",
        "sys.PartitionKey = 'p' AND sys.Size = 42",
        "sys.ScheduledEnqueueTimeUtc IS NULL",
        # logic and precedence
        "n = 1 OR n = 5",
        "n = 5 OR n = 1 AND n = 2",
        "NOT n = 4 AND n = 5",
        "NOT (n = 5 AND n = 4)",
        "not not n = 5",
        "((n = 5))",
        "(n = 4 OR n = 5) AND yes = TRUE",
        # in, like, null, exists
        "n IN (1, 5)",
        "n NOT IN (1, 2)",
        "name IN ('x', 'O''Brien')",
        "n IN ('5', 5)",
        "n NOT IN ('5')",
        "name LIKE 'O%'",
        "name LIKE '%Brien'",
        "name LIKE '_''B%n'",
        "name NOT LIKE 'o%'",
        "name LIKE '%'",
        "name LIKE '%O%B%n%'",
        "path LIKE '50!%!_off%' ESCAPE '!'",
        "path LIKE '%\\\\x' ESCAPE '\\'",
        "path LIKE '50%off\\x'",
        "missing IS NULL",
        "nothing IS NULL",
        "n IS NOT NULL",
        "EXISTS(n)",
        "EXISTS (nothing)",
        "NOT EXISTS(missing)",
        "EXISTS(sys.Label)",
        "exists(user.n)",
        # arithmetic
        "n + 1 = 6",
        "n - 1 * 2 = 3",
        "(n - 1) * 2 = 8",
        "n / 2 = 2",
        "-n / 2 = -2",
        "n % 3 = 2",
        "-n % 3 = -2",
        "n / 2.0 = 2.5",
        "half * 2 = n",
        "price * 2 = 19.98",
        "-half + +half = 0",
        "- - n = 5",
        "name + '!' = 'O''Brien!'",
        "10 - 2 - 3 = n",
        # functions and parameters
        "p('n') = 5",
        "property('HR-' + 'Id') = 'h'",
        "newid() <> newid()",
        "n = @five",
        "n = @FIVE",
    ],
)
def test_matches(text: str) -> None:
    later, other = datetime(2027, 1, 1, tzinfo=UTC), UUID(int=8)
    parameters: dict[str, Scalar] = {"@five": 5, "when": WHEN, "later": later, "who": WHO, "other": other, "raw": b"ab"}
    assert matches(text, **parameters)


@pytest.mark.parametrize(
    "text",
    [
        "n = 4",
        "name = 'o''brien'",
        "n = '5'",
        "n <> '5'",
        "yes = 1",
        "yes > no",
        "who = '00000000-0000-0000-0000-000000000007'",
        "EXISTS(missing)",
        "EXISTS(sys.ScheduledEnqueueTimeUtc)",
        "name LIKE 'O_Brie'",
        "name LIKE 'Brien'",
        "name LIKE 'O%O%n'",
        "n LIKE '5'",
        "name LIKE 5",
        "path LIKE '50!%' ESCAPE '!!'",
        "n IN (1, 2)",
    ],
)
def test_does_not_match(text: str) -> None:
    assert not matches(text)


@pytest.mark.parametrize(
    "unknown",
    [
        "missing = 5",
        "missing <> 5",
        "nothing = NULL",
        "NULL = NULL",
        "missing + 1 > 0",
        "-missing = 0",
        "-name = 0",
        "n / 0 = 0",
        "n % 0 = 0",
        "half / 0 = 0",
        "half % 0 = 0",
        "n + name = 'x'",
        "name < 5",
        "missing IN (1)",
        "missing NOT IN (1)",
        "missing LIKE '%'",
        "missing NOT LIKE '%'",
        "name LIKE missing",
        "name LIKE '%' ESCAPE missing",
        "when < @naive",
        "p('missing') = 1",
        "p(missing) = 1",
    ],
)
def test_unknown_matches_neither_way_and_spreads_through_not_and_or(unknown: str) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    for text, expected in (
        (unknown, False),
        (f"NOT ({unknown})", False),
        (f"({unknown}) AND 1=1", False),
        (f"NOT (({unknown}) AND 1=2)", True),
        (f"({unknown}) OR 1=1", True),
        (f"NOT (({unknown}) OR 1=2)", False),
    ):
        assert matches(text, naive=naive) is expected, text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a value, a property or a predicate expected at position 0, not 'the end'"),
        ("n", "before position 1 is no predicate"),
        ("n = ", "expected at position 4"),
        ("n = 5 5", "nothing more expected at position 6"),
        ("n = 5 AND", "expected at position 9"),
        ("n AND 1=1", "is no predicate"),
        ("n = (1 = 1)", "is a predicate where a value belongs"),
        ("(1=1) + 1 = 2", "is a predicate where a value belongs"),
        ("n == 5", "expected at position 3"),
        ("n = 'open", '"\'" at position 4 belongs to nothing'),
        ("n = #", "'#' at position 4"),
        ("n IN ()", "expected at position 6"),
        ("n IN (1", "')' expected"),
        ("n IS 5", "'NULL' expected at position 5"),
        ("5 IS NULL", "is no property"),
        ("(n) IS NULL", "is no property"),
        ("EXISTS(5)", "is no property"),
        ("EXISTS n", "'(' expected"),
        ("n NOT = 5", "IN or LIKE expected"),
        ("sys.Nothing = 1", "sys.Nothing at position 4 is no property that a filter can read here"),
        ("sys.DeliveryCount > 1", "sys.DeliveryCount"),
        ("sys. = 1", "a property's name expected"),
        ("n = @unset", "the parameter @unset has no value"),
        ("upper(n) = 'A'", "there is no function 'upper'"),
        ("_n = 1", "'_' at position 0"),
        ("[] = 1", "'[' at position 0"),
        ("SET n = 5", "before position 4 is no predicate"),
        ("n = 5; n = 6", "';' at position 5"),
        ("(" * 60 + "n = 5" + ")" * 60, "nested more than 50 deep"),
        ("NOT " * 200 + "n = 5", "nested more than 50 deep"),
        ("n = " + "-" * 500 + "5", "nested more than 50 deep"),
        ("n = '" + "x" * 1024 + "'", "1030 characters; the service takes 1024"),
    ],
)
def test_what_is_not_in_the_language_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(FilterSyntaxError) as refused:
        parse(text)
    assert message in str(refused.value)


def test_names_that_differ_only_in_case_are_one_property() -> None:
    message = Message(content=b"", size=0, properties={"Color": "red"})
    assert parse("COLOR = 'red' AND p('cOLOR') = 'red'")(Scope(message))


def test_a_pattern_full_of_wildcards_costs_no_more_than_its_length_times_the_values() -> None:
    message = Message(content=b"", size=0, properties={"text": "a" * 60_000})
    test = parse("text LIKE '" + "%a" * 450 + "%b'")
    before = time.perf_counter()
    assert not test(Scope(message))
    assert time.perf_counter() - before < 1


def test_a_long_chain_of_conditions_is_evaluated() -> None:
    assert matches(" OR ".join(["n = 1"] * 110 + ["n = 5"]))
