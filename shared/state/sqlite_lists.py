"""Lists of runs in SQLite. Every list walks one index from the newest run down, and stops when its page is full."""

import sqlite3
from dataclasses import dataclass, field
from datetime import datetime

from shared.errors import InvalidRequest
from shared.state.listing import RunFilter, RunPage, RunSummary, continuation_token, place_in
from shared.state.sqlite_schema import position_at, read_document
from shared.status import RunStatus


@dataclass(slots=True)
class _Search:
    """The parts of a query. `source` names the index that is walked, `place` its column with a run's position."""

    source: str = "runs r"
    place: str = "r.position"
    conditions: list[str] = field(default_factory=list)
    values: list[object] = field(default_factory=list)

    def require(self, condition: str, *values: object) -> None:
        self.conditions.append(condition)
        self.values += values

    @property
    def where(self) -> str:
        return " where " + " and ".join(self.conditions) if self.conditions else ""


def page(db: sqlite3.Connection, asked: RunFilter, limit: int, continuation: str | None) -> RunPage:
    """A page of the list; see `StateStore.list_runs`."""
    search = _search(asked)
    last = _position(place_in(asked, continuation))
    if last is not None:
        search.require(f"{search.place} < ?", last)
    rows = db.execute(
        f"select r.position, r.task_id, r.summary from {search.source}{search.where}"
        f" order by {search.place} desc limit ?",
        [*search.values, limit + 1],
    ).fetchall()
    shown = rows[:limit]
    more = len(rows) > limit
    return RunPage(
        runs=tuple(read_document(RunSummary, summary, task_id) for _, task_id, summary in shown),
        continuation=continuation_token(asked, str(shown[-1][0])) if more else None,
    )


def counts(db: sqlite3.Connection, asked: RunFilter) -> dict[RunStatus, int]:
    """How many runs stand where; see `StateStore.count_runs`."""
    search = _search(asked)
    rows = db.execute(
        f"select r.status, count(*) from {search.source}{search.where} group by r.status", search.values
    ).fetchall()
    return dict.fromkeys(RunStatus, 0) | {RunStatus(status): count for status, count in rows}


def _search(asked: RunFilter) -> _Search:
    search = _Search()
    if asked.text is not None:
        # A cross join keeps SQLite from turning the walk round: words first, each match looked up in `runs`.
        search.source, search.place = "run_words w cross join runs r on r.position = w.rowid", "w.rowid"
        search.require("run_words match ?", " ".join(f'"{word}"*' for word in asked.words))
        if asked.agent is not None:
            exists = "exists (select 1 from run_agents a where a.agent = ? and a.position = w.rowid)"
            search.require(exists, asked.agent)
    elif asked.agent is not None:
        search.source, search.place = "run_agents a cross join runs r on r.position = a.position", "a.position"
        search.require("a.agent = ?", asked.agent)
    if asked.status is not None:
        search.require("r.status = ?", asked.status)
    if asked.type is not None:
        search.require("r.type = ?", asked.type)
    if asked.since is not None:
        search.require(f"{search.place} >= ?", position_at(_microseconds(asked.since)))
    if asked.before is not None:
        search.require(f"{search.place} < ?", position_at(_microseconds(asked.before)))
    return search


def _microseconds(time: datetime) -> int:
    return int(time.replace(microsecond=0).timestamp()) * 1_000_000 + time.microsecond


def _position(place: str | None) -> int | None:
    if place is None:
        return None
    # int() takes more than digits, and SQLite takes no more than 64 bits.
    if not place.removeprefix("-").isdecimal() or not place.isascii() or len(place) > 20 or abs(int(place)) >= 2**63:
        raise InvalidRequest("this is no continuation of a list", field="continuation")
    return int(place)
