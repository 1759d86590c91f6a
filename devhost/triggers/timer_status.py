"""What a monitored timer remembers across restarts, and whether it is past due after one.

The rules are those of the Functions timer extension's schedule monitor: a schedule that changed since the last run
starts afresh, one that did not and whose next occurrence has passed is past due.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from devhost.triggers.ncrontab import Schedule

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TimerStatus:
    """`last`: when it last ran (None: never); `next`: when it is due; `updated`: what `next` was computed from."""

    last: datetime | None
    next: datetime
    updated: datetime


def resume(recorded: TimerStatus | None, schedule: Schedule, now: datetime) -> TimerStatus:
    """The status to go on with at `now`. It is past due when its `next` lies before `now`."""
    if recorded is None:
        return TimerStatus(None, schedule.next_after(now), now)
    basis = recorded.last or recorded.updated
    expected = schedule.next_after(basis)
    if expected == recorded.next:
        return recorded
    if expected < now:
        return TimerStatus(None, schedule.next_after(now), now)
    return TimerStatus(None, expected, basis)


class TimerStore:
    """The statuses of all monitored timers, in one JSON file. Only one process may use the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._statuses = _read(path)

    def get(self, name: str) -> TimerStatus | None:
        """What is recorded of the timer `name`."""
        return self._statuses.get(name)

    def put(self, name: str, status: TimerStatus) -> None:
        """Record it. A file that cannot be written is logged: the timer itself goes on."""
        self._statuses[name] = status
        content = {each: _encode(kept) for each, kept in sorted(self._statuses.items())}
        unfinished = self._path.with_suffix(".tmp")
        try:
            unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")
            unfinished.replace(self._path)
        except OSError as refused:
            _log.error(
                "%s cannot be written, so missed timers are not noticed after a restart: %s", self._path, refused
            )


def _encode(status: TimerStatus) -> dict[str, str | None]:
    last = status.last.isoformat() if status.last else None
    return {"last": last, "next": status.next.isoformat(), "updated": status.updated.isoformat()}


def _decode(entry: Mapping[str, Any]) -> TimerStatus:
    last = entry["last"]
    return TimerStatus(_instant(last) if last else None, _instant(entry["next"]), _instant(entry["updated"]))


def _instant(text: str) -> datetime:
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _read(path: Path) -> dict[str, TimerStatus]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {name: _decode(entry) for name, entry in content.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as unreadable:
        _log.warning("%s is unreadable, so timers start as if for the first time: %r", path, unreadable)
        return {}
