"""Undoing what a run did: the undo agents of its finished steps, the last finished first, one after another.

Wiring: plan_undo (what is to be undone, from the state store) -> undo agent of step n -> ... -> of step 1. An undo
that fails holds up no other, and has its line in the run's account like any step.

Determinism contract: reads only its input, the orchestration's clock and the results of durable tasks.
"""

from datetime import timedelta
from typing import Any

from durabletask.task import OrchestrationContext

from orchestrations.account import usage_of
from orchestrations.branches import Step
from orchestrations.calls import CancelRun, PlanUndo, UndoPlan
from orchestrations.nodes import PatternRequest
from orchestrations.requests import SequentialRequest
from orchestrations.retrying import STORE_RETRY
from orchestrations.run import Answer, NodeCall, Run
from orchestrations.steps import call_node, record_run
from shared import names
from shared.contracts import AgentAccount, AgentInput, EarlierOutput, ErrorInfo, RunResult
from shared.status import RunStatus

_TIME_TO_UNDO = timedelta(hours=1)
_LOOK_AGAIN = timedelta(seconds=5)
_LOOKS = 20
"""Together longer than a claim lasts whose runner is gone."""

CANCELLED = ErrorInfo(type="Cancelled", message="it was cancelled on request")


def cancel_run(ctx: OrchestrationContext, given: dict[str, Any]) -> Step[dict[str, Any]]:
    """End a run that is being cancelled: undo what it did, if its request asks for that, and record it as cancelled.

    An agent that is still at work is waited for, as what it finishes has to be undone too.
    Determinism contract: reads only its input, the orchestration's clock and the results of durable tasks.
    """
    asked = CancelRun.model_validate(given)
    plan = yield from _plan(ctx, asked.task_id, "on_cancel")
    for _ in range(_LOOKS):
        if not plan.at_work:
            break
        yield ctx.create_timer(_LOOK_AGAIN)
        plan = yield from _plan(ctx, asked.task_id, "on_cancel")
    undone = yield from _undo(ctx, asked.task_id, plan)
    result = RunResult(
        status=RunStatus.CANCELLED,
        account=(*plan.account, *_lines(undone)),
        usage=usage_of([plan.usage, *(answer.result.usage for answer in undone)]),
        error=CANCELLED,
    )
    yield from record_run(ctx, RunStatus.CANCELLED, result, task_id=asked.task_id)
    return result.model_dump(mode="json")


def is_compensated(request: PatternRequest, result: RunResult) -> bool:
    """Whether a run that ends so goes on to undo what it did."""
    ended_well = result.status in (RunStatus.COMPLETED, RunStatus.PARTIAL)
    return request.compensate in ("on_failure", "always") and not ended_well


def compensated(ctx: OrchestrationContext, request: PatternRequest, result: RunResult) -> Step[RunResult]:
    """The result of a run that failed, after what it did was undone, if its request asks for that."""
    if not is_compensated(request, result):
        return result
    plan = yield from _plan(ctx, ctx.instance_id, "on_failure")
    undone = yield from _undo(ctx, ctx.instance_id, plan)
    return result.model_copy(
        update={
            "account": (*result.account, *_lines(undone)),
            "usage": usage_of([result.usage, *(answer.result.usage for answer in undone)]),
        }
    )


def _plan(ctx: OrchestrationContext, task_id: str, occasion: str) -> Step[UndoPlan]:
    asked = PlanUndo.model_validate({"task_id": task_id, "occasion": occasion})
    plan = yield ctx.call_activity(
        names.ACTIVITY_PLAN_UNDO, input=asked.model_dump(mode="json"), retry_policy=STORE_RETRY
    )
    return UndoPlan.model_validate(plan)


def _undo(ctx: OrchestrationContext, task_id: str, plan: UndoPlan) -> Step[list[Answer]]:
    answers: list[Answer] = []
    for step in plan.undo:
        run = _run(ctx, task_id, step.undo, plan)
        earlier = EarlierOutput(step_id=step.step_id, agent=step.agent, output=step.output)
        call = NodeCall(names.undo_step(step.step_id), step.undo, AgentInput(request=plan.request, earlier=(earlier,)))
        answers.append((yield from call_node(run, call)))
    return answers


def _run(ctx: OrchestrationContext, task_id: str, undo: str, plan: UndoPlan) -> Run[SequentialRequest]:
    return Run(
        ctx=ctx,
        request=SequentialRequest(agents=(undo,)),
        task_id=task_id,
        agents=plan.agents,
        given=AgentInput(request=None),
        deadline=Run.time(ctx) + _TIME_TO_UNDO,
        traceparent=plan.traceparent,
    )


def _lines(answers: list[Answer]) -> tuple[AgentAccount, ...]:
    return tuple(line for answer in answers for line in answer.account)
