"""What a vote came to: the decision with every ballot, the margin, the dissent, and an account that hides nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import JsonValue, ValidationError

from orchestrations.account import BUDGET_EXHAUSTED, answered, out_of_budget, run_result
from orchestrations.ballots import Abstention, Ballot, option_in
from orchestrations.nodes import PatternRequest
from orchestrations.run import Answer
from orchestrations.voting import NO_QUORUM, Tally, dissent, standing, tally
from orchestrations.voting_rules import ABSTAIN, Vote
from shared.contracts import AgentResult, Contract, ErrorInfo, JsonData, RunResult
from shared.status import RunStatus, StepStatus

INVALID_BALLOT = "InvalidBallot"
_HARMLESS = (None, Abstention.ABSTAINED, Abstention.CALLED_OFF)


class ConsensusResult(Contract):
    """The `result` of a run of the consensus pattern.

    `decision` is None when nobody won and nobody decided. `reason` is that of the judge or the person. `early` says
    that some voters were not asked, or not waited for, because nothing they could say would have changed the outcome.
    """

    decision: str | None
    decided_by: Literal["vote", "judge", "person"] | None
    reason: str = ""
    rule: str
    early: bool
    tally: Tally
    dissent: tuple[str, ...]
    ballots: tuple[Ballot, ...]


class PersonsDecision(Contract):
    """What a person answers who is asked to decide a vote."""

    option: str
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TieBreak:
    """How a vote that nobody won was decided: an option and by whom; or why it could not be; or nothing at all."""

    option: str | None = None
    by: Literal["judge", "person"] | None = None
    reason: str = ""
    answer: Answer | None = None
    error: ErrorInfo | None = None


def conclude(vote: Vote, ballots: Sequence[Ballot], answers: Sequence[Answer], broken: TieBreak) -> RunResult:
    """The run's result from one ballot and one answer for each voter.

    Failed without a quorum, or when whoever was to decide a tie did not; out of budget when that is why. Partial when
    a voter that was asked gave no ballot and did not say that it abstains. An open vote whose rule for ties is
    `no_decision` is complete.
    """
    verdict = standing(vote, ballots)
    if verdict is None:
        raise ValueError("a vote is concluded once each of its voters has a ballot")
    option = verdict.option or broken.option
    counted = tally(vote, ballots)
    result = ConsensusResult(
        decision=option,
        decided_by="vote" if verdict.option else broken.by,
        reason=broken.reason,
        rule=vote.rule.name,
        early=any(ballot.abstention is Abstention.CALLED_OFF for ballot in ballots),
        tally=counted,
        dissent=dissent(vote, ballots, option) if option else (),
        ballots=tuple(ballots),
    )
    error = broken.error
    if verdict == NO_QUORUM:
        error = ErrorInfo(type="NoQuorum", message=f"{counted.cast} of the {counted.needed} ballots needed were cast")
    elif option is None and error is None and any(map(out_of_budget, answers)):
        error = ErrorInfo(type=BUDGET_EXHAUSTED, message="nobody won, and who might have decided it cost too much")
    whole = all(ballot.abstention in _HARMLESS for ballot in ballots)
    status = RunStatus.FAILED if error else RunStatus.COMPLETED if whole else RunStatus.PARTIAL
    asked = [*answers, broken.answer] if broken.answer else list(answers)
    return run_result(status, asked, result=result.model_dump(mode="json"), error=error)


def with_cause(answer: Answer, ballot: Ballot) -> Answer:
    """The voter's answer, as a failure with the cause when it answered with something that is no ballot."""
    if ballot.abstention is not Abstention.INVALID or not answer.succeeded:
        return answer
    if isinstance(answer.call.node, PatternRequest):
        return replace(answer, partial=True)
    error = ErrorInfo(type=INVALID_BALLOT, message=ballot.cause or "no ballot")
    return answered(answer.call, answer.step_id, as_failure(answer.result, error))


def as_failure(result: AgentResult, error: ErrorInfo) -> AgentResult:
    """A result that turned out to be of no use: what it used is paid for all the same."""
    return result.model_copy(update={"status": StepStatus.FAILED, "error": error})


def read_person(vote: Vote, given: JsonData) -> PersonsDecision | None:
    """What a person decided; None when that names none of the options. An event may be raised by anyone."""
    try:
        said = PersonsDecision.model_validate({"option": given} if isinstance(given, str) else given)
    except ValidationError:
        return None
    option = option_in(said.option, vote.words())
    return None if option in (None, ABSTAIN) else said.model_copy(update={"option": option})


def nested_decision(output: JsonValue) -> JsonValue:
    """What a nested vote says as a voter: its decision, or that it abstains; anything else as it is."""
    if isinstance(output, dict) and {"decision", "decided_by", "tally"} <= set(output):
        return output["decision"] or ABSTAIN
    return output
