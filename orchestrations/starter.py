"""Starting a run of any pattern: check it, record it, then schedule its orchestration.

An idempotency key makes doing so twice doing it once.
"""

import hashlib
import logging
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from pydantic import JsonValue

from orchestrations.account import planned_agents
from orchestrations.door import check_request, roster
from orchestrations.nodes import PatternRequest
from orchestrations.requests import SequentialRequest
from orchestrations.resuming import reused, with_earlier
from shared import names
from shared.cards import AgentCard
from shared.contracts import ErrorInfo, RunResult
from shared.ending import advance
from shared.errors import Conflict, InvalidRequest
from shared.resources import Resources
from shared.state.documents import PlannedStep, RunDocument
from shared.status import RunStatus
from shared.telemetry import names as tracing
from shared.telemetry.attributes import PATTERN, TASK_ID, WORKFLOW
from shared.telemetry.telemetry import Span

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


def run_document(
    task_id: str,
    request: PatternRequest,
    *,
    workflow: str | None = None,
    now: datetime,
    traceparent: str | None = None,
) -> RunDocument:
    """The document of a new run. Steps that are found only while it runs are not in its plan."""
    return RunDocument(
        task_id=task_id,
        type=request.pattern,
        workflow=workflow or request.pattern,
        input=request.request,
        request=asked(request),
        plan=tuple(PlannedStep(step_id=step, name=step, agent=agent) for step, agent in planned_agents(request)),
        created_at=now,
        updated_at=now,
        traceparent=traceparent,
    )


def asked(request: PatternRequest) -> JsonValue:
    """A request as it is stored and compared: without the key under which it was sent."""
    dumped: JsonValue = request.model_dump(mode="json", exclude={"idempotency_key"})
    return dumped


async def start_run(
    request: PatternRequest,
    *,
    agents: Mapping[str, AgentCard],
    orchestrations: Orchestrations,
    resources: Resources,
    workflow: str | None = None,
    idempotency_key: str | None = None,
    traceparent: str | None = None,
) -> RunDocument:
    """Start a run and return its document. `workflow` is the name it was asked for under, if not its pattern's.

    `traceparent` is what came with the request: the run belongs to that trace, unless the host has continued another.
    The document comes first: were it second, a crash in between would leave a run that nobody can look up. A repeat
    with the same key finishes what a crash left undone. Raises `InvalidRequest`, which names the field, and
    `Conflict` when the key was used for another request.
    """
    key = _one_key(request.idempotency_key, idempotency_key)
    about = {PATTERN: request.pattern, WORKFLOW: workflow}
    name = workflow or request.pattern
    with resources.telemetry.span(tracing.START_RUN, name, parent=traceparent, attributes=about) as span:
        run = await _start(request, key, workflow, span, agents, orchestrations, resources)
        span.set({TASK_ID: run.task_id})
        return run


async def _start(
    request: PatternRequest,
    key: str | None,
    workflow: str | None,
    span: Span,
    agents: Mapping[str, AgentCard],
    orchestrations: Orchestrations,
    resources: Resources,
) -> RunDocument:
    if isinstance(request, SequentialRequest):
        request = await with_earlier(request, resources.store)
        await reused(request, resources.store)
    check_request(request, roster(agents, resources.settings))
    task_id = run_id(workflow or request.pattern, key)
    now = resources.clock.now()
    run = run_document(task_id, request, workflow=workflow, now=now, traceparent=span.traceparent)
    if not await resources.store.create_run(run):
        run = await _earlier(run, resources)
        if run.status is not RunStatus.PENDING or await orchestrations.exists(run.task_id):
            return run
    try:
        await orchestrations.schedule(names.orchestrator(run.type), run.task_id, asked(request))
    except Exception as error:
        # With a key, the client's next try finishes what is left undone here; without one, nobody ever would.
        if key is None:
            await _give_up(run, error, resources)
        raise
    log.info("run %s of %s started", run.task_id, run.workflow)
    return run


def _one_key(in_body: str | None, beside: str | None) -> str | None:
    if in_body is not None and beside is not None and in_body != beside:
        message = "idempotency_key: the Idempotency-Key beside the request says another one"
        raise InvalidRequest(message, field="idempotency_key")
    return beside if beside is not None else in_body


async def _earlier(run: RunDocument, resources: Resources) -> RunDocument:
    record = await resources.store.read_run(run.task_id)
    if record is None or record.run.request != run.request:
        raise Conflict("this Idempotency-Key was used for another request")
    return record.run


async def _give_up(run: RunDocument, error: Exception, resources: Resources) -> None:
    cause = ErrorInfo(type=type(error).__name__, message="its orchestration could not be scheduled")
    await advance(
        run.task_id,
        RunStatus.FAILED,
        resources,
        result=RunResult(status=RunStatus.FAILED, error=cause),
    )
