"""Durations and instants as .NET writes them: `host.json`, schedules and trigger metadata all use its forms."""

import re
from datetime import datetime, timedelta
from typing import Final

_TIMESPAN: Final = re.compile(
    r"(?P<sign>-)?(?:(?P<days>\d+)|(?:(?P<d>\d+)\.)?(?P<h>\d{1,2}):(?P<m>\d{1,2})(?::(?P<s>\d{1,2})(?:\.(?P<f>\d{1,7}))?)?)"
)


def parse_timespan(text: str) -> timedelta:
    """The duration of a .NET TimeSpan text: `[-][d.]hh:mm[:ss[.fffffff]]`, or a bare number of days.

    Raises `ValueError` for anything else, and for hours above 23 or minutes and seconds above 59, as .NET does.
    """
    found = _TIMESPAN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"'{text}' is not a duration such as 00:05:00")
    if found["days"]:
        span = timedelta(days=int(found["days"]))
    else:
        hours, minutes, seconds = int(found["h"]), int(found["m"]), int(found["s"] or 0)
        if hours > 23 or minutes > 59 or seconds > 59:
            raise ValueError(
                f"'{text}' is not a duration such as 00:05:00 (hours end at 23, minutes and seconds at 59)"
            )
        micros = int((found["f"] or "0").ljust(7, "0")) // 10
        span = timedelta(days=int(found["d"] or 0), hours=hours, minutes=minutes, seconds=seconds, microseconds=micros)
    return -span if found["sign"] else span


def write_datetime(when: datetime, *, offset: bool = True) -> str:
    """ISO 8601 as Newtonsoft.Json writes it: no trailing zeros in the fraction; the UTC offset only when wanted."""
    text = when.replace(tzinfo=None, microsecond=0).isoformat()
    fraction = f".{when.microsecond:06}".rstrip("0").rstrip(".")
    return f"{text}{fraction}{'+00:00' if offset else ''}"
