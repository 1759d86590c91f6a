"""Entities in the file: states, locks, and the messages that are not done, written with each commit."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.taskhub.entities.entity import Entity
from devhost.taskhub.entities.mailbox import EntityMailbox, EntityMessage, Lock

_UPSERT: Final = (
    "INSERT INTO entities(entity_id,state,modified_at,section,owner) VALUES(?,?,?,?,?)"
    " ON CONFLICT(entity_id) DO UPDATE SET"
    " state=excluded.state,modified_at=excluded.modified_at,section=excluded.section,owner=excluded.owner"
)
_SELECT: Final = "SELECT entity_id,state,modified_at,section,owner FROM entities"


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message in the file. `due` is the instant at which it arrives; None when it has."""

    entity_id: str
    message: EntityMessage
    due: int | None = None


class EntityJournal:
    """The `Part` that writes entities and their messages."""

    def __init__(self, connection: sqlite3.Connection, changed: Callable[[], None]) -> None:
        """`changed` is called for each change that `write` will write."""
        #: Called for each entity that is on disk as it is in memory.
        self.on_written: Callable[[Entity], None] = lambda _: None
        self._connection = connection
        self._changed = changed
        self._dirty: dict[Entity, None] = {}
        self._written: list[Entity] = []
        self._new: dict[int, StoredMessage] = {}
        self._done: list[int] = []
        self._forgotten: list[str] = []
        (highest,) = connection.execute("SELECT coalesce(max(number),0) FROM entity_messages").fetchone()
        self._next_number = int(highest) + 1

    @property
    def first_unwritten(self) -> int:
        """The number from which on messages are not on disk."""
        return next(iter(self._new), self._next_number)

    def add(self, entity_id: str, event: pb.HistoryEvent, due: int | None = None) -> EntityMessage:
        """Keep a message; it is done when `done` says so. One with a `due` has yet to arrive."""
        message = EntityMessage(self._next_number, event)
        self._next_number += 1
        self._new[message.number] = StoredMessage(entity_id, message, due)
        self._changed()
        return message

    def done(self, numbers: Iterable[int]) -> None:
        """These messages need not be kept any more."""
        for number in numbers:
            if self._new.pop(number, None) is None:
                self._done.append(number)
            self._changed()

    def touch(self, entity: Entity) -> None:
        """The entity's state or lock has changed."""
        self._dirty[entity] = None
        self._changed()

    def forget(self, entity_id: str) -> None:
        """Remove an entity that nothing in memory is about."""
        self._forgotten.append(entity_id)
        self._changed()

    def write(self, connection: sqlite3.Connection) -> None:
        """Write what has changed; part of a commit."""
        dirty, self._dirty = list(self._dirty), {}
        new, self._new = self._new, {}
        connection.executemany("DELETE FROM entities WHERE entity_id=?", [(each,) for each in self._forgotten])
        connection.executemany("DELETE FROM entity_messages WHERE number=?", [(each,) for each in self._done])
        self._forgotten, self._done = [], []
        connection.executemany(_UPSERT, map(_row, dirty))
        connection.executemany(
            "INSERT INTO entity_messages(number,entity_id,due_at,event) VALUES(?,?,?,?)",
            [
                (number, each.entity_id, each.due, each.message.event.SerializeToString())
                for number, each in new.items()
            ],
        )
        self._written = dirty

    def committed(self) -> None:
        """What `write` wrote is on disk."""
        written, self._written = self._written, []
        for entity in written:
            if entity not in self._dirty:
                self.on_written(entity)

    def find(self, entity_id: str) -> Entity | None:
        """The entity as it is on disk, without its messages."""
        row = self._connection.execute(f"{_SELECT} WHERE entity_id=?", (entity_id,)).fetchone()
        return None if row is None else _entity(row)

    def locked(self) -> Iterator[Entity]:
        """All entities that are locked on disk."""
        return map(_entity, self._connection.execute(f"{_SELECT} WHERE owner IS NOT NULL").fetchall())

    def scan(self, first: str, end: str) -> Iterator[Entity]:
        """Entities on disk in the order of their ids, from `first` up to but not including `end`; read as needed."""
        sql = f"{_SELECT} WHERE entity_id>=? AND entity_id<? ORDER BY entity_id"
        return map(_entity, self._connection.execute(sql, (first, end)))

    def without_state(self, first: str, limit: int) -> list[Entity]:
        """At most `limit` entities on disk that have no state, in the order of their ids, from `first` on."""
        sql = f"{_SELECT} WHERE state IS NULL AND entity_id>=? ORDER BY entity_id LIMIT ?"
        return list(map(_entity, self._connection.execute(sql, (first, limit))))

    def messages(self) -> Iterator[StoredMessage]:
        """All messages on disk, in the order of their numbers."""
        rows = self._connection.execute("SELECT number,entity_id,due_at,event FROM entity_messages ORDER BY number")
        for number, entity_id, due, event in rows.fetchall():
            yield StoredMessage(entity_id, EntityMessage(number, pb.HistoryEvent.FromString(event)), due)


def _row(entity: Entity) -> tuple[object, ...]:
    lock = entity.mailbox.lock
    return (
        entity.id,
        entity.state,
        entity.modified_at,
        None if lock is None else lock.section,
        None if lock is None else lock.owner,
    )


def _entity(row: tuple[str, str | None, int, str | None, str | None]) -> Entity:
    entity_id, state, modified_at, section, owner = row
    lock = None if section is None or owner is None else Lock(section, owner)
    return Entity(entity_id, modified_at, state, EntityMailbox(lock=lock))
