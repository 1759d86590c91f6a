"""Orchestrations in the file: what has changed since the last commit is written, and read back on demand."""

import itertools
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.taskhub.engine.instance import Instance, Parent, Pending
from devhost.taskhub.engine.schema import chunk_id, chunk_range

_COLUMNS: Final = (
    "key,instance_id,execution_id,name,version,status,created_at,updated_at,completed_at,scheduled_at,"
    "parent_id,parent_execution_id,parent_task_id,custom_status,failure,tags"
)
_INSERT: Final = f"INSERT INTO instances({_COLUMNS}) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
_UPDATE: Final = (
    "UPDATE instances SET execution_id=?,version=?,status=?,updated_at=?,completed_at=?,"
    "parent_execution_id=?,custom_status=?,failure=? WHERE key=?"
)
_SELECT: Final = f"SELECT {_COLUMNS} FROM instances"


class Journal:
    """The `Part` that writes instances, their histories, inboxes, inputs and outputs."""

    def __init__(self, connection: sqlite3.Connection, changed: Callable[[], None]) -> None:
        """`changed` is called for each change that `write` will write."""
        #: Called after a commit with the instances that are now on disk as they are in memory.
        self.on_written: Callable[[Sequence[Instance]], None] = lambda _: None
        self._connection = connection
        self._changed = changed
        self._written: Sequence[Instance] = ()
        self._dirty: dict[Instance, None] = {}
        self._inputs: dict[int, str | None] = {}
        self._outputs: dict[int, str | None] = {}
        self._consumed: list[int] = []
        self._removed: list[int] = []
        self._next_key = _next(connection, "instances", "key")
        self._next_row = _next(connection, "inbox", "id")

    def new_key(self) -> int:
        """A key for a new instance."""
        key = self._next_key
        self._next_key += 1
        return key

    def touch(self, instance: Instance) -> None:
        """The instance has changed."""
        self._dirty[instance] = None
        self._changed()

    def is_dirty(self, instance: Instance) -> bool:
        """Whether the file is behind."""
        return instance in self._dirty

    def consume(self, events: Iterable[Pending]) -> None:
        """These events have left an inbox."""
        self._consumed += [each.row for each in events if each.row]

    def set_input(self, instance: Instance, text: str | None) -> None:
        """What the instance's execution was started with."""
        self._inputs[instance.key] = text

    def set_output(self, instance: Instance, text: str | None) -> None:
        """What the instance ended with."""
        self._outputs[instance.key] = text

    def remove(self, instance: Instance) -> None:
        """Forget the instance and all that belongs to it."""
        self._dirty.pop(instance, None)
        self._inputs.pop(instance.key, None)
        self._outputs.pop(instance.key, None)
        self.consume(instance.inbox)
        self._removed.append(instance.key)
        self._changed()

    def write(self, connection: sqlite3.Connection) -> None:
        """Write what has changed; part of a commit."""
        dirty, self._dirty = list(self._dirty), {}
        self._write_removals(connection)
        connection.executemany(_INSERT, [_row(each) for each in dirty if each.is_new])
        connection.executemany(_UPDATE, [_changes(each) for each in dirty if not each.is_new])
        for instance in dirty:
            instance.is_new = False
            if instance.history_rewritten:
                connection.execute("DELETE FROM history WHERE id BETWEEN ? AND ?", chunk_range(instance.key))
                instance.history_rewritten = False
        connection.executemany("INSERT INTO history(id,events) VALUES(?,?)", list(_new_chunks(dirty)))
        connection.executemany("INSERT INTO inbox(id,key,event) VALUES(?,?,?)", list(self._new_events(dirty)))
        _write_texts(connection, "inputs", self._inputs)
        _write_texts(connection, "outputs", self._outputs)
        self._written = dirty

    def committed(self) -> None:
        """What `write` wrote is on disk."""
        written, self._written = self._written, ()
        self.on_written(written)

    def _write_removals(self, connection: sqlite3.Connection) -> None:
        keys = [(key,) for key in self._removed]
        if keys:
            for table in ("instances", "inputs", "outputs"):
                connection.executemany(f"DELETE FROM {table} WHERE key=?", keys)
            ranges = [chunk_range(key) for key in self._removed]
            connection.executemany("DELETE FROM history WHERE id BETWEEN ? AND ?", ranges)
        connection.executemany("DELETE FROM inbox WHERE id=?", [(row,) for row in self._consumed])
        self._removed = []
        self._consumed = []

    def _new_events(self, instances: Iterable[Instance]) -> Iterator[tuple[int, int, bytes]]:
        for instance in instances:
            for pending in instance.inbox:
                if not pending.row:
                    pending.row = self._next_row
                    self._next_row += 1
                    yield pending.row, instance.key, pending.event.SerializeToString()

    def find(self, instance_id: str) -> Instance | None:
        """The instance as it is on disk, without its history and inbox."""
        row = self._connection.execute(f"{_SELECT} WHERE instance_id=?", (instance_id,)).fetchone()
        return None if row is None else _instance(row)

    def unfinished(self) -> Iterator[Instance]:
        """All that have not finished, oldest first, each without history and inbox."""
        return map(_instance, list(self._rows("WHERE completed_at IS NULL ORDER BY created_at,key")))

    def select(self, tail: str, parameters: Sequence[object]) -> Iterator[Instance]:
        """Instances on disk, read as needed, each without history and inbox.

        `tail` is the rest of the statement that begins with `SELECT ... FROM instances`.
        """
        return map(_instance, self._rows(tail, parameters))

    def _rows(self, tail: str, parameters: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        return self._connection.execute(f"{_SELECT} {tail}", tuple(parameters))

    def load(self, instance: Instance) -> None:
        """Fill in the history and the inbox of an instance of which nothing is in memory."""
        instance.history = list(self.history(instance.key))
        (instance.saved_chunks,) = self._connection.execute(
            "SELECT coalesce(max(id)-?+1,0) FROM history WHERE id BETWEEN ? AND ?",
            (chunk_id(instance.key, 0), *chunk_range(instance.key)),
        ).fetchone()
        instance.saved_events = len(instance.history)

    def history(self, key: int) -> Iterator[pb.HistoryEvent]:
        """The events of an instance's history that are on disk, oldest first."""
        rows = self._connection.execute(
            "SELECT events FROM history WHERE id BETWEEN ? AND ? ORDER BY id", chunk_range(key)
        )
        return itertools.chain.from_iterable(pb.HistoryChunk.FromString(blob).events for (blob,) in rows)

    def inboxes(self) -> dict[int, list[Pending]]:
        """Every event that no turn has taken in, by the key of its instance, in the order they came."""
        found: dict[int, list[Pending]] = {}
        for row, key, event in self._connection.execute("SELECT id,key,event FROM inbox ORDER BY id"):
            found.setdefault(key, []).append(Pending(pb.HistoryEvent.FromString(event), row))
        return found

    def input_text(self, key: int) -> str | None:
        """What is on disk as the instance's input."""
        return self._text("inputs", key)

    def output_text(self, key: int) -> str | None:
        """What is on disk as the instance's output."""
        return self._text("outputs", key)

    def _text(self, table: str, key: int) -> str | None:
        row = self._connection.execute(f"SELECT text FROM {table} WHERE key=?", (key,)).fetchone()
        return None if row is None else row[0]


def _next(connection: sqlite3.Connection, table: str, column: str) -> int:
    (highest,) = connection.execute(f"SELECT coalesce(max({column}),0) FROM {table}").fetchone()
    return int(highest) + 1


def _new_chunks(instances: Iterable[Instance]) -> Iterator[tuple[int, bytes]]:
    for instance in instances:
        if len(instance.history) > instance.saved_events:
            grown = instance.history[instance.saved_events :]
            yield chunk_id(instance.key, instance.saved_chunks), pb.HistoryChunk(events=grown).SerializeToString()
            instance.saved_events = len(instance.history)
            instance.saved_chunks += 1


def _write_texts(connection: sqlite3.Connection, table: str, texts: dict[int, str | None]) -> None:
    if texts:
        connection.executemany(f"DELETE FROM {table} WHERE key=?", [(key,) for key in texts])
        written = [(key, text) for key, text in texts.items() if text is not None]
        connection.executemany(f"INSERT INTO {table}(key,text) VALUES(?,?)", written)
        texts.clear()


def _row(instance: Instance) -> tuple[object, ...]:
    parent = instance.parent
    return (
        instance.key,
        instance.id,
        instance.execution_id,
        instance.name,
        instance.version,
        instance.status,
        instance.created_at,
        instance.updated_at,
        instance.completed_at,
        instance.scheduled_at,
        *((None, None, None) if parent is None else (parent.instance_id, parent.execution_id, parent.task_id)),
        instance.custom_status,
        None if instance.failure is None else instance.failure.SerializeToString(),
        json.dumps(instance.tags) if instance.tags else None,
    )


def _changes(instance: Instance) -> tuple[object, ...]:
    return (
        instance.execution_id,
        instance.version,
        instance.status,
        instance.updated_at,
        instance.completed_at,
        None if instance.parent is None else instance.parent.execution_id,
        instance.custom_status,
        None if instance.failure is None else instance.failure.SerializeToString(),
        instance.key,
    )


def _instance(row: tuple[Any, ...]) -> Instance:
    (
        key,
        instance_id,
        execution_id,
        name,
        version,
        status,
        created_at,
        updated_at,
        completed_at,
        scheduled_at,
        parent_id,
        parent_execution_id,
        parent_task_id,
        custom_status,
        failure,
        tags,
    ) = row
    return Instance(
        key=key,
        id=instance_id,
        execution_id=execution_id,
        name=name,
        version=version,
        status=status,
        created_at=created_at,
        updated_at=updated_at,
        completed_at=completed_at,
        scheduled_at=scheduled_at,
        parent=None if parent_id is None else Parent(parent_id, parent_execution_id, parent_task_id),
        custom_status=custom_status,
        failure=None if failure is None else pb.TaskFailureDetails.FromString(failure),
        tags=json.loads(tags) if tags else {},
        is_new=False,
    )
