"""Ballots: what became of each voter's answer. Every voter has one in the end, if only to say why it did not vote."""

import re
from collections.abc import Mapping
from enum import StrEnum

from pydantic import JsonValue, ValidationError

from orchestrations.voting_rules import ABSTAIN, Borda, ScoreAverage, Vote, plain
from shared.ballots import Answer, BallotAnswer, BallotPaper
from shared.contracts import AgentResult, Contract, JsonData, StepId
from shared.status import StepStatus

# "Verdict: allow" on a line of its own. A word in a sentence is no answer: "I would not allow it" contains "allow".
_LABELLED = re.compile(r"^\W*(?:final\s+)?(?:answer|verdict|decision|vote|choice)\W*[:=]\s*(.+)$", re.IGNORECASE)

CALLED_OFF = "NotNeeded"
"""The error's type of a voter that was not asked, or not waited for, because the vote was decided."""


class Abstention(StrEnum):
    """Why a voter's ballot is no vote."""

    ABSTAINED = "abstained"  #: it answered that it does not want to choose
    INVALID = "invalid"  #: it answered with something that is no ballot
    FAILED = "failed"  #: it failed, or was refused
    TIMED_OUT = "timed_out"  #: it did not answer in time
    CALLED_OFF = "called_off"  #: it was not asked, or not waited for, because the vote was decided


# By the error's type; whoever is not asked for another reason, such as the budget, has failed.
_NOT_ASKED = {CALLED_OFF: Abstention.CALLED_OFF, "StepTimedOut": Abstention.TIMED_OUT}


class Ballot(Contract):
    """One voter's ballot: a choice, a score or a ranking; or an abstention with its cause."""

    voter: StepId
    choice: str | None = None
    score: float | None = None
    ranking: tuple[str, ...] | None = None
    reason: str = ""
    abstention: Abstention | None = None
    cause: str | None = None

    @property
    def is_cast(self) -> bool:
        """Whether it counts as a vote."""
        return self.abstention is None


def answer_kind(vote: Vote) -> Answer:
    """How the voters of `vote` answer, which follows from its rule."""
    match vote.rule:
        case ScoreAverage():
            return "score"
        case Borda():
            return "ranking"
        case _:
            return "choice"


def ballot_paper(vote: Vote, question: JsonData, *, may_abstain: bool = True) -> BallotPaper:
    """What every voter is asked, all the same."""
    scale = {"low": vote.rule.low, "high": vote.rule.high} if isinstance(vote.rule, ScoreAverage) else {}
    return BallotPaper(
        question=question, options=vote.options, answer=answer_kind(vote), may_abstain=may_abstain, **scale
    )


def read_ballot(vote: Vote, voter: str, result: AgentResult) -> Ballot:
    """The ballot that an agent's result comes to. Never raises: what cannot be read is an abstention with the cause."""
    if result.status is StepStatus.SUCCEEDED:
        return read_answer(vote, voter, result.output)
    cause = result.error.message if result.error else f"{voter} {result.status}"
    kind = Abstention.TIMED_OUT if result.status is StepStatus.TIMED_OUT else Abstention.FAILED
    if result.error is not None and result.status is StepStatus.SKIPPED:
        kind = _NOT_ASKED.get(result.error.type, Abstention.FAILED)
    return Ballot(voter=voter, abstention=kind, cause=cause)


def read_answer(vote: Vote, voter: str, output: JsonValue) -> Ballot:
    """The ballot in what a voter answered: a `BallotAnswer`, or text that can be mapped to an option or a number."""
    if isinstance(output, str):
        return _from_text(vote, voter, output)
    try:
        answer = BallotAnswer.model_validate(output)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        return _invalid(voter, f"{where}: {first['msg']}")
    kind = answer_kind(vote)
    given = {name for name in ("choice", "score", "ranking") if getattr(answer, name) is not None}
    if not given:
        return Ballot(voter=voter, abstention=Abstention.ABSTAINED, cause=answer.reason or None)
    if given != {kind}:
        return _invalid(voter, f"a {kind} was asked for, not {' and '.join(sorted(given))}", answer.reason)
    return _READERS[kind](vote, voter, answer)


def option_in(text: str, words: Mapping[str, str]) -> str | None:
    """The option that a free text names; `ABSTAIN` when it abstains; None when it names none for certain.

    The whole text, its first line, its last line, or a line such as "Verdict: allow" must be an option or an alias.
    Two lines that name different options name none.
    """
    lines = [line for line in text.splitlines() if plain(line)]
    labelled = [found.group(1) for line in lines if (found := _LABELLED.match(line))]
    candidates = [text, *labelled] if labelled else [text, *lines[:1], *lines[-1:]]
    known = {**words, ABSTAIN: ABSTAIN}
    named = {known[form] for form in map(plain, candidates) if form in known}
    return named.pop() if len(named) == 1 else None


def _from_text(vote: Vote, voter: str, text: str) -> Ballot:
    match answer_kind(vote):
        case "choice":
            return _chosen(vote, voter, BallotAnswer(choice=text))
        case "score":
            try:
                return _scored(vote, voter, BallotAnswer(score=float(text)))
            except ValueError:
                return _invalid(voter, f"no number: {text[:200]!r}")
        case _:
            return _invalid(voter, "a ranking must be a list of the options")


def _chosen(vote: Vote, voter: str, answer: BallotAnswer) -> Ballot:
    text = answer.choice or ""
    match option_in(text, vote.words()):
        case None:
            return _invalid(voter, f"none of the options: {text[:200]!r}", answer.reason)
        case option if option == ABSTAIN:
            return Ballot(voter=voter, abstention=Abstention.ABSTAINED, cause=answer.reason or None)
        case option:
            return Ballot(voter=voter, choice=option, reason=answer.reason)


def _scored(vote: Vote, voter: str, answer: BallotAnswer) -> Ballot:
    rule, score = vote.rule, answer.score
    if not isinstance(rule, ScoreAverage) or score is None or not rule.low <= score <= rule.high:
        return _invalid(voter, f"the score {score} is out of range", answer.reason)
    return Ballot(voter=voter, score=score, reason=answer.reason)


def _ranked(vote: Vote, voter: str, answer: BallotAnswer) -> Ballot:
    words = vote.words()
    ranking = tuple(words.get(plain(name), name) for name in answer.ranking or ())
    unknown = [name for name in ranking if name not in vote.options]
    if unknown:
        return _invalid(voter, f"none of the options: {unknown[0][:200]!r}", answer.reason)
    if sorted(ranking) != sorted(vote.options):
        return _invalid(voter, "the ranking must name every option exactly once", answer.reason)
    return Ballot(voter=voter, ranking=ranking, reason=answer.reason)


_READERS = {"choice": _chosen, "score": _scored, "ranking": _ranked}


def _invalid(voter: str, cause: str, reason: str = "") -> Ballot:
    return Ballot(voter=voter, reason=reason, abstention=Abstention.INVALID, cause=cause)
