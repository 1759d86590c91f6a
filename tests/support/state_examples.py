"""The documents that `docs/state.md` shows, made by the code that makes them."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from shared.artifacts.files import FileArtifacts
from shared.contracts import AgentResult, RunResult, Usage
from shared.state.cosmos_documents import (
    EventBodies,
    run_item,
    run_time_to_live,
    step_item,
    step_time_to_live,
)
from shared.state.cosmos_logs import log_item
from shared.state.documents import PlannedStep, RunDocument
from shared.state.events import OfRun, OfStep, RunAdvanced, RunCreated, StepClaimed, StepRecorded
from shared.state.projection import apply_to_run, apply_to_step
from shared.status import RunStatus, StepStatus
from tests.support.documents import LEASE, after

TASK = "0b7c3a5e"
RETENTION = timedelta(days=90)


async def examples(folder: Path) -> dict[str, dict[str, Any]]:
    """The documents of one finished run of one step, by their kind."""
    bodies = EventBodies(FileArtifacts(folder))
    planned = PlannedStep(step_id="research", name="research", agent="research")
    created = RunDocument(
        task_id=TASK,
        type="sequential",
        workflow="content",
        input={"topic": "Why the sea is salt"},
        plan=(planned,),
        created_at=after(0),
        updated_at=after(0),
    )
    result = AgentResult(
        status=StepStatus.SUCCEEDED,
        output="Rivers carry salt.",
        usage=Usage(input_tokens=150, output_tokens=6, cost_usd=0.00005, model="gpt-5-mini"),
    )
    run_events: list[OfRun] = [
        RunCreated(at=after(0), run=created),
        RunAdvanced(at=after(0.1), to=RunStatus.RUNNING),
        RunAdvanced(
            at=after(3),
            to=RunStatus.COMPLETED,
            result=RunResult(status=RunStatus.COMPLETED, result="Rivers carry salt."),
        ),
    ]
    claim = StepClaimed(
        at=after(0.2),
        step_id="research",
        agent="research",
        attempt=1,
        owner="message 17",
        lease_until=after(0.2) + LEASE,
        enqueued_at=after(0.15),
    )
    step_events: list[OfStep] = [claim, StepRecorded(at=after(2), step_id="research", result=result)]
    run, step = created, None
    for event in run_events[1:]:
        run = apply_to_run(run, event)
    for happened in step_events:
        step = apply_to_step(TASK, step, happened)
    assert step is not None
    stored_run = [await bodies.packed(TASK, event) for event in run_events]
    stored_step = [await bodies.packed(TASK, event) for event in step_events]
    run_document = run_item(run, stored_run) | run_time_to_live(run.status, RETENTION)
    return {
        "run": run_document,
        "step": step_item(step, stored_step) | step_time_to_live(RETENTION),
        "log": log_item(run_document, ["#0", "#1", "research#0", "research#1", "#2"], RETENTION),
    }
