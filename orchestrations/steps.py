"""The steps that every pattern shares: call an agent, record the run's progress.

Determinism contract: these generators read no clock but the orchestration's, touch no store, network or
environment, and yield only durable tasks. A replay over the same history yields the same tasks in the same order.
"""

from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

from durabletask import task as durable
from durabletask.task import OrchestrationContext, RetryPolicy, Task, TaskFailedError
from pydantic import ValidationError

from orchestrations.calls import AgentCall, Dispatch, Dispatched, RunUpdate
from shared import names
from shared.contracts import AgentResult, AgentTask, ErrorInfo, ReplyTo, RunResult
from shared.retry import DEFAULT_RETRIES
from shared.status import RunStatus, StepStatus

type Step[T] = Generator[Task[Any], Any, T]

# The stores and the bus come back within seconds or not for long; a run should outlive the first kind.
ACTIVITY_RETRY = RetryPolicy(
    first_retry_interval=timedelta(seconds=1),
    max_number_of_attempts=6,
    backoff_coefficient=2,
    max_retry_interval=timedelta(seconds=30),
)


def call_agent(ctx: OrchestrationContext, call: AgentCall) -> Step[AgentResult]:
    """Ask one agent and wait for its answer, at most until its step's time is over.

    Never raises for an agent's failure: whatever happens, an `AgentResult` says it.
    """
    if call.agent.transport == "activity":
        return (yield from _call_as_activity(ctx, call))
    return (yield from _call_over_bus(ctx, call))


def record_run(ctx: OrchestrationContext, status: RunStatus, result: RunResult | None = None) -> Step[None]:
    """Write the run's status, and its result once it is over, to the state store."""
    update = RunUpdate(task_id=ctx.instance_id, status=status, result=result)
    yield ctx.call_activity(
        names.ACTIVITY_RECORD_RUN, input=update.model_dump(mode="json"), retry_policy=ACTIVITY_RETRY
    )


def _call_over_bus(ctx: OrchestrationContext, call: AgentCall) -> Step[AgentResult]:
    deadline = _now(ctx) + timedelta(seconds=call.agent.step_timeout_seconds)
    event = names.reply_event(call.step_id)
    # The wait is set up before the task is sent, so that no answer can come before somebody waits for it.
    answer = ctx.wait_for_external_event(event)
    task = _task(ctx, call, deadline, reply_to=ReplyTo(instance_id=ctx.instance_id, event=event))
    try:
        sent = yield ctx.call_activity(
            names.ACTIVITY_DISPATCH_AGENTS,
            input=Dispatch(tasks=(task,)).model_dump(mode="json"),
            retry_policy=ACTIVITY_RETRY,
        )
    except TaskFailedError as error:
        return _failed(StepStatus.REJECTED, "DispatchFailed", f"the task could not be sent: {error}")
    for rejection in Dispatched.model_validate(sent).rejected:
        return AgentResult(status=StepStatus.REJECTED, error=rejection.error)
    timer = ctx.create_timer(deadline)
    winner = yield durable.when_any([answer, timer])
    if winner is not answer:
        return _timed_out(call)
    timer.cancel()
    return _answered(answer.get_result())


def _call_as_activity(ctx: OrchestrationContext, call: AgentCall) -> Step[AgentResult]:
    """The waits between attempts are durable timers, so that no instance is held while nothing happens."""
    deadline = _now(ctx) + timedelta(seconds=call.agent.step_timeout_seconds)
    timer = ctx.create_timer(deadline)
    result = _failed(StepStatus.FAILED, "NotRun", "the agent was not run")
    for attempt in range(1, DEFAULT_RETRIES.attempts + 1):
        task = _task(ctx, call, deadline, attempt=attempt)
        running: Task[Any] = ctx.call_activity(
            names.agent_activity(call.agent.name), input=task.model_dump(mode="json")
        )
        if (yield durable.when_any([running, timer])) is timer:
            return _timed_out(call)
        try:
            result = _answered(running.get_result())
        except TaskFailedError as error:
            result = _failed(StepStatus.FAILED, "ActivityFailed", str(error), retryable=True)
        if result.error is None or not result.error.retryable or attempt == DEFAULT_RETRIES.attempts:
            break
        yield ctx.create_timer(DEFAULT_RETRIES.delays[attempt - 1])
    timer.cancel()
    return result


def _task(
    ctx: OrchestrationContext,
    call: AgentCall,
    deadline: datetime,
    *,
    attempt: int = 1,
    reply_to: ReplyTo | None = None,
) -> AgentTask:
    return AgentTask(
        task_id=ctx.instance_id,
        step_id=call.step_id,
        agent=call.agent.name,
        input=call.input,
        attempt=attempt,
        deadline=deadline,
        reply_to=reply_to,
    )


def _now(ctx: OrchestrationContext) -> datetime:
    """The orchestration's own time. The SDK gives it without a zone; it is UTC."""
    return ctx.current_utc_datetime.replace(tzinfo=UTC)


def _answered(answer: object) -> AgentResult:
    """What came back as a result. An event may be raised by anyone, so that anything may be in it."""
    try:
        return AgentResult.model_validate(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        return _failed(StepStatus.FAILED, "InvalidAnswer", f"the answer is no agent result: {where}: {first['msg']}")


def _timed_out(call: AgentCall) -> AgentResult:
    waited = f"no answer within {call.agent.step_timeout_seconds:g} s"
    return _failed(StepStatus.TIMED_OUT, "StepTimedOut", waited)


def _failed(status: StepStatus, kind: str, message: str, *, retryable: bool = False) -> AgentResult:
    return AgentResult.model_validate(
        {"status": status, "error": ErrorInfo(type=kind, message=message, retryable=retryable)}
    )
