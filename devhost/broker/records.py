"""How entities are kept in the file: one row each (a dead-letter queue has its own), the options as JSON."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from devhost.broker.codec import decode_scalar, encode_scalar
from devhost.broker.topology import (
    CorrelationFilter,
    EntityStatus,
    FalseFilter,
    QueueOptions,
    Rule,
    RuleFilter,
    SqlFilter,
    SubscriptionOptions,
    TopicOptions,
    TrueFilter,
)

type Options = QueueOptions | TopicOptions | SubscriptionOptions

_MICROSECOND = timedelta(microseconds=1)
_SPANS = frozenset({"lock_duration", "default_message_time_to_live", "duplicate_detection_history_time_window"})
_KINDS: dict[str, type[QueueOptions | TopicOptions | SubscriptionOptions]] = {
    "queue": QueueOptions,
    "topic": TopicOptions,
    "subscription": SubscriptionOptions,
}
_FILTERS: dict[str, type[RuleFilter]] = {
    "true": TrueFilter,
    "false": FalseFilter,
    "sql": SqlFilter,
    "correlation": CorrelationFilter,
}


@dataclass(frozen=True, slots=True)
class EntityRecord:
    """One entity as the file keeps it."""

    number: int
    path: str
    options: Options
    #: The options it had in the topology when that was last taken up; None when it never came from one.
    declared: str | None
    #: Its dead-letter queue's number, None for a topic.
    dead_letters: int | None
    next_number: int
    created_at: int
    updated_at: int


def encode_options(options: Options) -> str:
    """Options as JSON; a topic's subscriptions are left out."""
    said: dict[str, object] = {}
    for field in fields(options):
        value = getattr(options, field.name)
        if field.name == "rules":
            said["rules"] = [_encode_rule(rule) for rule in value]
        elif field.name in _SPANS:
            said[field.name] = None if value is None else value // _MICROSECOND
        elif field.name != "subscriptions":
            said[field.name] = value
    return json.dumps(said, sort_keys=True)


def decode_options(kind: str, text: str) -> Options:
    """The inverse of `encode_options`."""
    said: dict[str, Any] = json.loads(text)
    for name in _SPANS & said.keys():
        said[name] = None if said[name] is None else timedelta(microseconds=said[name])
    said["status"] = EntityStatus(said["status"])
    if "rules" in said:
        said["rules"] = tuple(_decode_rule(rule) for rule in said["rules"])
    return _KINDS[kind](**said)


def kind_of(options: Options) -> str:
    """The kind of entity that has such options."""
    return next(kind for kind, options_type in _KINDS.items() if isinstance(options, options_type))


def insert(connection: sqlite3.Connection, record: EntityRecord) -> None:
    """Add an entity, and its dead-letter queue."""
    sql = (
        "INSERT INTO entities(number,path,kind,options,declared,dead_letters,next_number,created_at,updated_at)"
        " VALUES(?,?,?,?,?,?,?,?,?)"
    )
    times = (record.created_at, record.updated_at)
    options = encode_options(record.options)
    kind, path = kind_of(record.options), record.path
    numbers = (record.dead_letters, record.next_number)
    connection.execute(sql, (record.number, path, kind, options, record.declared, *numbers, *times))
    if record.dead_letters is not None:
        dead_path = f"{path}/$deadletterqueue"
        connection.execute(sql, (record.dead_letters, dead_path, "dead-letter", "{}", None, None, 1, *times))


def update(connection: sqlite3.Connection, number: int, options: Options, declared: str | None, at: int) -> None:
    """Replace an entity's options; `declared` None keeps what it was declared as."""
    connection.execute(
        "UPDATE entities SET options=?, declared=coalesce(?, declared), updated_at=? WHERE number=?",
        (encode_options(options), declared, at, number),
    )


def delete(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Remove entities by number."""
    connection.executemany("DELETE FROM entities WHERE number=?", [(number,) for number in numbers])


def load(connection: sqlite3.Connection) -> Iterator[EntityRecord]:
    """All entities but the dead-letter queues, each topic before its subscriptions."""
    rows = connection.execute(
        "SELECT number,path,kind,options,declared,dead_letters,next_number,created_at,updated_at FROM entities"
        " WHERE kind<>'dead-letter' ORDER BY kind='subscription', number"
    )
    for number, path, kind, options, declared, dead_letters, next_number, created_at, updated_at in rows:
        yield EntityRecord(
            number,
            path,
            decode_options(kind, options),
            declared,
            dead_letters,
            next_number,
            created_at,
            updated_at,
        )


def next_numbers(connection: sqlite3.Connection) -> dict[int, int]:
    """The next sequence number of every queue, dead-letter queue and topic, by its number."""
    return dict(connection.execute("SELECT number, next_number FROM entities"))


def highest_number(connection: sqlite3.Connection) -> int:
    """The highest number that any entity has ever had."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name='entities'").fetchone()
    return 0 if row is None else int(row[0])


def _encode_rule(rule: Rule) -> dict[str, object]:
    kind = next(kind for kind, filter_type in _FILTERS.items() if isinstance(rule.filter, filter_type))
    said: dict[str, object] = {}
    for field in fields(rule.filter):
        value = getattr(rule.filter, field.name)
        if field.name in ("parameters", "properties"):
            value = {name: encode_scalar(scalar) for name, scalar in value.items()}
        said[field.name] = value
    return {"name": rule.name, "kind": kind, "filter": said}


def _decode_rule(said: dict[str, Any]) -> Rule:
    values = dict(said["filter"])
    for name in {"parameters", "properties"} & values.keys():
        values[name] = {key: decode_scalar(scalar) for key, scalar in values[name].items()}
    return Rule(said["name"], _FILTERS[said["kind"]](**values))
