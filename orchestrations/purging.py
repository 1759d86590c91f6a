"""Removing a run everywhere: the history of its orchestration, its artifacts, and its state last.

The state is what a run is looked up by. While it is there, a purge that was broken off can be asked for again.
"""

import logging
from typing import Protocol

from shared import names
from shared.contracts import Contract
from shared.errors import Conflict, NotFound, StateCorrupted
from shared.resources import Resources
from shared.state.documents import RunRecord
from shared.status import RunStatus, run_is_over

log = logging.getLogger("muster.runs")


class Histories(Protocol):
    """The histories of orchestrations."""

    async def purge(self, instance_id: str) -> int:
        """Remove the history of one and of those it started; how many there were. Raises `TaskHubUnavailable`."""
        ...


class Purged(Contract):
    """What was removed of a run: documents of its state, histories, and artifacts."""

    task_id: str
    documents: int
    histories: int
    artifacts: int


async def purge_run(task_id: str, *, histories: Histories, resources: Resources) -> Purged:
    """Remove a run that is over, or one that cannot be read any more.

    Raises `NotFound`, and `Conflict` while it is not over.
    """
    try:
        record = await resources.store.read_run(task_id)
    except StateCorrupted as error:
        # Nothing will go on with it, and a purge that was broken off after the artifacts leaves such a run, too.
        log.warning("run %s is removed although it cannot be read: %s", task_id, error)
        cancelled = True
    else:
        _require_over(task_id, record)
        cancelled = record is not None and record.run.status is RunStatus.CANCELLED
    removed = await histories.purge(task_id)
    if cancelled:
        removed += await histories.purge(names.cancel_instance(task_id))
    artifacts = await resources.artifacts.delete_run(task_id)
    documents = await resources.store.purge_run(task_id)
    log.info("run %s is removed: %d documents, %d histories, %d artifacts", task_id, documents, removed, artifacts)
    return Purged(task_id=task_id, documents=documents, histories=removed, artifacts=artifacts)


def _require_over(task_id: str, record: RunRecord | None) -> None:
    if record is None:
        raise NotFound(f"there is no task {task_id[:100]}")
    if not run_is_over(record.run.status):
        raise Conflict(f"the task is {record.run.status}: only one that is over can be deleted")
