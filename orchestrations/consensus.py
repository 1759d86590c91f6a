"""The consensus pattern: voters answer one question, and a rule makes one decision of their ballots.

Wiring: question -> ballot paper -> voters, no more at once than could decide -> tally -> (nobody wins: a judge, a
person, or no decision) -> decision. The vote ends the moment its outcome can no longer change; voters who have not
been asked by then never are.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from durabletask import task as durable
from durabletask.task import OrchestrationContext

from orchestrations.account import answered
from orchestrations.ballots import CALLED_OFF, Ballot, ballot_paper, read_answer, read_ballot
from orchestrations.branches import Step
from orchestrations.calling_off import call_off_open
from orchestrations.consensus_result import (
    INVALID_BALLOT,
    TieBreak,
    as_failure,
    conclude,
    nested_decision,
    read_person,
    with_cause,
)
from orchestrations.fan_out import FanOut
from orchestrations.frame import run_pattern
from orchestrations.nodes import PatternRequest, own_request, without_request
from orchestrations.requests import ConsensusRequest
from orchestrations.run import Answer, NodeCall, Run
from orchestrations.steps import call_node
from orchestrations.voting import NO_QUORUM, UNDECIDED, contenders, standing, tally, to_ask
from orchestrations.voting_rules import AskJudge, AskPerson, Vote
from shared import names
from shared.contracts import AgentInput, EarlierOutput, ErrorInfo, RunResult

DECIDED = (CALLED_OFF, "called off: the vote was decided without it")
HOPELESS = (CALLED_OFF, "called off: the quorum could not be met any more")


def consensus(ctx: OrchestrationContext, given: dict[str, Any]) -> Step[dict[str, Any]]:
    """Run a `ConsensusRequest` and return a `RunResult`, both as JSON.

    Determinism contract: reads only its input, the orchestration's clock and the results of durable tasks.
    """
    return (yield from run_pattern(ctx, given, ConsensusRequest, decide_by_vote))


def decide_by_vote(run: Run[ConsensusRequest]) -> Step[RunResult]:
    """Hold the vote, and have one that nobody won decided as the request says."""
    vote = run.request.vote()
    answers = yield from _ballots_in(run, vote)
    ballots = [ballot_of(vote, answer) for answer in answers]
    broken = TieBreak()
    if standing(vote, ballots) == UNDECIDED:
        broken = yield from _break_tie(run, vote, answers, ballots)
    return conclude(vote, ballots, [with_cause(*pair) for pair in zip(answers, ballots, strict=True)], broken)


def ballot_of(vote: Vote, answer: Answer) -> Ballot:
    """The ballot of a voter that is an agent or a pattern."""
    result = answer.result
    if isinstance(answer.call.node, PatternRequest):
        result = result.model_copy(update={"output": nested_decision(result.output)})
    return read_ballot(vote, answer.call.name, result)


def _ballots_in(run: Run[ConsensusRequest], vote: Vote) -> Step[tuple[Answer, ...]]:
    """Ask the voters until the vote is decided; an answer for each of them, in their order.

    Halfway to the deadline everybody is asked who was not: one voter that hangs must not keep the others from voting.
    """
    time = min(run.deadline - run.now, timedelta(seconds=run.request.seconds))
    fan_out = FanOut(run, _calls(run, vote), 1, run.now + time)
    patience = run.ctx.create_timer(run.now + time / 2)
    verdict, ballots = None, list[Ballot]()
    while verdict is None:
        asked = vote.voters[: len(fan_out.answers) + fan_out.under_way]
        more = to_ask(vote, ballots, asked, len(vote.voters) if patience.is_complete else run.request.width)
        fan_out.width = max(1, fan_out.under_way + len(more))
        if more:
            yield from fan_out.start()
        if fan_out.idle:
            break
        waited = None if patience.is_complete else patience
        come = yield from fan_out.wait(waited)
        if not come and (waited is None or not patience.is_complete):
            break
        ballots += [ballot_of(vote, answer) for answer in come]
        verdict = standing(vote, ballots)
        _show(run, vote, ballots, len(asked) + len(more))
    if not patience.is_complete:
        patience.cancel()
    return fan_out.finish(why=None if verdict is None else HOPELESS if verdict == NO_QUORUM else DECIDED)


def _calls(run: Run[ConsensusRequest], vote: Vote) -> list[NodeCall]:
    """One call for each voter. Those with the same question share one paper, which then travels once."""
    shared = AgentInput(request=_paper(vote, run.given.request), earlier=run.given.earlier)
    calls = []
    for placed in run.request.planned():
        own = own_request(placed.node)
        given = shared if own is None else shared.model_copy(update={"request": _paper(vote, own)})
        calls.append(NodeCall(placed.name, without_request(placed.node), given))
    return calls


def _paper(vote: Vote, question: Any) -> Any:
    return ballot_paper(vote, question).model_dump(mode="json")


def _show(run: Run[ConsensusRequest], vote: Vote, ballots: Sequence[Ballot], asked: int) -> None:
    counted = tally(vote, ballots)
    leading = sorted(counted.support.items(), key=lambda each: -each[1])[:5]
    run.progress(voters=len(vote.voters), asked=asked, cast=counted.cast, needed=counted.needed, support=dict(leading))


# -- when nobody wins -------------------------------------------------------------------------------------------


def _break_tie(
    run: Run[ConsensusRequest], vote: Vote, answers: Sequence[Answer], ballots: Sequence[Ballot]
) -> Step[TieBreak]:
    options = contenders(vote, ballots)
    aliases = {option: words for option, words in vote.aliases.items() if option in options}
    open_between = Vote(voters=("tie",), options=options, aliases=aliases)
    match run.request.tie:
        case AskJudge(agent=agent):
            earlier = tuple(_as_output(*pair) for pair in zip(answers, ballots, strict=True) if pair[1].is_cast)
            return (yield from _ask_judge(run, agent, open_between, earlier))
        case AskPerson() as asked:
            seconds = asked.deadline_seconds or asked.default_deadline_seconds
            return (yield from _ask_person(run, open_between, timedelta(seconds=seconds)))
        case _:
            return TieBreak()


def _as_output(answer: Answer, ballot: Ballot) -> EarlierOutput:
    return answer.output().model_copy(update={"output": ballot.model_dump(mode="json", exclude_none=True)})


def _ask_judge(
    run: Run[ConsensusRequest], agent: str, vote: Vote, ballots: tuple[EarlierOutput, ...]
) -> Step[TieBreak]:
    """Ask the judge, which sees every ballot that was cast."""
    paper = ballot_paper(vote, run.given.request, may_abstain=False).model_dump(mode="json")
    given = AgentInput(request=paper, earlier=run.given.earlier + ballots)
    run.progress(waiting_for=agent)
    answer = yield from call_node(run, NodeCall(agent, agent, given))
    if not answer.succeeded:
        return TieBreak(answer=answer, error=answer.result.error)
    ballot = read_answer(vote, "tie", answer.result.output)
    if ballot.choice is not None:
        return TieBreak(ballot.choice, "judge", ballot.reason, answer)
    error = ErrorInfo(type=INVALID_BALLOT, message=f"{agent} did not decide: {ballot.cause or 'it abstained'}")
    failure = answered(answer.call, answer.step_id, as_failure(answer.result, error))
    return TieBreak(answer=failure, error=error)


def _ask_person(run: Run[ConsensusRequest], vote: Vote, time: timedelta) -> Step[TieBreak]:
    """Wait for a person's decision; an event that names none of the options is passed over."""
    until = min(run.deadline, run.now + time)
    yield from call_off_open(run)
    timer, shown = run.ctx.create_timer(until), until.isoformat().replace("+00:00", "Z")
    run.progress(waiting_for="person", event=names.EVENT_DECISION, options=list(vote.options), until=shown)
    while True:
        event = run.ctx.wait_for_external_event(names.EVENT_DECISION)
        if (yield durable.when_any([event, timer])) is timer:
            message = f"nobody raised {names.EVENT_DECISION} before {shown}"
            return TieBreak(error=ErrorInfo(type="NobodyDecided", message=message))
        said = read_person(vote, event.get_result())
        if said is not None:
            timer.cancel()
            return TieBreak(said.option, "person", said.reason or said.by)
