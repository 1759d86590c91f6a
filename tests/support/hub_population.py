"""Orchestrations and entities put straight into a task hub's file, many at once, and what it costs to find them."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.taskhub.engine.engine import Engine
from devhost.taskhub.engine.instance import FINISHED

_STATUSES = (
    pb.ORCHESTRATION_STATUS_COMPLETED,
    pb.ORCHESTRATION_STATUS_RUNNING,
    pb.ORCHESTRATION_STATUS_FAILED,
    pb.ORCHESTRATION_STATUS_TERMINATED,
    pb.ORCHESTRATION_STATUS_SUSPENDED,
)


def populate(engine: Engine, first: int, last: int) -> None:
    """Instances `i000001`, ... created a second after each other, of all statuses in turn."""
    rows: list[tuple[object, ...]] = []
    for number in range(first, last):
        status = _STATUSES[number % len(_STATUSES)]
        at = number * 1_000_000
        completed = at + 1 if status in FINISHED else None
        rows.append((number, f"i{number:06}", "execution", "flow", status, at, at, completed))
    sql = "INSERT INTO instances(key,instance_id,execution_id,name,status,created_at,updated_at,completed_at)"
    _insert(engine, f"{sql} VALUES(?,?,?,?,?,?,?,?)", rows)


def populate_entities(engine: Engine, first: int, last: int) -> None:
    """Entities `@counter@k000001`, ... each with its number as its state."""
    rows: list[tuple[object, ...]] = [(f"@counter@k{number:06}", str(number), number) for number in range(first, last)]
    _insert(engine, "INSERT INTO entities(entity_id,state,modified_at) VALUES(?,?,?)", rows)


def _insert(engine: Engine, sql: str, rows: list[tuple[object, ...]]) -> None:
    connection = engine.context.commits.connection
    connection.execute("BEGIN")
    connection.executemany(sql, rows)
    connection.execute("COMMIT")


@dataclass
class Cost:
    """How many instructions SQLite has run, in tens."""

    tens: int = 0


@contextmanager
def sqlite_cost(connection: sqlite3.Connection) -> Iterator[Cost]:
    """Count what SQLite does inside: the same work costs the same on every machine."""
    cost = Cost()

    def count() -> int:
        cost.tens += 1
        return 0

    connection.set_progress_handler(count, 10)
    try:
        yield cost
    finally:
        connection.set_progress_handler(None, 0)
