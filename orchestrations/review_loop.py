"""The review loop (evaluator-optimizer): a maker drafts, a checker reviews, until it is satisfied or rounds run out.

Wiring: request -> maker -> checker -> (remarks) -> maker -> checker -> ... -> draft.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from durabletask.task import OrchestrationContext

from orchestrations.account import answered, first_failure, run_result
from orchestrations.branches import Step
from orchestrations.frame import run_pattern
from orchestrations.nodes import again, name_of
from orchestrations.requests import Node, ReviewLoopRequest
from orchestrations.reviews import after_review, nothing_changed, read_review
from orchestrations.run import Answer, NodeCall, Run
from orchestrations.steps import call_node
from shared.contracts import Contract, EarlierOutput, ErrorInfo, JsonData, RunResult
from shared.reviews import Review
from shared.status import RunStatus, StepStatus

type Ending = Literal["accepted", "rounds_run_out", "unchanged", "failed"]


class ReviewLoopResult(Contract):
    """The `result` of a run of the review loop: the last draft, whether it was accepted, and every review."""

    draft: JsonData
    accepted: bool
    ended: Ending
    rounds: int
    reviews: tuple[Review, ...]


@dataclass
class Work:
    """The work so far. `rounds` counts the drafts that were made."""

    answers: list[Answer] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    draft: EarlierOutput | None = None
    last_review: EarlierOutput | None = None
    rounds: int = 0

    def material(self) -> tuple[EarlierOutput, ...]:
        """What the next to be asked is given besides the request: the last draft and what was said of it."""
        return tuple(output for output in (self.draft, self.last_review) if output is not None)


def review_loop(ctx: OrchestrationContext, given: dict[str, Any]) -> Step[dict[str, Any]]:
    """Run a `ReviewLoopRequest` and return a `RunResult`, both as JSON.

    Determinism contract: reads only its input, the orchestration's clock and the results of durable tasks.
    """
    return (yield from run_pattern(ctx, given, ReviewLoopRequest, draft_and_review))


def draft_and_review(run: Run[ReviewLoopRequest]) -> Step[RunResult]:
    """Draft and review in turns; each is given the last draft and the last review."""
    request, work = run.request, Work()
    while True:
        made = yield from _ask(run, work, request.maker, "drafting")
        if not made.succeeded:
            return conclude(request, work, "failed", first_failure([made]))
        before, work.draft = work.draft, made.output()
        work.rounds += 1
        if before is not None and nothing_changed(before.output, work.draft.output):
            return conclude(request, work, "unchanged")
        checked = yield from _ask(run, work, request.checker, "reviewing")
        if not checked.succeeded:
            return conclude(request, work, "failed", first_failure([checked]))
        review = read_review(checked.result.output)
        if isinstance(review, ErrorInfo):
            work.answers[-1] = _as_failure(checked, review)
            return conclude(request, work, "failed", review)
        work.reviews.append(review)
        work.last_review = checked.output()
        following = after_review(review, work.rounds, request.max_rounds)
        if following != "again":
            return conclude(request, work, following)


def conclude(request: ReviewLoopRequest, work: Work, ended: Ending, error: ErrorInfo | None = None) -> RunResult:
    """The run's result. A draft that was not accepted is partial or a failure, as the request says."""
    accepted = ended == "accepted"
    result = ReviewLoopResult(
        draft=work.draft.output if work.draft else None,
        accepted=accepted,
        ended=ended,
        rounds=work.rounds,
        reviews=tuple(work.reviews),
    )
    kept = work.draft is not None and request.unaccepted == "keep"
    status = RunStatus.COMPLETED if accepted else RunStatus.PARTIAL if kept else RunStatus.FAILED
    if error is None and not accepted:
        error = ErrorInfo(type="NotAccepted", message=f"no draft was accepted in {work.rounds} rounds: {ended}")
    return run_result(status, work.answers, result=result.model_dump(mode="json"), error=error)


def _ask(run: Run[ReviewLoopRequest], work: Work, node: Node, doing: str) -> Step[Answer]:
    run.progress(round=work.rounds + (doing == "drafting"), of=run.request.max_rounds, doing=doing)
    given = run.given.model_copy(update={"earlier": run.given.earlier + work.material()})
    name = again(name_of(node), sum(answer.call.node == node for answer in work.answers))
    answer = yield from call_node(run, NodeCall(name, node, given))
    work.answers.append(answer)
    return answer


def _as_failure(answer: Answer, error: ErrorInfo) -> Answer:
    result = answer.result.model_copy(update={"status": StepStatus.FAILED, "error": error})
    return answered(answer.call, answer.step_id, result)
