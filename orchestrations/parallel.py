"""The parallel pattern: many agents at once, or one over many inputs; their answers merged.

Wiring: request -> all nodes at once -> aggregator -> result. Without an aggregator the result is the list of outputs.
With `require: any` it is a race: the first good answer wins, and the others are called off.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from durabletask.task import OrchestrationContext
from pydantic import JsonValue

from orchestrations.account import first_failure, out_of_budget, run_result, skipped
from orchestrations.branches import Step
from orchestrations.frame import run_pattern
from orchestrations.requests import ParallelRequest
from orchestrations.requirements import Requirement, is_race, required
from orchestrations.run import Answer, NodeCall, Run
from orchestrations.steps import Decide, Tally, Verdict, call_node, call_nodes
from shared.contracts import ErrorInfo, RunResult
from shared.status import RunStatus


def parallel(ctx: OrchestrationContext, given: dict[str, Any]) -> Step[dict[str, Any]]:
    """Run a `ParallelRequest` and return a `RunResult`, both as JSON.

    Determinism contract: reads only its input, the orchestration's clock and the results of durable tasks.
    """
    return (yield from run_pattern(ctx, given, ParallelRequest, ask_all))


def ask_all(run: Run[ParallelRequest]) -> Step[RunResult]:
    """Ask everyone, and the aggregator once enough have answered."""
    request = run.request
    calls = [NodeCall(placed.name, placed.node, run.given) for placed in request.branches()]
    until = run.now + timedelta(seconds=request.seconds)
    answers = yield from call_nodes(run, calls, width=request.width, decide=decided_by(request.require), until=until)
    merger = request.merger()
    if merger is None:
        return conclude(request.require, answers)
    earlier = run.given.earlier + tuple(answer.output() for answer in answers if answer.succeeded)
    merge = NodeCall(merger.name, merger.node, run.given.model_copy(update={"earlier": earlier}))
    if not _sufficient(request.require, answers):
        why = ("NotNeeded", "not asked: there were too few answers to merge")
        return conclude(request.require, answers, skipped(merge, run.step_id(merger.name), *why))
    run.progress(asked=len(calls), answered=sum(answer.succeeded for answer in answers), merging=merger.name)
    merged = yield from call_node(run, merge)
    return conclude(request.require, answers, merged)


# -- decisions ----------------------------------------------------------------------------------------------------


def decided_by(require: Requirement) -> Decide:
    """When to stop: a race is over once it is won; what can no longer be had is asked of nobody else."""

    def decide(tally: Tally) -> Verdict:
        needed = required(require, tally.asked)
        if is_race(require) and tally.succeeded >= needed:
            return Verdict.ENOUGH
        if tally.succeeded + tally.open < needed:
            return Verdict.BEGIN_NO_MORE
        return Verdict.GO_ON

    return decide


def conclude(require: Requirement, answers: Sequence[Answer], merged: Answer | None = None) -> RunResult:
    """The run's result and account, in the order of the request. `merged` is what the aggregator answered, if any.

    Completed: all answered, or a race was won. Partial: enough answered, and others are missing. Failed: too few did,
    or the aggregator did not; the outputs that there are are kept.
    """
    sufficient, complete = _sufficient(require, answers), all(answer.succeeded for answer in answers)
    everything = [*answers, merged] if merged else [*answers]
    if not sufficient or (merged is not None and not merged.succeeded):
        error = first_failure([merged]) if sufficient and merged else _too_few(require, answers)
        return run_result(RunStatus.FAILED, everything, result=_outputs(require, answers), error=error)
    status = RunStatus.COMPLETED if complete or is_race(require) else RunStatus.PARTIAL
    result = merged.result.output if merged else _outputs(require, answers)
    return run_result(status, everything, result=result)


def _sufficient(require: Requirement, answers: Sequence[Answer]) -> bool:
    return sum(answer.succeeded for answer in answers) >= required(require, len(answers))


def _outputs(require: Requirement, answers: Sequence[Answer]) -> JsonValue:
    """The outputs in the order of the request; a race for one answer has that one."""
    good = [answer for answer in answers if answer.succeeded]
    if is_race(require) and required(require, len(answers)) == 1:
        return good[0].result.output if good else None
    return [{"name": each.call.name, "agent": each.call.asked, "output": each.result.output} for each in good]


def _too_few(require: Requirement, answers: Sequence[Answer]) -> ErrorInfo:
    answered = sum(answer.succeeded for answer in answers)
    cause = first_failure(answers)
    message = f"{answered} of {len(answers)} answered, {required(require, len(answers))} are required"
    kind = "BudgetExhausted" if any(out_of_budget(answer) for answer in answers) else "TooFewAnswers"
    return ErrorInfo(type=kind, message=f"{message}; the first cause: {cause.message}" if cause else message)
