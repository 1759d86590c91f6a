"""The log of a run in Cosmos DB: the events of its documents, and the one document that gives them their numbers.

An event is written with its change, into the document that it changes. Its number is given by the first who reads the
log after that: what has none yet is numbered after all that has, in the order of time, and the order is kept in a
document of its own, guarded by its ETag. So numbers have no gaps and never change, and writers wait for nobody.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.errors import StateCorrupted, StoreUnavailable
from shared.state.cosmos_container import AlreadyThere, Changed, CosmosContainer, Item, NotThere
from shared.state.cosmos_documents import (
    SCHEMA_VERSION,
    EventBodies,
    corrupted,
    is_left_over,
    log_item_id,
    run_item,
    run_item_id,
    run_of,
    run_time_to_live,
    step_item,
    step_time_to_live,
)
from shared.state.events import EventLog, NumberedEvent, RunEvent
from shared.state.projection import replayed, step_of

_ROUNDS = 20
_PAUSE_SECONDS = 0.005
_PARTITION = "select * from c where c.task_id = @run"
_IDS = "select c.id, c.kind from c where c.task_id = @run"
LOG_GRACE = timedelta(days=365)
"""How much longer than its run the numbers of a log are kept after the last of them: it may be long before the next."""
_BATCH_ITEMS = 100
_BATCH_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Placed:
    """An event and where it is stored. `place` is `step#index`, or `#index` in the run's own document."""

    place: str
    index: int
    event: RunEvent
    # Of its document as a whole: no event is earlier than the one before it.
    at: datetime

    @property
    def order(self) -> tuple[datetime, int, str, int]:
        """Where it comes among events that have no number yet; at one moment, what a run is made of comes between
        its creation and its end."""
        of_run = self.place.startswith("#")
        rank = 1 if not of_run else 0 if self.index == 0 else 2
        return (self.at, rank, self.place, self.index)


async def numbered_log(
    container: CosmosContainer, bodies: EventBodies, task_id: str, retention: timedelta | None
) -> EventLog | None:
    """The log of a run; None when there is no such run. Events without a number are given theirs."""
    lost = False
    for number in range(_ROUNDS):
        await asyncio.sleep(number * _PAUSE_SECONDS)
        items = await container.query(_PARTITION, {"run": task_id}, partition=task_id)
        run = next((item for item in items if item["kind"] == "run"), None)
        if run is None:
            return None
        stored = next((item for item in items if item["kind"] == "log"), None)
        found = await _found(bodies, run, items)
        known = _order(stored, run)
        order = _with_new(known, found)
        # Another reader numbered an event that this one does not see yet, or a document was removed by hand.
        lost = len(order) > len(found)
        if lost:
            continue
        try:
            if len(order) > len(known):
                await _keep(container, stored, log_item(run, order, retention))
        except (AlreadyThere, Changed, NotThere):
            continue
        by_place = {placed.place: placed.event for placed in found}
        events = tuple(NumberedEvent(sequence=n, event=by_place[place]) for n, place in enumerate(order, start=1))
        units = sum(float(item.get("request_units") or 0) for item in items)
        return EventLog(task_id=task_id, events=events, request_units=units)
    if lost:
        raise StateCorrupted(f"the log of run {task_id} numbers events that no document has")
    raise StoreUnavailable(f"the log of run {task_id} changed under every try to number it")


async def store_log(
    container: CosmosContainer, bodies: EventBodies, log: EventLog, retention: timedelta | None
) -> bool:
    """Create the documents of a run from its log, in one transaction unless they are too many; False when it is there.

    The run's own document comes last, so that of a run that is half there nothing is seen.
    Raises `StateCorrupted` when there are left-overs of another run of this id.
    """
    items = await _items(bodies, log, retention)
    if await container.read(run_item_id(log.task_id), log.task_id) is not None:
        return False
    try:
        for batch in _batches(items):
            await container.create_together(batch, log.task_id)
    except AlreadyThere:
        if await container.read(run_item_id(log.task_id), log.task_id) is not None:
            return False
        raise StateCorrupted(f"there are left-overs of a run {log.task_id}: purge it first") from None
    return True


