"""Runs, steps, tasks and results for tests, each complete and legal; a test says only what matters to it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from shared.cards import AgentCard
from shared.contracts import AgentResult, AgentTask, ErrorInfo, RunResult, Usage
from shared.events import Event
from shared.state.decisions import ClaimRequest
from shared.state.documents import Attempt, PlannedStep, RunDocument
from shared.status import RunStatus, StepStatus

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
LEASE = timedelta(minutes=2)


def after(seconds: float) -> datetime:
    """The instant that many seconds after `NOW`."""
    return NOW + timedelta(seconds=seconds)


def a_run(task_id: str = "run-1", *, steps: tuple[str, ...] = ("research", "writer"), **changes: Any) -> RunDocument:
    """A run of these agents, each in a step of the same name."""
    fields: dict[str, Any] = {
        "task_id": task_id,
        "type": "sequential",
        "workflow": "content",
        "input": {"topic": "tides"},
        "plan": tuple(PlannedStep(step_id=step, name=step, agent=step) for step in steps),
        "created_at": NOW,
        "updated_at": NOW,
    }
    return RunDocument.model_validate({**fields, **changes})


def a_claim(
    step_id: str = "research", *, task_id: str = "run-1", owner: str = "first", at: float = 0, attempt: int = 1
) -> ClaimRequest:
    """A claim of a step by `owner`, made `at` seconds after `NOW`."""
    return ClaimRequest(
        task_id=task_id,
        step_id=step_id,
        agent="research" if step_id not in ("writer", "editor", "publisher") else step_id,
        attempt=attempt,
        owner=owner,
        enqueued_at=after(at - 1),
        now=after(at),
        lease_until=after(at) + LEASE,
    )


def a_result(output: Any = "done", **changes: Any) -> AgentResult:
    """A result that succeeded with `output`."""
    fields: dict[str, Any] = {
        "status": StepStatus.SUCCEEDED,
        "output": output,
        "usage": Usage(input_tokens=10, output_tokens=5, cost_usd=0.5, model="m"),
        "started_at": NOW,
        "completed_at": after(1),
    }
    return AgentResult.model_validate({**fields, **changes})


def a_failure(status: StepStatus = StepStatus.FAILED, *, kind: str = "Broken", retryable: bool = False) -> AgentResult:
    """A result that did not succeed."""
    error = ErrorInfo(type=kind, message=f"{kind} it is", retryable=retryable)
    return AgentResult.model_validate({"status": status, "error": error})


def an_attempt(number: int = 1, *, cost: float | None = 0.25) -> Attempt:
    """An attempt that failed and may be made again."""
    return Attempt(
        attempt=number,
        started_at=NOW,
        ended_at=after(1),
        error=ErrorInfo(type="ModelUnavailable", message="no answer", retryable=True),
        usage=Usage(input_tokens=3, output_tokens=0, cost_usd=cost, model="m"),
    )


def a_run_result(status: RunStatus = RunStatus.COMPLETED, result: Any = "article") -> RunResult:
    """What a pattern returned."""
    return RunResult.model_validate({"status": status, "result": result})


def a_task(agent: str = "research", **changes: Any) -> AgentTask:
    """A task for an agent, whose orchestration waits for the answer."""
    fields: dict[str, Any] = {
        "task_id": "run-1",
        "step_id": agent,
        "agent": agent,
        "input": {"request": {"topic": "tides"}},
        "reply_to": {"instance_id": "run-1", "event": f"agent-reply-{agent}"},
    }
    return AgentTask.model_validate({**fields, **changes})


def a_card(name: str = "research", **changes: Any) -> AgentCard:
    """What others know of an agent."""
    fields: dict[str, Any] = {
        "name": name,
        "description": f"The {name} agent.",
        "transport": "bus",
        "queue": f"{name}-tasks",
        "timeout_seconds": 60,
        "step_timeout_seconds": 600,
        "uses_model": True,
    }
    return AgentCard.model_validate({**fields, **changes})


def an_event(**changes: Any) -> Event:
    """The first event of a run, whose orchestrator waits for the reactions."""
    fields: dict[str, Any] = {
        "specversion": "1.0",
        "id": "e1",
        "source": "urn:muster:run:run-1",
        "type": "DataReceived",
        "data": {"rows": [1, 2]},
        "rootid": "run-1",
        "hop": 0,
        "reactors": "analyst tester",
        "replyto": "run-1",
    }
    return Event.model_validate({**fields, **changes})
