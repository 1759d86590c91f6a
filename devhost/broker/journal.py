"""Every write of the broker, as SQL: one method for each thing that can happen to messages, sessions and numbers.

One call is one piece of work for the store, and so either on disk as a whole or not at all.
"""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from devhost.broker.codec import (
    DeadLetter,
    decode_message,
    decode_properties,
    encode_dead_letter,
    encode_header,
    encode_properties,
)
from devhost.broker.instants import NEVER
from devhost.broker.model import Message, MessageState, Scalar
from devhost.broker.schema import key_range
from devhost.broker.store import Store

_COLUMNS = (
    "key,state,enqueued_number,enqueued_at,due_at,expires_at,size,session_id,header,properties,dead_letter,content"
)
_INSERT = f"INSERT INTO messages({_COLUMNS}) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)"
_MAX_PARAMETERS = 500


class Row(NamedTuple):
    """A message as the file keeps it, column by column; times are instants."""

    key: int
    state: int
    enqueued_number: int
    enqueued_at: int
    due_at: int
    expires_at: int
    size: int
    session_id: str | None
    header: str
    properties: str | None
    dead_letter: str | None
    content: bytes

    def message(self) -> Message:
        """The message as its producer handed it in."""
        return decode_message(
            self.header, self.properties, session_id=self.session_id, size=self.size, content=self.content
        )


@dataclass(frozen=True, slots=True)
class Admission:
    """What one send writes: messages, and what duplicate detection has seen and may forget."""

    rows: list[Row] = field(default_factory=list)
    #: (key, digest, instant) of each message id seen.
    seen: list[tuple[int, bytes, int]] = field(default_factory=list)
    #: (first, last) keys of what has left the window.
    forgotten: tuple[int, int] | None = None


def new_row(key: int, message: Message, *, origin: int, at: int, due: int = NEVER, expires: int = NEVER) -> Row:
    """The row of a message that enters a queue; it is scheduled when it has a due time."""
    return Row(
        key,
        MessageState.ACTIVE if due == NEVER else MessageState.SCHEDULED,
        origin,
        at,
        due,
        expires,
        message.size,
        message.session_id,
        encode_header(message),
        encode_properties(message.properties),
        None,
        message.content,
    )


