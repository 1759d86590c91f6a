"""The sequential pattern: agents one after another, each given the request and what the earlier ones made.

Wiring: request -> agent 1 -> agent 2 -> ... -> agent n -> result. A failed step ends the run as failed and keeps
what was done.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from durabletask.task import OrchestrationContext
from pydantic import Field, model_validator

from orchestrations.calls import AgentCall
from orchestrations.steps import Step, call_agent, record_run
from shared.contracts import (
    OUTCOMES,
    AgentAccount,
    AgentCard,
    AgentInput,
    AgentResult,
    Contract,
    EarlierOutput,
    ErrorInfo,
    JsonData,
    Outcome,
    RunResult,
    StepId,
    Usage,
)
from shared.status import RunStatus, StepStatus


class SequentialStep(Contract):
    """One step of a sequence: who is asked, and under which id in the run."""

    step_id: StepId
    agent: AgentCard


class SequentialRequest(Contract):
    """What the sequential orchestrator is started with. Agents are resolved, so that a replay asks the same ones."""

    request: JsonData
    steps: Annotated[tuple[SequentialStep, ...], Field(min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _step_ids_are_unique(self) -> Self:
        ids = [step.step_id for step in self.steps]
        if len(set(ids)) != len(ids):
            raise ValueError("steps: two steps have the same step_id")
        return self


def sequential(ctx: OrchestrationContext, given: dict[str, Any]) -> Step[dict[str, Any]]:
    """Run a `SequentialRequest` and return a `RunResult`, both as JSON.

    Determinism contract: reads only its input, the orchestration's clock and the results of durable tasks.
    """
    request = SequentialRequest.model_validate(given)
    yield from record_run(ctx, RunStatus.RUNNING)
    try:
        results = yield from _ask_each(ctx, request)
        outcome = conclude(request.steps, results)
    except Exception as error:
        broken = ErrorInfo(type=type(error).__name__, message=str(error)[:2000])
        yield from record_run(ctx, RunStatus.FAILED, RunResult(status=RunStatus.FAILED, error=broken))
        raise
    yield from record_run(ctx, RunStatus(outcome.status), outcome)
    return outcome.model_dump(mode="json")


def _ask_each(ctx: OrchestrationContext, request: SequentialRequest) -> Step[list[AgentResult]]:
    results: list[AgentResult] = []
    earlier: tuple[EarlierOutput, ...] = ()
    for number, step in enumerate(request.steps, start=1):
        ctx.set_custom_status({"step": number, "of": len(request.steps), "agent": step.agent.name})
        given = AgentInput(request=request.request, earlier=earlier)
        result = yield from call_agent(ctx, AgentCall(step_id=step.step_id, agent=step.agent, input=given))
        results.append(result)
        if result.status is not StepStatus.SUCCEEDED:
            break
        earlier += (EarlierOutput(step_id=step.step_id, agent=step.agent.name, output=result.output),)
    return results


def conclude(steps: Sequence[SequentialStep], results: Sequence[AgentResult]) -> RunResult:
    """The run's honest account from the results there are, in the order of the steps.

    Steps after the first without success were never asked; they are skipped, and the cause names the one that ended
    the run. The result is the last output that was made.
    """
    account: list[AgentAccount] = []
    usage, result, failure = Usage(), None, None
    for step, answer in zip(steps, results, strict=False):
        usage = usage.plus(answer.usage)
        if answer.status is StepStatus.SUCCEEDED:
            result = answer.output
        else:
            failure = answer.error or ErrorInfo(type=answer.status, message=f"{step.step_id} {answer.status}")
        cause = answer.error.message if answer.error else None
        account.append(_line(step, OUTCOMES[answer.status], cause))
    ended_by = account[-1].step_id if account else "nothing"
    account += [_line(step, Outcome.SKIPPED, f"{ended_by} did not succeed") for step in steps[len(results) :]]
    complete = failure is None and len(results) == len(steps)
    return RunResult(
        status=RunStatus.COMPLETED if complete else RunStatus.FAILED,
        result=result,
        account=tuple(account),
        usage=usage,
        error=failure,
    )


def _line(step: SequentialStep, outcome: Outcome, cause: str | None) -> AgentAccount:
    return AgentAccount(step_id=step.step_id, agent=step.agent.name, outcome=outcome, cause=cause)
