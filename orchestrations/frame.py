"""What every run goes through, whatever its pattern: begin and record it, run the pattern, record how it ended.

A pattern's orchestrator is one line around its own generator:

    def parallel(ctx: OrchestrationContext, given: dict[str, Any]) -> Step[dict[str, Any]]:
        return (yield from run_pattern(ctx, given, ParallelRequest, ask_all))

The orchestrator's input is the public request, as `POST workflows/{pattern}` takes it; a nested one gets a
`NestedRun`. It returns a `RunResult` (nested: a `NestedResult`) as JSON.

Determinism contract: reads only its input, the orchestration's clock and the results of durable tasks.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from durabletask.task import OrchestrationContext

from orchestrations.branches import Step
from orchestrations.calling_off import call_off_open
from orchestrations.calls import BeginRun, Begun, NestedResult, NestedRun
from orchestrations.compensation import compensated, is_compensated
from orchestrations.nodes import PatternRequest
from orchestrations.retrying import STORE_RETRY
from orchestrations.run import Run
from orchestrations.steps import record_run
from shared import names
from shared.budget import NO_LIMIT, Allowance
from shared.contracts import AgentInput, ErrorInfo, ForWhom, RunResult
from shared.status import RunStatus

type Shape[R: PatternRequest] = Callable[[Run[R]], Step[RunResult]]


def run_pattern[R: PatternRequest](
    ctx: OrchestrationContext, given: dict[str, Any], contract: type[R], shape: Shape[R]
) -> Step[dict[str, Any]]:
    """Run `shape` over the request in `given`. Raises pydantic's `ValidationError` for an input that is neither form.

    A failure of the pattern's own code is recorded before it fails the orchestration.
    """
    if "path" in given:
        return (yield from _run_nested(ctx, NestedRun.model_validate(given), contract, shape))
    request = contract.model_validate(given)
    begun = yield from _begin(ctx, request)
    if begun.refused is not None:
        result = RunResult(status=RunStatus.FAILED, error=begun.refused)
    else:
        try:
            run = _root(ctx, request, begun)
            result = yield from shape(run)
            yield from call_off_open(run, run_ends=not is_compensated(request, result))
            result = yield from compensated(ctx, request, result)
        except Exception as error:
            broken = ErrorInfo(type=type(error).__name__, message=str(error)[:2000])
            yield from record_run(ctx, RunStatus.FAILED, RunResult(status=RunStatus.FAILED, error=broken))
            raise
    yield from record_run(ctx, RunStatus(result.status), result)
    return result.model_dump(mode="json")


def _run_nested[R: PatternRequest](
    ctx: OrchestrationContext, given: NestedRun, contract: type[R], shape: Shape[R]
) -> Step[dict[str, Any]]:
    request = contract.model_validate(given.request.model_dump(mode="json"))
    run = Run(
        ctx=ctx,
        request=request,
        task_id=given.task_id,
        agents=given.agents,
        given=given.given,
        deadline=given.deadline,
        path=given.path,
        budget=given.budget,
        whose=ForWhom(tenant=given.tenant, session=given.session),
        calls_off=given.calls_off,
        traceparent=given.traceparent,
    )
    result = yield from shape(run)
    yield from call_off_open(run)
    return NestedResult(result=result, left=run.budget).model_dump(mode="json")


def _begin[R: PatternRequest](ctx: OrchestrationContext, request: R) -> Step[Begun]:
    begin = BeginRun.model_validate({"task_id": ctx.instance_id, "request": request.model_dump(mode="json")})
    begun = yield ctx.call_activity(
        names.ACTIVITY_BEGIN_RUN, input=begin.model_dump(mode="json"), retry_policy=STORE_RETRY
    )
    return Begun.model_validate(begun)


def _root[R: PatternRequest](ctx: OrchestrationContext, request: R, begun: Begun) -> Run[R]:
    limit = request.budget
    return Run(
        ctx=ctx,
        request=request,
        task_id=ctx.instance_id,
        agents=begun.agents,
        given=AgentInput(request=request.request),
        deadline=Run.time(ctx) + timedelta(seconds=request.seconds_in_all),
        budget=Allowance(tokens=limit.tokens, usd=limit.usd) if limit else NO_LIMIT,
        reused=begun.reused,
        whose=ForWhom(tenant=request.tenant, session=request.session),
        calls_off=begun.calls_off,
        traceparent=begun.traceparent,
    )
