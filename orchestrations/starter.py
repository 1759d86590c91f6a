"""Starting a run: record it, then schedule its orchestration. An idempotency key makes doing so twice doing it once."""

import hashlib
import logging
import uuid
from typing import Protocol

from pydantic import JsonValue

from orchestrations.sequential import SequentialRequest
from shared import names
from shared.contracts import ErrorInfo, RunResult
from shared.errors import Conflict, InvalidRequest
from shared.resources import Resources
from shared.state.documents import PlannedStep, RunDocument
from shared.status import RunStatus

MAX_KEY = 255

log = logging.getLogger("muster.runs")


class Orchestrations(Protocol):
    """The part of the durable client that starts and looks up orchestrations."""

    async def exists(self, instance_id: str) -> bool:
        """Whether there is an orchestration with this id."""
        ...

    async def schedule(self, orchestrator: str, instance_id: str, given: JsonValue) -> None:
        """Schedule one."""
        ...


def run_id(workflow: str, idempotency_key: str | None) -> str:
    """A new run's id; the same one for the same workflow and key. Raises `InvalidRequest` for an unusable key."""
    if idempotency_key is None:
        return uuid.uuid4().hex
    if not 0 < len(idempotency_key) <= MAX_KEY or not idempotency_key.isprintable():
        raise InvalidRequest(f"Idempotency-Key must be 1 to {MAX_KEY} printable characters", field="Idempotency-Key")
    return hashlib.sha256(f"{workflow}\n{idempotency_key}".encode()).hexdigest()[:32]


async def start_sequential(
    workflow: str,
    request: SequentialRequest,
    *,
    orchestrations: Orchestrations,
    resources: Resources,
    idempotency_key: str | None = None,
) -> RunDocument:
    """Start a sequence as a run of `workflow` and return its document.

    The document comes first: were it second, a crash in between would leave a run that nobody can look up. A repeat
    with the same key finishes what a crash left undone. Raises `Conflict` when the key was used for another request.
    """
    now = resources.clock.now()
    run = RunDocument(
        task_id=run_id(workflow, idempotency_key),
        type=names.ORCHESTRATOR_SEQUENTIAL,
        workflow=workflow,
        input=request.request,
        plan=tuple(
            PlannedStep(step_id=step.step_id, name=step.step_id, agent=step.agent.name) for step in request.steps
        ),
        created_at=now,
        updated_at=now,
    )
    if not await resources.store.create_run(run):
        run = await _earlier(run, resources)
        if run.status is not RunStatus.PENDING or await orchestrations.exists(run.task_id):
            return run
    try:
        await orchestrations.schedule(run.type, run.task_id, request.model_dump(mode="json"))
    except Exception as error:
        # With a key, the client's next try finishes what is left undone here; without one, nobody ever would.
        if idempotency_key is None:
            await _give_up(run, error, resources)
        raise
    log.info("run %s of %s started", run.task_id, workflow)
    return run


async def _earlier(run: RunDocument, resources: Resources) -> RunDocument:
    record = await resources.store.read_run(run.task_id)
    if record is None or record.run.input != run.input:
        raise Conflict("this Idempotency-Key was used for another request")
    return record.run


async def _give_up(run: RunDocument, error: Exception, resources: Resources) -> None:
    cause = ErrorInfo(type=type(error).__name__, message="its orchestration could not be scheduled")
    await resources.store.advance_run(
        run.task_id,
        RunStatus.FAILED,
        now=resources.clock.now(),
        result=RunResult(status=RunStatus.FAILED, error=cause),
    )