class Journal:
    """Writes through a `Store`. Methods that return a future: it is done when the write is on disk."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._next_numbers: dict[int, int] = {}
        # Nothing reads a message after its removal, so that the removals of a transaction can be made in one go.
        self._doomed: list[int] = []
        store.before_commit = self._finish

    def count_up(self, queue: int, next_number: int) -> None:
        """Keep with the next commit that the queue's numbers below `next_number` are used."""
        self._next_numbers[queue] = next_number

    def admit(self, admission: Admission) -> asyncio.Future[None]:
        """Add the messages of one send."""

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(_INSERT, admission.rows)
            if admission.seen:
                connection.executemany("INSERT INTO seen(key,digest,at) VALUES(?,?,?)", admission.seen)
            if admission.forgotten is not None:
                connection.execute("DELETE FROM seen WHERE key BETWEEN ? AND ?", admission.forgotten)

        return self.store.submit(work)

    def deliver(self, counts: Sequence[tuple[int, int]]) -> asyncio.Future[list[Row]]:
        """Raise the delivery counts to the given (key, count) and read the messages."""

        def work(connection: sqlite3.Connection) -> list[Row]:
            connection.executemany("INSERT OR REPLACE INTO deliveries(key,count) VALUES(?,?)", counts)
            return _read(connection, [key for key, _ in counts])

        return self.store.submit(work)

    def deliver_and_delete(self, keys: Sequence[int], kept: list[Row]) -> asyncio.Future[list[Row]]:
        """Read and delete the messages; `kept` gets them too, so that `restore` can take it back."""

        def work(connection: sqlite3.Connection) -> list[Row]:
            kept.extend(_read(connection, keys))
            _delete(connection, keys)
            return kept

        return self.store.submit(work)

    def restore(self, kept: list[Row], counts: Sequence[tuple[int, int]]) -> None:
        """Put back what `deliver_and_delete` took, with the given (key, count) of deliveries."""

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(_INSERT, kept)
            connection.executemany("INSERT INTO deliveries(key,count) VALUES(?,?)", counts)

        self.store.post(work)

    def set_counts(self, counts: Sequence[tuple[int, int]]) -> asyncio.Future[None]:
        """Set the delivery counts of (key, count)."""

        def work(connection: sqlite3.Connection) -> None:
            sql = "UPDATE deliveries SET count=? WHERE key=?"
            connection.executemany(sql, [(count, key) for key, count in counts])

        return self.store.submit(work)

    def delete(self, keys: Sequence[int]) -> asyncio.Future[None]:
        """Remove messages for good."""
        return self.store.submit(lambda _: self._doomed.extend(keys))

    def drop(self, keys: Sequence[int]) -> None:
        """As `delete`, for messages that nobody settles: they expired."""
        self.store.post(lambda _: self._doomed.extend(keys))

    def change(self, key: int, state: MessageState, properties: Mapping[str, Scalar]) -> asyncio.Future[None]:
        """Set a message's state and lay `properties` over its own."""
        return self.store.submit(lambda connection: _change(connection, key, state, properties))

    def bury(
        self, key: int, new_key: int, mark: DeadLetter, properties: Mapping[str, Scalar] | None = None
    ) -> asyncio.Future[None]:
        """Move a message into a dead-letter queue, where it does not expire."""

        def work(connection: sqlite3.Connection) -> None:
            _change(connection, key, MessageState.ACTIVE, properties or {})
            connection.execute(
                "UPDATE messages SET key=?, due_at=?, expires_at=?, dead_letter=? WHERE key=?",
                (new_key, NEVER, NEVER, encode_dead_letter(mark), key),
            )
            connection.execute("UPDATE deliveries SET key=? WHERE key=?", (new_key, key))

        return self.store.submit(work)

    def activate(self, key: int, copies: Sequence[tuple[int, int, int, str | None]], at: int) -> None:
        """Replace a scheduled message by available ones enqueued at `at`: (key, origin, expiry, dead-letter mark)."""

        def work(connection: sqlite3.Connection) -> None:
            (row,) = _read(connection, [key])
            _delete(connection, [key])
            connection.executemany(
                _INSERT,
                [
                    row._replace(
                        key=new_key,
                        state=MessageState.ACTIVE,
                        enqueued_number=origin,
                        enqueued_at=at,
                        due_at=NEVER,
                        expires_at=expires,
                        dead_letter=mark,
                    )
                    for new_key, origin, expires, mark in copies
                ],
            )

        self.store.post(work)

    async def read(self, keys: Sequence[int]) -> list[Row]:
        """Read messages as they are after everything written so far."""
        return await self.store.read(lambda connection: _read(connection, keys))

    async def enqueued_times(self, keys: Sequence[int]) -> list[int]:
        """When each of these messages was enqueued."""

        def work(connection: sqlite3.Connection) -> list[int]:
            sql = "SELECT enqueued_at FROM messages WHERE key=?"
            return [connection.execute(sql, (key,)).fetchone()[0] for key in keys]

        return await self.store.read(work)

    async def session_state(self, queue: int, session_id: str) -> bytes | None:
        """A session's state."""

        def work(connection: sqlite3.Connection) -> bytes | None:
            sql = "SELECT state FROM sessions WHERE queue=? AND session_id=?"
            row = connection.execute(sql, (queue, session_id)).fetchone()
            return None if row is None else row[0]

        return await self.store.read(work)

    def set_session_state(self, queue: int, session_id: str, state: bytes | None, at: int) -> asyncio.Future[None]:
        """Set or, with None, clear a session's state."""

        def work(connection: sqlite3.Connection) -> None:
            if state is None:
                connection.execute("DELETE FROM sessions WHERE queue=? AND session_id=?", (queue, session_id))
            else:
                connection.execute(
                    "INSERT OR REPLACE INTO sessions(queue,session_id,state,updated_at) VALUES(?,?,?,?)",
                    (queue, session_id, state, at),
                )

        return self.store.submit(work)

    async def sessions_with_state(self, queue: int, after: int) -> list[str]:
        """Ids of the sessions whose state was set after the instant `after`."""

        def work(connection: sqlite3.Connection) -> list[str]:
            sql = "SELECT session_id FROM sessions WHERE queue=? AND updated_at>?"
            return [name for (name,) in connection.execute(sql, (queue, after))]

        return await self.store.read(work)

    def forget_seen(self, queue: int, connection: sqlite3.Connection) -> None:
        """Remove, inside a piece of work, what the queue's duplicate detection has seen."""
        connection.execute("DELETE FROM seen WHERE key BETWEEN ? AND ?", key_range(queue))

    def empty(self, queues: Sequence[int], connection: sqlite3.Connection) -> None:
        """Remove, inside a piece of work, everything that these queues hold."""
        for queue in queues:
            for table in ("messages", "deliveries", "seen"):
                connection.execute(f"DELETE FROM {table} WHERE key BETWEEN ? AND ?", key_range(queue))
            connection.execute("DELETE FROM sessions WHERE queue=?", (queue,))
            self._next_numbers.pop(queue, None)

    def _finish(self, connection: sqlite3.Connection) -> None:
        if self._doomed:
            _delete(connection, self._doomed)
            self._doomed.clear()
        if self._next_numbers:
            numbers = [(number, queue) for queue, number in self._next_numbers.items()]
            connection.executemany("UPDATE entities SET next_number=? WHERE number=?", numbers)
            self._next_numbers.clear()


def _read(connection: sqlite3.Connection, keys: Sequence[int]) -> list[Row]:
    found: dict[int, Row] = {}
    for start in range(0, len(keys), _MAX_PARAMETERS):
        some = keys[start : start + _MAX_PARAMETERS]
        marks = ",".join("?" * len(some))
        for row in connection.execute(f"SELECT {_COLUMNS} FROM messages WHERE key IN ({marks})", some).fetchall():
            found[row[0]] = Row._make(row)
    return [found[key] for key in keys]


def _delete(connection: sqlite3.Connection, keys: Sequence[int]) -> None:
    parameters = [(key,) for key in keys]
    connection.executemany("DELETE FROM messages WHERE key=?", parameters)
    connection.executemany("DELETE FROM deliveries WHERE key=?", parameters)


def _change(connection: sqlite3.Connection, key: int, state: MessageState, properties: Mapping[str, Scalar]) -> None:
    if not properties:
        connection.execute("UPDATE messages SET state=? WHERE key=?", (state, key))
        return
    (text,) = connection.execute("SELECT properties FROM messages WHERE key=?", (key,)).fetchone()
    merged = decode_properties(text) | dict(properties)
    sql = "UPDATE messages SET state=?, properties=? WHERE key=?"
    connection.execute(sql, (state, encode_properties(merged), key))
