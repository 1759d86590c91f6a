"""The honest account of a run, put together from the answers of its nodes by pure functions."""

from collections.abc import Iterable, Sequence
from functools import reduce

from pydantic import JsonValue

from orchestrations.nodes import PatternRequest, path_of
from orchestrations.run import Answer, NodeCall
from shared.contracts import (
    OUTCOMES,
    AgentAccount,
    AgentResult,
    ErrorInfo,
    Outcome,
    RunResult,
    Usage,
)
from shared.status import RunStatus, StepStatus

BUDGET_EXHAUSTED = "BudgetExhausted"
"""The error's type of a node that was not asked because it could have cost more than is left."""


def answered(call: NodeCall, step_id: str, result: AgentResult) -> Answer:
    """What an agent answered; also a result that stands for a pattern which did not get to give its own account."""
    cause = result.error.message if result.error else None
    outcome = OUTCOMES[result.status]
    lines = planned_agents(call.node, step_id) if isinstance(call.node, PatternRequest) else [(step_id, call.asked)]
    account = (AgentAccount(step_id=step, agent=agent, outcome=outcome, cause=cause) for step, agent in lines)
    return Answer(call, step_id, result, tuple(account))


def nested(call: NodeCall, step_id: str, result: RunResult) -> Answer:
    """What a nested pattern came to, folded into one answer that keeps its account."""
    enough = result.status in (RunStatus.COMPLETED, RunStatus.PARTIAL)
    error = result.error
    if not enough and error is None:
        error = ErrorInfo(type=result.status, message=f"{step_id} is {result.status}")
    if result.status is RunStatus.BUDGET_EXHAUSTED:
        error = ErrorInfo(type=BUDGET_EXHAUSTED, message=error.message if error else "its budget is exhausted")
    status = StepStatus.SUCCEEDED if enough else StepStatus.FAILED
    folded = AgentResult(status=status, output=result.result, error=None if enough else error, usage=result.usage)
    return Answer(call, step_id, folded, result.account, partial=result.status is RunStatus.PARTIAL)


def skipped(call: NodeCall, step_id: str, kind: str, message: str) -> Answer:
    """A node that was not asked, and why."""
    error = ErrorInfo(type=kind, message=message)
    return answered(call, step_id, AgentResult(status=StepStatus.SKIPPED, error=error))


def planned_agents(request: PatternRequest, prefix: str = "") -> list[tuple[str, str]]:
    """(step id, agent) of each agent that it is known from the start to ask, those of nested patterns included."""
    found: list[tuple[str, str]] = []
    for placed in request.planned():
        path = path_of(prefix, placed.name)
        if isinstance(placed.node, PatternRequest):
            found += planned_agents(placed.node, path)
        elif placed.agent is not None:
            found.append((path, placed.agent))
    return found


def run_result(
    status: RunStatus,
    answers: Sequence[Answer],
    *,
    result: JsonValue = None,
    error: ErrorInfo | None = None,
) -> RunResult:
    """The result of a run with the account and the usage of all of its answers, in the order given.

    A run that is complete but for what a nested pattern could do without is partial; one that failed because a node
    would have cost too much is out of budget.
    """
    if status is RunStatus.COMPLETED and any(answer.partial for answer in answers):
        status = RunStatus.PARTIAL
    if status is RunStatus.FAILED and any(out_of_budget(answer) for answer in answers):
        status = RunStatus.BUDGET_EXHAUSTED
    return RunResult.model_validate(
        {
            "status": status,
            "result": result,
            "account": tuple(line for answer in answers for line in answer.account),
            "usage": usage_of(answer.result.usage for answer in answers),
            "error": error,
        }
    )


def first_failure(answers: Iterable[Answer]) -> ErrorInfo | None:
    """Why the first node without success has none, those that were skipped last; None when all succeeded."""
    without = [answer for answer in answers if not answer.succeeded]
    if not without:
        return None
    first = min(without, key=lambda answer: answer.result.status is StepStatus.SKIPPED)
    status = first.result.status
    return first.result.error or ErrorInfo(type=status, message=f"{first.step_id} {status}")


def out_of_budget(answer: Answer) -> bool:
    """Whether a node was not asked, or did not finish, for want of budget."""
    return answer.result.error is not None and answer.result.error.type == BUDGET_EXHAUSTED


def count(answers: Iterable[Answer], outcome: Outcome) -> int:
    """How many nodes came to this outcome."""
    return sum(OUTCOMES[answer.result.status] is outcome for answer in answers)


def usage_of(usages: Iterable[Usage]) -> Usage:
    """What they used together."""
    return reduce(Usage.plus, usages, Usage())
