import re
from datetime import UTC, datetime, timedelta

import pytest

from devhost.triggers.ncrontab import parse_schedule

# A Wednesday.
NOW = datetime(2026, 1, 7, 10, 2, 30, tzinfo=UTC)


def occurrences(text: str, count: int = 3, after: datetime = NOW) -> list[str]:
    schedule = parse_schedule(text, after)
    found = []
    for _ in range(count):
        after = schedule.next_after(after)
        found.append(after.strftime("%Y-%m-%d %H:%M:%S"))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 */5 * * * *", ["2026-01-07 10:05:00", "2026-01-07 10:10:00", "2026-01-07 10:15:00"]),
        ("*/15 * * * * *", ["2026-01-07 10:02:45", "2026-01-07 10:03:00", "2026-01-07 10:03:15"]),
        ("0 0 * * * *", ["2026-01-07 11:00:00", "2026-01-07 12:00:00", "2026-01-07 13:00:00"]),
        ("0 30 9 * * 1-5", ["2026-01-08 09:30:00", "2026-01-09 09:30:00", "2026-01-12 09:30:00"]),
        ("0 30 9 * Jan Mon", ["2026-01-12 09:30:00", "2026-01-19 09:30:00", "2026-01-26 09:30:00"]),
        ("0 0 0 31 * *", ["2026-01-31 00:00:00", "2026-03-31 00:00:00", "2026-05-31 00:00:00"]),
        ("0 0 0 29 2 *", ["2028-02-29 00:00:00", "2032-02-29 00:00:00", "2036-02-29 00:00:00"]),
        ("5,8,10 * * * * *", ["2026-01-07 10:03:05", "2026-01-07 10:03:08", "2026-01-07 10:03:10"]),
        ("0 0 9-17/4 * * *", ["2026-01-07 13:00:00", "2026-01-07 17:00:00", "2026-01-08 09:00:00"]),
    ],
)
def test_six_fields_give_the_occurrences_azure_documents(text: str, expected: list[str]) -> None:
    assert occurrences(text) == expected


def test_five_fields_fire_at_second_zero() -> None:
    assert occurrences("*/5 * * * *", 1) == ["2026-01-07 10:05:00"]


def test_day_of_month_and_day_of_week_must_both_match() -> None:
    assert occurrences("0 0 9 13 * Fri", 2) == ["2026-02-13 09:00:00", "2026-03-13 09:00:00"]


def test_a_reversed_range_is_swapped_and_does_not_wrap_around_midnight() -> None:
    assert occurrences("0 0 22-20 * * *", 3) == ["2026-01-07 20:00:00", "2026-01-07 21:00:00", "2026-01-07 22:00:00"]


def test_a_step_after_a_single_value_runs_to_the_end_of_the_field() -> None:
    assert occurrences("0 20/15 * * * *", 4) == [
        "2026-01-07 10:20:00",
        "2026-01-07 10:35:00",
        "2026-01-07 10:50:00",
        "2026-01-07 11:20:00",
    ]


def test_names_may_be_shortened_and_written_in_any_case() -> None:
    assert occurrences("0 0 0 1 sept *", 1) == ["2026-09-01 00:00:00"]


def test_an_occurrence_is_strictly_after_the_given_instant() -> None:
    on_time = datetime(2026, 1, 7, 10, 5, tzinfo=UTC)
    schedule = parse_schedule("0 */5 * * * *", NOW)
    assert schedule.next_after(on_time) == on_time + timedelta(minutes=5)
    assert schedule.next_after(on_time - timedelta(microseconds=1)) == on_time


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("00:05:00", timedelta(minutes=5)),
        ("1.02:00:00", timedelta(days=1, hours=2)),
        ("00:00:01.5", timedelta(seconds=1.5)),
        ("01:30", timedelta(hours=1, minutes=30)),
        ("2", timedelta(days=2)),
    ],
)
def test_a_timespan_is_a_period_from_the_last_occurrence(text: str, period: timedelta) -> None:
    assert parse_schedule(text, NOW).next_after(NOW) == NOW + period


@pytest.mark.parametrize(
    ("text", "often"),
    [
        ("*/10 * * * * *", True),
        ("0 * * * * *", False),
        ("*/10 0 * * * *", False),
        ("00:00:30", True),
        ("00:01:00", False),
    ],
)
def test_more_than_one_occurrence_a_minute_is_too_often_to_monitor(text: str, *, often: bool) -> None:
    assert parse_schedule(text, NOW).fires_within_a_minute(NOW) is often


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "neither an NCRONTAB expression"),
        ("every day", "neither an NCRONTAB expression"),
        ("* * * *", "neither an NCRONTAB expression"),
        ("0 0 0 * * * *", "neither an NCRONTAB expression"),
        ("@daily", "neither an NCRONTAB expression"),
        ("24:00:00", "neither an NCRONTAB expression"),
        ("0 60 * * * *", "minute field '60' has 60"),
        ("0 0 24 * * *", "hour field '24' has 24"),
        ("0 0 0 0 * *", "day field '0' has 0"),
        ("0 0 0 * * 7", "day of week field '7' has 7"),
        ("0 0 0 * Foo *", "month field 'Foo' has 'Foo'"),
        ("0 0 0 L * *", "day field 'L' has 'L'"),
        ("0 0 0 ? * *", "day field '?' has '?'"),
        ("0 */x * * * *", "step that is not a number"),
        ("0 1,,2 * * * *", "minute field '1,,2' has ''"),
        ("0 ² * * * *", "minute field '²' has '²'"),
        ("0 0 0 30 2 *", "a date that never comes"),
        ("00:00:00", "not a positive duration"),
        ("-00:05:00", "not a positive duration"),
    ],
)
def test_a_malformed_schedule_is_refused_with_the_field_and_value(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        parse_schedule(text, NOW)
