"""Timer schedules as Azure reads them: NCRONTAB expressions (the NCrontab library's rules) and TimeSpan periods.

`parse_schedule` turns the text into a `Schedule`. NCrontab differs from cron where it matters: day of month and day of
week must both match, a reversed range is swapped instead of wrapping, Sunday is only 0, and names may be shortened to
any prefix. So every field is expanded here to its plain values, and croniter only walks the calendar.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol, cast

from croniter import CroniterBadDateError, croniter

from devhost.triggers.timespan import parse_timespan

_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_DAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_A_MINUTE: Final = timedelta(minutes=1)


class Schedule(Protocol):
    """When a timer fires. All instants are timezone-aware UTC."""

    @property
    def text(self) -> str:
        """The schedule as it was written."""
        ...

    @property
    def is_cron(self) -> bool:
        """Whether it follows the calendar; a period does not, and starts at the host's start."""
        ...

    def next_after(self, when: datetime) -> datetime:
        """The first occurrence strictly after `when`."""
        ...

    def fires_within_a_minute(self, now: datetime, /) -> bool:
        """Whether it fires more than once a minute, which is too often for Azure to monitor."""
        ...


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_FIELDS: Final = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 6, _DAYS),
)


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """An NCRONTAB schedule; `fields` are the six fields expanded to `*` or plain values."""

    text: str
    fields: tuple[str, ...]

    @property
    def is_cron(self) -> bool:
        """True."""
        return True

    def next_after(self, when: datetime) -> datetime:
        """The first matching second strictly after `when`. Raises `ValueError` when no date ever matches."""
        walk = croniter(" ".join(self.fields), when, second_at_beginning=True, day_or=False)
        try:
            return cast(datetime, walk.get_next(datetime))
        except CroniterBadDateError:
            raise ValueError(f"'{self.text}' names a date that never comes") from None

    def fires_within_a_minute(self, now: datetime, /) -> bool:
        """True for more than one occurrence in a minute when nothing but the seconds is restricted, as Azure judges."""
        if any(field != "*" for field in self.fields[1:]):
            return False
        second = self.next_after(self.next_after(now))
        return second <= now + _A_MINUTE


@dataclass(frozen=True, slots=True)
class PeriodSchedule:
    """A fixed time between occurrences."""

    text: str
    period: timedelta

    @property
    def is_cron(self) -> bool:
        """False."""
        return False

    def next_after(self, when: datetime) -> datetime:
        """`when` plus the period."""
        return when + self.period

    def fires_within_a_minute(self, _now: datetime, /) -> bool:
        """Whether the period is shorter than a minute."""
        return self.period < _A_MINUTE


def parse_schedule(text: str, now: datetime) -> Schedule:
    """The schedule of an NCRONTAB text of six fields (five: at second 0) or of a TimeSpan such as `00:05:00`.

    Raises `ValueError` saying which field is wrong, or that no date after `now` ever matches.
    """
    parts = text.split()
    if len(parts) in (5, 6):
        fields = ["0", *parts] if len(parts) == 5 else parts
        cron = CronSchedule(text, tuple(map(_expanded, _FIELDS, fields)))
        cron.next_after(now)
        return cron
    try:
        period = parse_timespan(text)
    except ValueError:
        raise ValueError(
            f"'{text}' is neither an NCRONTAB expression of six fields (second minute hour day month day-of-week)"
            " nor a duration such as 00:05:00"
        ) from None
    if period <= timedelta(0):
        raise ValueError(f"'{text}' is not a positive duration")
    return PeriodSchedule(text, period)


def _expanded(field: _Field, text: str) -> str:
    values = sorted({value for part in text.split(",") for value in _values(field, part, text)})
    if len(values) == field.high - field.low + 1:
        return "*"
    return ",".join(map(str, values))


def _values(field: _Field, part: str, whole: str) -> Iterator[int]:
    span, slash, step_text = part.partition("/")
    if slash and not (step_text.isascii() and step_text.isdigit()):
        raise ValueError(f"the {field.name} field '{whole}' has a step that is not a number: '{part}'")
    step = max(int(step_text), 1) if slash else 1
    first, dash, last = span.partition("-")
    if span == "*":
        low, high = field.low, field.high
    elif dash:
        low, high = sorted((_value(field, first, whole), _value(field, last, whole)))
    else:
        low = _value(field, first, whole)
        high = field.high if slash else low
    yield from range(low, high + 1, step)


def _value(field: _Field, text: str, whole: str) -> int:
    if text.isascii() and text.isdigit():
        number = int(text)
    else:
        matching = [i for i, name in enumerate(field.names) if text and name.lower().startswith(text.lower())]
        if not matching:
            raise ValueError(f"the {field.name} field '{whole}' has '{text}', which is not one of its values")
        number = matching[0] + field.low
    if not field.low <= number <= field.high:
        raise ValueError(
            f"the {field.name} field '{whole}' has {number}, but its values go from {field.low} to {field.high}"
        )
    return number
