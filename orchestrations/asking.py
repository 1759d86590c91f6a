"""How one node is asked and waited for: an agent behind its queue, an agent as an activity, a nested pattern.

Each is a branch: a generator that ends with an `Ended` whatever happens, and never waits longer than its asker does.

Determinism contract: reads no clock but the orchestration's, and yields only durable tasks.
"""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from durabletask.task import Task, TaskFailedError
from pydantic import JsonValue, ValidationError

from orchestrations.account import answered, nested
from orchestrations.calls import NestedResult, NestedRun
from orchestrations.nodes import PatternRequest
from orchestrations.run import Answer, NodeCall, Run
from shared import names
from shared.budget import NO_LIMIT, Allowance
from shared.cards import AgentCard
from shared.contracts import ARTIFACT_KEY, MAX_POSTPONED, AgentInput, AgentResult, AgentTask, Budget, ErrorInfo, Usage
from shared.retry import DEFAULT_RETRIES
from shared.status import StepStatus

type Branch = Generator[Task[Any], Any, Ended]

_LEAST_WAIT = timedelta(seconds=1)

# A nested pattern ends a little before its asker stops waiting, so that its account arrives.
_NESTED_MARGIN = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Ended:
    """A node's answer, and what it used: None when that cannot be known, and a nested pattern's rest of its budget."""

    answer: Answer
    used: Usage | None
    left: Allowance | None = None


def over_bus[R: PatternRequest](run: Run[R], call: NodeCall) -> Branch:
    """Wait for the reply of an agent whose task is on its queue."""
    step_id = run.step_id(call.name)
    reply = run.ctx.wait_for_external_event(names.reply_event(step_id))
    try:
        answer = yield reply
    except GeneratorExit:
        reply.cancel()
        raise
    result = parsed(answer)
    broken = result.error is not None and result.error.type == INVALID_ANSWER
    return Ended(answered(call, step_id, result), None if broken else result.usage)


def as_activity[R: PatternRequest](run: Run[R], call: NodeCall, card: AgentCard, until: datetime) -> Branch:
    """Run an agent as an activity, again as often as it says when to ask again: it counts its own attempts.

    The waits are durable timers, so that no instance is held while nothing happens. Only an activity that breaks is
    counted here.
    """
    step_id = run.step_id(call.name)
    broken = postponed = 0
    while True:
        task = AgentTask(
            task_id=run.task_id,
            step_id=step_id,
            agent=card.name,
            input=call.input(),
            postponed=postponed,
            deadline=until,
            budget=step_budget(run, card),
            tenant=run.whose.tenant,
            session=run.whose.session,
            traceparent=run.traceparent,
        )
        try:
            reply = yield run.ctx.call_activity(names.agent_activity(card.name), input=task.model_dump(mode="json"))
        except TaskFailedError as error:
            if broken == len(DEFAULT_RETRIES.delays):
                result = failed(StepStatus.FAILED, "ActivityFailed", str(error), retryable=True)
                return Ended(answered(call, step_id, result), None)
            wait, broken = DEFAULT_RETRIES.delays[broken], broken + 1
        else:
            result = parsed(reply)
            if result.retry_after_seconds is None:
                return Ended(answered(call, step_id, result), result.usage)
            wait = max(timedelta(seconds=result.retry_after_seconds), _LEAST_WAIT)
            postponed = min(postponed + 1, MAX_POSTPONED)
        yield from _rest(run, wait)


def _rest[R: PatternRequest](run: Run[R], wait: timedelta) -> Generator[Task[Any], Any]:
    timer = run.ctx.create_timer(wait)
    try:
        yield timer
    except GeneratorExit:
        timer.cancel()
        raise


def as_nested[R: PatternRequest](
    run: Run[R], call: NodeCall, request: PatternRequest, budget: Allowance, until: datetime
) -> Branch:
    """Run a nested pattern as a sub-orchestration of its own, whose steps bear this node's path."""
    path = run.step_id(call.name)
    margin = min(_NESTED_MARGIN, (until - run.now) / 10)
    given = NestedRun.model_validate(
        {
            "task_id": run.task_id,
            "path": path,
            "request": request.model_dump(mode="json"),
            "given": call.input(),
            "agents": {name: run.agents[name] for name in request.may_ask(run.agents) if name in run.agents},
            "deadline": min(until - margin, run.now + timedelta(seconds=request.seconds_in_all)),
            "budget": budget,
            **run.whose.model_dump(),
            "calls_off": run.calls_off,
            "traceparent": run.traceparent,
        }
    )
    try:
        returned = yield run.ctx.call_sub_orchestrator(
            names.orchestrator(request.pattern),
            input=given.model_dump(mode="json"),
            instance_id=names.nested_instance(run.task_id, path),
            # The SDK gives it none by itself, so that a run's parts could be of different versions.
            version=run.ctx.version,
        )
        ended = NestedResult.model_validate(returned)
    except (TaskFailedError, ValidationError) as error:
        result = failed(StepStatus.FAILED, "NestedFailed", f"{path} broke: {str(error)[:1000]}")
        return Ended(answered(call, path, result), None)
    return Ended(nested(call, path, ended.result), ended.result.usage, ended.left)


INVALID_ANSWER = "InvalidAnswer"


def parsed(answer: object) -> AgentResult:
    """What came back as a result. An event may be raised by anyone, so that anything may be in it."""
    try:
        return AgentResult.model_validate(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        return failed(StepStatus.FAILED, INVALID_ANSWER, f"the answer is no agent result: {where}: {first['msg']}")


def failed(status: StepStatus, kind: str, message: str, *, retryable: bool = False) -> AgentResult:
    """A result that no agent gave."""
    return AgentResult.model_validate(
        {"status": status, "error": ErrorInfo(type=kind, message=message, retryable=retryable)}
    )


def input_bytes(given: AgentInput) -> int:
    """How large an input is on its way to a model, near enough: what lies in artifacts is shown to it in full."""
    # Prompts show values indented, which a long list makes several times its length.
    return len(given.model_dump_json(indent=2).encode()) + sum(_kept_bytes(each.output) for each in given.earlier)


def _kept_bytes(output: JsonValue) -> int:
    """How large the artifact is that stands for an output; an agent refuses what only looks like one unread."""
    reference = output.get(ARTIFACT_KEY) if isinstance(output, dict) else None
    size = reference.get("size") if isinstance(reference, dict) else None
    return max(0, size) if isinstance(size, int) else 0


def step_budget[R: PatternRequest](run: Run[R], card: AgentCard) -> Budget:
    """What an agent is told that its step may use. What is set aside covers one attempt that costs something."""
    kept = None if run.budget == NO_LIMIT else 1
    return Budget(max_output_tokens=card.max_output_tokens, paid_attempts=kept)


def at_once(ended: Ended) -> Branch:
    """A branch that has ended before it began."""
    yield from ()
    return ended
