"""Cancelling a run: nothing of it is begun any more, its orchestrations end, and what it did is undone if asked for.

The state store is told first. From then on a queued step is skipped before a token is spent, and an agent at work is
stopped at its next heartbeat. Every part may be done twice, so that a cancel that was broken off can be asked again.
"""

import logging
from typing import Protocol

from pydantic import JsonValue

from orchestrations.calls import CancelRun
from orchestrations.compensation import CANCELLED
from orchestrations.registry import PATTERNS
from orchestrations.undo_plan import account_of
from shared import names
from shared.contracts import RunResult
from shared.ending import advance
from shared.errors import Conflict, IllegalTransition, NotFound
from shared.resources import Resources
from shared.state.documents import RunDocument
from shared.status import RunStatus, run_is_over

log = logging.getLogger("muster.runs")


class Stopping(Protocol):
    """The part of the durable client that ends orchestrations. Its methods raise `TaskHubUnavailable`."""

    async def schedule(self, orchestrator: str, instance_id: str, given: JsonValue) -> None:
        """Schedule one, unless there is one with this id."""
        ...

    async def terminate(self, instance_id: str) -> None:
        """End one with all that it started; nothing, if there is none or it is over."""
        ...


async def cancel(task_id: str, *, orchestrations: Stopping, resources: Resources) -> RunDocument:
    """Cancel a run, and return it as it stands: `cancelling`, or `cancelled` when it is so already.

    Raises `NotFound`, and `Conflict` for a run that ended otherwise.
    """
    record = await resources.store.read_run(task_id)
    if record is None:
        raise NotFound(f"there is no task {task_id[:100]}")
    run = record.run
    alone = run.type not in PATTERNS
    if run.status is RunStatus.CANCELLED:
        if not alone:
            # Whoever asked before may have been broken off before the run's orchestration was ended.
            await orchestrations.terminate(task_id)
        return run
    if run_is_over(run.status):
        raise Conflict(f"the task is {run.status.value}: only one that is not over can be cancelled")
    try:
        # A step without an orchestration is all that there is to its run.
        to = RunStatus.CANCELLED if alone else RunStatus.CANCELLING
        result = RunResult(status=RunStatus.CANCELLED, account=account_of(record), error=CANCELLED) if alone else None
        run = await advance(task_id, to, resources, result=result)
    except IllegalTransition:
        raise Conflict("the task has ended meanwhile") from None
    if not alone:
        given = CancelRun(task_id=task_id).model_dump(mode="json")
        await orchestrations.schedule(names.ORCHESTRATOR_CANCEL_RUN, names.cancel_instance(task_id), given)
        await orchestrations.terminate(task_id)
    log.info("run %s is %s", task_id, run.status)
    return run
