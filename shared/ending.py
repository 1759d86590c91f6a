"""Recording a run's end, and telling observers of it: once for each run, whoever records it and however often."""

from datetime import datetime

from shared.contracts import RunResult
from shared.resources import Resources
from shared.state.documents import RunDocument
from shared.status import RunStatus
from shared.telemetry import names
from shared.telemetry.attributes import (
    COST_USD,
    INPUT_TOKENS,
    OPERATION_NAME,
    OUTPUT_TOKENS,
    PATTERN,
    STATUS,
    TASK_ID,
    WORKFLOW,
    WORKFLOW_NAME,
)
from shared.telemetry.measures import named, run_measures
from shared.telemetry.telemetry import Telemetry


async def advance(task_id: str, to: RunStatus, resources: Resources, *, result: RunResult | None = None) -> RunDocument:
    """Move a run on, now; see `StateStore.advance_run`.

    When that ends it, its span and its duration leave, as its record says them. A repeat finds the end recorded under
    an earlier time and tells nobody again; a process that stops between the record and the telling tells nobody.
    """
    now = resources.clock.now()
    run = await resources.store.advance_run(task_id, to, now=now, result=result)
    _tell(run, now, resources.telemetry)
    return run


def _tell(run: RunDocument, now: datetime, telemetry: Telemetry) -> None:
    if run.completed_at != now:
        return
    telemetry.record(run_measures(run))
    span = telemetry.begin(
        names.INVOKE_WORKFLOW,
        run.workflow,
        parent=run.traceparent,
        since=run.created_at,
        attributes={
            TASK_ID: run.task_id,
            PATTERN: run.type,
            WORKFLOW: named(run),
            STATUS: run.status.value,
            OPERATION_NAME: "invoke_workflow",
            WORKFLOW_NAME: run.workflow,
        },
    )
    if run.result is not None:
        usage = run.result.usage
        span.set(
            {
                INPUT_TOKENS: usage.input_tokens,
                OUTPUT_TOKENS: usage.output_tokens,
                COST_USD: usage.cost_usd,
            }
        )
        if run.result.error is not None:
            span.failed(run.result.error)
    span.end(at=now)