async def purge(container: CosmosContainer, task_id: str) -> int:
    """Delete a run's documents, its own first, so that nobody sees half a run; how many there were of run and steps."""
    items = await container.query(_IDS, {"run": task_id}, partition=task_id)
    items.sort(key=lambda item: item["kind"] != "run")
    deleted = [item["kind"] for item in items if await container.delete(item["id"], task_id)]
    return sum(kind != "log" for kind in deleted)


async def _found(bodies: EventBodies, run: Item, items: Iterable[Item]) -> list[_Placed]:
    """The events of a run's documents; those of steps that an earlier run of this id left behind are none of them."""
    document = run_of(run, await bodies.unpacked(run))
    found = [await _placed(bodies, item) for item in items if item["kind"] != "log"]
    return [event for placed in found if not is_left_over(document, placed[0].event) for event in placed]


async def _placed(bodies: EventBodies, item: Item) -> list[_Placed]:
    placed: list[_Placed] = []
    for index, event in enumerate(await bodies.unpacked(item)):
        at = max(placed[-1].at, event.at) if placed else event.at
        placed.append(_Placed(f"{step_of(event) or ''}#{index}", index, event, at))
    return placed


def _with_new(known: Sequence[str], found: Iterable[_Placed]) -> list[str]:
    numbered = set(known)
    new = sorted((placed for placed in found if placed.place not in numbered), key=lambda placed: placed.order)
    return [*known, *(placed.place for placed in new)]


def _order(stored: Item | None, run: Item) -> list[str]:
    if stored is None:
        return []
    order = stored.get("order")
    if stored.get("schema_version") != SCHEMA_VERSION or not isinstance(order, list):
        raise corrupted(stored, "it numbers no events in a way that this app reads")
    if stored.get("created_at") != run["created_at"]:
        # It numbers the events of an earlier run of this id.
        return []
    if len(set(order)) != len(order):
        raise corrupted(stored, "it gives an event two numbers")
    return [str(place) for place in order]


async def _keep(container: CosmosContainer, stored: Item | None, log: Item) -> None:
    if stored is None:
        await container.create(log, log["task_id"])
        return
    changes = [
        {"op": "set", "path": f"/{name}", "value": log[name]} for name in ("order", "created_at", "ttl") if name in log
    ]
    await container.patch(stored["id"], log["task_id"], changes, etag=stored["_etag"])


def log_item(run: Item, order: Sequence[str], retention: timedelta | None) -> Item:
    """The document that gives the events of `run` their numbers, in this order."""
    return {
        "id": log_item_id(run["task_id"]),
        "task_id": run["task_id"],
        "kind": "log",
        "schema_version": SCHEMA_VERSION,
        "created_at": run["created_at"],
        "order": list(order),
        **({} if retention is None else {"ttl": int((retention + LOG_GRACE).total_seconds())}),
    }


async def _items(bodies: EventBodies, log: EventLog, retention: timedelta | None) -> list[Item]:
    record = replayed(log)
    events: dict[str, list[Item]] = {}
    order = []
    for numbered in log.events:
        stored = events.setdefault(step_of(numbered.event) or "", [])
        order.append(f"{step_of(numbered.event) or ''}#{len(stored)}")
        stored.append(await bodies.packed(log.task_id, numbered.event))
    steps = [step_item(step, events[step.step_id]) | step_time_to_live(retention) for step in record.steps]
    run = run_item(record.run, events[""]) | run_time_to_live(record.run.status, retention)
    return [*steps, log_item(run, order, retention), run]


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    batch: list[Item] = []
    size = 0
    for item in items:
        weight = len(str(item).encode())
        if batch and (len(batch) == _BATCH_ITEMS or size + weight > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += weight
    yield batch
