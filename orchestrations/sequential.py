"""The sequential pattern: agents one after another, each given the request and what the earlier ones made.

Wiring: request -> node 1 -> node 2 -> ... -> node n -> result. A step without success ends the run and keeps what was
done. The result is what the last step made.
"""

from collections.abc import Sequence
from typing import Any

from durabletask.task import OrchestrationContext

from orchestrations.account import first_failure, run_result, skipped
from orchestrations.branches import Step
from orchestrations.frame import run_pattern
from orchestrations.nodes import Placed
from orchestrations.requests import SequentialRequest
from orchestrations.run import Answer, NodeCall, Run
from orchestrations.steps import call_node
from shared.contracts import AgentAccount, AgentResult, EarlierOutput, Outcome, RunResult
from shared.status import RunStatus, StepStatus


def sequential(ctx: OrchestrationContext, given: dict[str, Any]) -> Step[dict[str, Any]]:
    """Run a `SequentialRequest` and return a `RunResult`, both as JSON.

    Determinism contract: reads only its input, the orchestration's clock and the results of durable tasks.
    """
    return (yield from run_pattern(ctx, given, SequentialRequest, ask_each))


def ask_each(run: Run[SequentialRequest]) -> Step[RunResult]:
    """Ask the nodes in turn, as long as they succeed."""
    nodes = run.request.nodes()
    answers = [taken_over(run, *pair) for pair in zip(nodes, run.reused, strict=False)]
    for number, placed in enumerate(nodes[len(answers) :], start=len(answers) + 1):
        run.progress(step=number, of=len(nodes), name=placed.name)
        earlier = run.given.earlier + tuple(answer.output() for answer in answers)
        given = run.given.model_copy(update={"earlier": earlier})
        answers.append((yield from call_node(run, NodeCall(placed.name, placed.node, given))))
        if not answers[-1].succeeded:
            break
    unasked = [NodeCall(placed.name, placed.node, run.given) for placed in nodes[len(answers) :]]
    return conclude(answers, [skipped(call, run.step_id(call.name), *_ended_by(answers)) for call in unasked])


def conclude(answers: Sequence[Answer], unasked: Sequence[Answer] = ()) -> RunResult:
    """The run's account from the answers there are and those never asked for, in the order of the steps."""
    made = [answer.result.output for answer in answers if answer.succeeded]
    complete = not unasked and all(answer.succeeded for answer in answers)
    return run_result(
        RunStatus.COMPLETED if complete else RunStatus.FAILED,
        [*answers, *unasked],
        result=made[-1] if made else None,
        error=None if complete else first_failure(answers),
    )


def taken_over(run: Run[SequentialRequest], placed: Placed, output: EarlierOutput) -> Answer:
    """The answer of a step that is not asked, because an earlier run has what it made."""
    step_id, source = run.step_id(placed.name), run.request.resume_from
    cause = f"taken over from run {source.run}" if source else None
    line = AgentAccount(step_id=step_id, agent=output.agent, outcome=Outcome.ANSWERED, cause=cause)
    result = AgentResult(status=StepStatus.SUCCEEDED, output=output.output)
    return Answer(NodeCall(placed.name, placed.node, run.given), step_id, result, (line,))


def _ended_by(answers: Sequence[Answer]) -> tuple[str, str]:
    return "NotNeeded", f"not asked: {answers[-1].step_id} did not succeed"
