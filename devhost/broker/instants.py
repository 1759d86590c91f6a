"""Instants as the core keeps them: whole microseconds since 1970 (UTC), small enough for arrays and SQLite integers."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND

#: Later than every instant: "does not happen".
NEVER = 2**63 - 1


def to_instant(when: datetime) -> int:
    """`when` (timezone-aware) as an instant."""
    return (when - _EPOCH) // _MICROSECOND


def to_datetime(instant: int) -> datetime:
    """The instant as an aware UTC datetime; not for `NEVER`."""
    return _EPOCH + timedelta(microseconds=instant)


def to_optional_datetime(instant: int) -> datetime | None:
    """The instant as an aware UTC datetime, None for `NEVER`."""
    return None if instant == NEVER else to_datetime(instant)


def later(instant: int, span: timedelta | None) -> int:
    """`instant` plus `span`; `NEVER` for no span or one that leaves the calendar."""
    if span is None:
        return NEVER
    moved = instant + span // _MICROSECOND
    return moved if moved <= _LAST else NEVER
