"""How a team works together: who waits for whom, what a manager is shown, and what it all comes to. All pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import JsonValue, ValidationError

from orchestrations.account import first_failure, run_result
from orchestrations.requests import HierarchicalRequest
from orchestrations.requirements import required
from orchestrations.run import Answer
from shared.contracts import ErrorInfo, RunResult
from shared.plans import TeamReview
from shared.status import RunStatus


def stages(names: Iterable[str], needs: Mapping[str, Collection[str]]) -> tuple[tuple[str, ...], ...]:
    """The names in stages: each in the first one in which everything that it needs lies in an earlier stage.

    Raises `ValueError` when `needs` has a circle in it, or names something that is not among `names`.
    """
    waiting, found, done = list(names), [], set[str]()
    while waiting:
        ready = tuple(name for name in waiting if done.issuperset(needs.get(name, ())))
        if not ready:
            raise ValueError("the needs go round in a circle")
        found.append(ready)
        done.update(ready)
        waiting = [name for name in waiting if name not in done]
    return tuple(found)


def parts_required(team: HierarchicalRequest) -> int:
    """How many parts there have to be."""
    return required(team.require, len(team.workers))


def still_possible(team: HierarchicalRequest, current: Mapping[str, Answer]) -> bool:
    """Whether the parts made and those still to come can be enough."""
    lost = sum(not answer.succeeded for answer in current.values())
    return len(team.workers) - lost >= parts_required(team)


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What came of a manager's reviews: the last one, or why there is none. `sent_back` are its parts not accepted."""

    review: TeamReview | None = None
    error: ErrorInfo | None = None
    sent_back: Mapping[str, str] | None = None


def review_request(goal: JsonValue, current: Mapping[str, Answer], *, last_round: bool) -> JsonValue:
    """What a manager is asked: the goal, the parts by name with who made them, and whether any can still go back."""
    parts: list[JsonValue] = [
        {
            "part": name,
            "by": answer.call.asked,
            "step": answer.step_id,
            **({} if answer.succeeded else {"missing": _cause(answer)}),
        }
        for name, answer in current.items()
    ]
    return {"goal": goal, "parts": parts, "last_round": last_round}


def read_review(answer: Answer, current: Mapping[str, Answer]) -> Reviewed:
    """A manager's answer as a review. Parts that it sends back and that nobody made are passed over."""
    if not answer.succeeded:
        return Reviewed(error=first_failure([answer]) or ErrorInfo(type="NotReviewed", message=_cause(answer)))
    try:
        review = TeamReview.model_validate(answer.result.output)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        message = f"{answer.step_id} answered with no review: {where}: {first['msg']}"
        return Reviewed(error=ErrorInfo(type="InvalidReview", message=message))
    made = {name for name, part in current.items() if part.succeeded}
    return Reviewed(review, sent_back={each.part: each.comment for each in review.rework if each.part in made})


def conclude(
    team: HierarchicalRequest,
    current: Mapping[str, Answer],
    everything: Sequence[Answer],
    reviewed: Reviewed | None = None,
) -> RunResult:
    """The team's result and account. `current` are the parts as they stand, `everything` every answer there was.

    Completed: every part was made and, where there is a manager, accepted and merged. Partial: some are missing, not
    accepted or were mended in vain, and those that there are suffice. Failed: too few, or no manager merged them.
    """
    sent_back = (reviewed.sent_back if reviewed else None) or {}
    good = [name for name, answer in current.items() if answer.succeeded and name not in sent_back]
    everything = [_with_comment(team, answer, current, sent_back) for answer in everything]
    enough, merged = len(good) >= parts_required(team), reviewed.review if reviewed else None
    if enough and (merged is not None or team.manager is None):
        complete = not sent_back and all(answer.succeeded for answer in everything)
        status = RunStatus.COMPLETED if complete else RunStatus.PARTIAL
        return run_result(status, everything, result=merged.merged if merged else _outputs(team, current))
    error = reviewed.error if reviewed and reviewed.error else _too_few(team, current, sent_back)
    return run_result(
        RunStatus.FAILED, everything, result=merged.merged if merged else _outputs(team, current), error=error
    )


def _outputs(team: HierarchicalRequest, current: Mapping[str, Answer]) -> JsonValue:
    """What the parts are that no other part is made from: one as it is, several under their names."""
    used = {need for needs in team.needs.values() for need in needs}
    ends = [name for name in current if name not in used]
    if len(ends) == 1 and current[ends[0]].succeeded:
        return current[ends[0]].result.output
    made = [answer for answer in current.values() if answer.succeeded]
    return [{"name": each.call.name, "agent": each.call.asked, "output": each.result.output} for each in made]


def _with_comment(
    team: HierarchicalRequest, answer: Answer, current: Mapping[str, Answer], sent_back: Mapping[str, str]
) -> Answer:
    """An answer whose account says that the manager did not accept it in the end."""
    name = next((name for name, part in current.items() if part is answer), None)
    if name is None or name not in sent_back:
        return answer
    cause = f"not accepted by {team.manager}: {sent_back[name]}"
    return replace(answer, account=tuple(line.model_copy(update={"cause": cause}) for line in answer.account))


def _too_few(team: HierarchicalRequest, current: Mapping[str, Answer], sent_back: Mapping[str, str]) -> ErrorInfo:
    good = sum(answer.succeeded for answer in current.values()) - len(sent_back)
    accepted = "accepted" if team.manager else "made"
    message = f"{good} of {len(team.workers)} parts were {accepted}, {parts_required(team)} are required"
    cause = first_failure(current.values())
    return ErrorInfo(type="TooFewParts", message=f"{message}; the first cause: {cause.message}" if cause else message)


def _cause(answer: Answer) -> str:
    return answer.result.error.message if answer.result.error else f"it {answer.result.status}"
