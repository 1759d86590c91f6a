"""From events to documents: what a run and its steps are, given what happened. Pure; every store uses the same."""

from collections.abc import Iterable
from datetime import datetime

from shared.errors import StateCorrupted
from shared.state.documents import RunDocument, RunRecord, StepDocument
from shared.state.events import (
    EventLog,
    NumberedEvent,
    OfRun,
    OfStep,
    RunAdvanced,
    RunCreated,
    RunEvent,
    RunFound,
    StepClaimed,
    StepFound,
    StepRecorded,
    StepReleased,
    StepRenewed,
    StepsCalledOff,
)
from shared.status import StepStatus, run_is_over


def step_of(event: RunEvent) -> str | None:
    """The step that an event tells of; None when it tells of the run itself."""
    return None if isinstance(event, RunCreated | RunAdvanced | StepsCalledOff | RunFound) else event.step_id


def apply_to_run(run: RunDocument | None, event: OfRun) -> RunDocument:
    """The run after `event`. Raises `StateCorrupted` when it cannot have happened to this run."""
    match event:
        case RunCreated() | RunFound():
            if run is not None:
                raise StateCorrupted(f"the log of run {run.task_id} begins twice")
            return event.run
        case RunAdvanced() | StepsCalledOff() if run is None:
            raise StateCorrupted("the log of a run does not begin with its creation")
        case StepsCalledOff():
            return run.model_copy(update={"called_off": run.called_off + event.step_ids, "updated_at": event.at})
        case RunAdvanced():
            ended = event.at if run_is_over(event.to) else None
            changes = {"status": event.to, "result": event.result, "updated_at": event.at, "completed_at": ended}
            return run.model_copy(update=changes)


def apply_to_step(task_id: str, step: StepDocument | None, event: OfStep) -> StepDocument:
    """The step after `event`. Raises `StateCorrupted` when it cannot have happened to this step."""
    if isinstance(event, StepFound):
        return event.step
    if isinstance(event, StepClaimed):
        earlier = step.attempts if step else ()
        return StepDocument(
            task_id=task_id,
            step_id=event.step_id,
            agent=event.agent,
            status=StepStatus.RUNNING,
            attempt=event.attempt,
            owner=event.owner,
            lease_until=event.lease_until,
            enqueued_at=event.enqueued_at,
            started_at=event.at,
            attempts=(*earlier, event.lost) if event.lost else earlier,
        )
    if step is None:
        raise StateCorrupted(f"the log of run {task_id} tells of step {event.step_id} before it was claimed")
    match event:
        case StepRenewed():
            return step.model_copy(update={"lease_until": event.lease_until})
        case StepReleased():
            changes: dict[str, object] = {"status": StepStatus.WAITING, "attempts": (*step.attempts, event.attempt)}
        case StepRecorded():
            changes = {"status": event.result.status, "result": event.result, "completed_at": event.at}
    return step.model_copy(update=changes)


def replay(log: Iterable[NumberedEvent]) -> RunRecord | None:
    """The run and its steps, in the order of their first events, from the log; None from an empty one.

    Raises `StateCorrupted` when the log has a gap, or tells what cannot have happened.
    """
    run: RunDocument | None = None
    steps: dict[str, StepDocument] = {}
    for expected, numbered in enumerate(log, start=1):
        if numbered.sequence != expected:
            raise StateCorrupted(f"the log goes from event {expected - 1} to event {numbered.sequence}")
        event = numbered.event
        if isinstance(event, RunCreated | RunAdvanced | StepsCalledOff | RunFound):
            run = apply_to_run(run, event)
        elif run is None:
            raise StateCorrupted("the log of a run does not begin with its creation")
        else:
            steps[event.step_id] = apply_to_step(run.task_id, steps.get(event.step_id), event)
    return RunRecord(run=run, steps=tuple(steps.values())) if run else None


def replayed(log: EventLog) -> RunRecord:
    """What a whole log adds up to. Raises `StateCorrupted` unless it is the log of the run that it names."""
    record = replay(log.events)
    if record is None or record.run.task_id != log.task_id:
        raise StateCorrupted(f"this is no log of run {log.task_id}")
    return record


def until(log: Iterable[NumberedEvent], point: int | datetime) -> tuple[NumberedEvent, ...]:
    """The log up to an event's number, or up to the last event before the first that is later than a time.

    What was known at a time is a beginning of the log: an event that a slow clock dated back does not jump the queue.
    """
    kept: list[NumberedEvent] = []
    for numbered in log:
        over = numbered.sequence > point if isinstance(point, int) else numbered.event.at > point
        if over:
            break
        kept.append(numbered)
    return tuple(kept)
