"""Activities whose execution is over and that have not come back: nobody waits for them, and they run all the same.

While an execution lasts, its history says which activities are outstanding. This is what remembers them afterwards.
"""

import sqlite3
from collections.abc import Callable, Iterator
from typing import Final

from durabletask.internal import orchestrator_service_pb2 as pb

_LOAD: Final = "SELECT id,instance_id,execution_id,event FROM strays ORDER BY id"
_INSERT: Final = "INSERT INTO strays(id,instance_id,execution_id,event) VALUES(?,?,?,?)"

type TaskKey = tuple[str, int]
"""The id of an execution and of one of its tasks."""


class Strays:
    """The `Part` that keeps them, by execution and task."""

    def __init__(self, connection: sqlite3.Connection, changed: Callable[[], None]) -> None:
        """`changed` is called for each change that `write` will write."""
        self._connection = connection
        self._changed = changed
        (highest,) = connection.execute("SELECT coalesce(max(id),0) FROM strays").fetchone()
        self._next_row = int(highest) + 1
        self._rows: dict[TaskKey, int] = {}
        self._added: dict[int, tuple[int, str, str, bytes]] = {}
        self._gone: list[int] = []

    def __contains__(self, task: TaskKey) -> bool:
        return task in self._rows

    def load(self) -> Iterator[tuple[str, str, pb.HistoryEvent]]:
        """Take up what is on disk: instance id, execution id, and the event that asked for the activity."""
        for row, instance_id, execution_id, blob in self._connection.execute(_LOAD).fetchall():
            event = pb.HistoryEvent.FromString(blob)
            self._rows[execution_id, event.eventId] = row
            yield instance_id, execution_id, event

    def add(self, instance_id: str, execution_id: str, event: pb.HistoryEvent) -> None:
        """Remember the activity that `event` asks for."""
        task = (execution_id, event.eventId)
        if task not in self._rows:
            row, self._next_row = self._next_row, self._next_row + 1
            self._rows[task] = row
            self._added[row] = (row, instance_id, execution_id, event.SerializeToString())
            self._changed()

    def discard(self, task: TaskKey) -> None:
        """Forget an activity that has come back; one that is not known is forgotten already."""
        row = self._rows.pop(task, None)
        if row is not None:
            if self._added.pop(row, None) is None:
                self._gone.append(row)
            self._changed()

    def write(self, connection: sqlite3.Connection) -> None:
        """Write what has changed; part of a commit."""
        connection.executemany(_INSERT, list(self._added.values()))
        connection.executemany("DELETE FROM strays WHERE id=?", [(row,) for row in self._gone])
        self._added = {}
        self._gone = []

    def committed(self) -> None:
        """Nothing waits for it."""
