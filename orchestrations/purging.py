"""Removing a run everywhere: the history of its orchestration, whatever else is kept of it, and its state last.

The state is what a run is looked up by. While it is there, a purge that was broken off can be asked for again.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from shared.contracts import Contract
from shared.errors import Conflict, NotFound
from shared.state.documents import RunRecord
from shared.state.store import StateStore
from shared.status import run_is_over

log = logging.getLogger("muster.runs")

type Purger = Callable[[RunRecord], Awaitable[int]]
"""Removes what one more place keeps of a run, and says how many things that were. Doing so twice is no error."""


class Histories(Protocol):
    """The histories of orchestrations."""

    async def purge(self, instance_id: str) -> int:
        """Remove the history of one and of those it started; how many there were. Raises `TaskHubUnavailable`."""
        ...


class Purged(Contract):
    """What was removed of a run: documents of its state, histories, and how many things elsewhere."""

    task_id: str
    documents: int
    histories: int
    others: int


async def purge_run(task_id: str, *, store: StateStore, histories: Histories, purgers: Sequence[Purger] = ()) -> Purged:
    """Remove a run that is over. Raises `NotFound`, and `Conflict` while it is not over."""
    record = await store.read_run(task_id)
    if record is None:
        raise NotFound(f"there is no task {task_id[:100]}")
    if not run_is_over(record.run.status):
        raise Conflict(f"the task is {record.run.status}: only one that is over can be deleted")
    removed = await histories.purge(task_id)
    others = [await purger(record) for purger in purgers]
    documents = await store.purge_run(task_id)
    log.info("run %s was purged: %d documents, %d histories", task_id, documents, removed)
    return Purged(task_id=task_id, documents=documents, histories=removed, others=sum(others))
