"""The handoff pattern: a router takes a conversation and passes it to a specialist, which may pass it on.

Wiring: request -> router -> specialist -> ... -> reply. A pass that is not possible is told to who asked for it, once;
then it has to reply itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from durabletask.task import OrchestrationContext

from orchestrations.account import answered, first_failure, run_result
from orchestrations.branches import Step
from orchestrations.frame import run_pattern
from orchestrations.nodes import PatternRequest, Placed, again, own_request, without_request
from orchestrations.passes import (
    Move,
    PassedOn,
    PassRefused,
    PassRules,
    Replied,
    after_turn,
    passes_left,
    read_turn,
    targets,
)
from orchestrations.requests import HandoffRequest
from orchestrations.run import Answer, NodeCall, Run
from orchestrations.steps import call_node
from shared.contracts import AgentInput, Contract, EarlierOutput, ErrorInfo, JsonData, RunResult
from shared.status import RunStatus, StepStatus
from shared.turns import Colleague, TurnPaper


class Pass(Contract):
    """One pass of the conversation. `refused` says why it was not made."""

    by: str
    to: str
    reason: str = ""
    refused: str | None = None


class HandoffResult(Contract):
    """The `result` of a run of the handoff pattern: the reply, who gave it, and the way the conversation took."""

    reply: JsonData
    replied_by: str | None
    passes: tuple[Pass, ...]


@dataclass
class Conversation:
    """A conversation so far. The last of `holders` holds it; `refused` is why it may not pass on as it wanted."""

    holders: list[str]
    answers: list[Answer] = field(default_factory=list)
    passes: list[Pass] = field(default_factory=list)
    said: tuple[EarlierOutput, ...] = ()
    refused: ErrorInfo | None = None

    @property
    def holder(self) -> str:
        """Who holds it."""
        return self.holders[-1]


def handoff(ctx: OrchestrationContext, given: dict[str, Any]) -> Step[dict[str, Any]]:
    """Run a `HandoffRequest` and return a `RunResult`, both as JSON.

    Determinism contract: reads only its input, the orchestration's clock and the results of durable tasks.
    """
    return (yield from run_pattern(ctx, given, HandoffRequest, converse))


def converse(run: Run[HandoffRequest]) -> Step[RunResult]:
    """Ask whoever holds the conversation, until somebody replies or nobody can."""
    rules, members = run.request.pass_rules(), {placed.name: placed for placed in run.request.nodes()}
    talk = Conversation([rules.router])
    while True:
        run.progress(holder=talk.holder, passes=len(talk.holders) - 1)
        answer = yield from call_node(run, _turn_call(run, rules, members, talk))
        talk.answers.append(answer)
        if not answer.succeeded:
            return conclude(talk, error=first_failure([answer]))
        turn = read_turn(answer.result.output)
        if isinstance(turn, ErrorInfo):
            talk.answers[-1] = _as_failure(answer, turn)
            return conclude(talk, error=turn)
        move = after_turn(rules, talk.holders, turn)
        if isinstance(move, Replied):
            return conclude(talk, reply=move.reply)
        if isinstance(move, PassRefused) and talk.refused is not None:
            talk.answers[-1] = _as_failure(answer, move.error)
            return conclude(talk, error=move.error)
        _go_on(talk, answer, move)


def conclude(talk: Conversation, *, reply: JsonData = None, error: ErrorInfo | None = None) -> RunResult:
    """The run's result: completed with a reply, failed with the error, and the way the conversation took in both."""
    result = HandoffResult(reply=reply, replied_by=talk.holder if error is None else None, passes=tuple(talk.passes))
    status = RunStatus.COMPLETED if error is None else RunStatus.FAILED
    return run_result(status, talk.answers, result=result.model_dump(mode="json"), error=error)


def _go_on(talk: Conversation, answer: Answer, move: Move) -> None:
    match move:
        case PassedOn(target, reason):
            talk.passes.append(Pass(by=talk.holder, to=target, reason=reason))
            talk.said += (_said(answer, f"passed to {target}: {reason}"),)
            talk.holders.append(target)
            talk.refused = None
        case PassRefused(error, target):
            talk.passes.append(Pass(by=talk.holder, to=target[:100], refused=error.message))
            talk.refused = error
        case Replied():
            raise ValueError("a reply ends the conversation")


def _said(answer: Answer, what: str) -> EarlierOutput:
    return answer.output().model_copy(update={"output": what})


def _turn_call(run: Run[HandoffRequest], rules: PassRules, members: dict[str, Placed], talk: Conversation) -> NodeCall:
    placed = members[talk.holder]
    own = own_request(placed.node)
    request = run.given.request if own is None else own
    if not isinstance(placed.node, PatternRequest):
        request = _paper(run, rules, members, talk, request)
    given = AgentInput(request=request, earlier=run.given.earlier + talk.said)
    asked_before = sum(answer.call.node == without_request(placed.node) for answer in talk.answers)
    return NodeCall(again(placed.name, asked_before), without_request(placed.node), given)


def _paper(
    run: Run[HandoffRequest],
    rules: PassRules,
    members: dict[str, Placed],
    talk: Conversation,
    request: JsonData,
) -> JsonData:
    offered: Sequence[str] = targets(rules, talk.holders) if talk.refused is None else ()
    paper = TurnPaper(
        request=request,
        colleagues=tuple(Colleague(name=name, description=_description(run, members[name])) for name in offered),
        passes_left=passes_left(rules, talk.holders),
        must_reply=talk.refused.message if talk.refused else None,
    )
    dumped: JsonData = paper.model_dump(mode="json")
    return dumped


def _description(run: Run[HandoffRequest], placed: Placed) -> str:
    if placed.agent is None:
        return f"Several agents together, as the pattern {placed.node.pattern} says."  # type: ignore[union-attr]
    return run.agents[placed.agent].description


def _as_failure(answer: Answer, error: ErrorInfo) -> Answer:
    result = answer.result.model_copy(update={"status": StepStatus.FAILED, "error": error})
    return answered(answer.call, answer.step_id, result)
