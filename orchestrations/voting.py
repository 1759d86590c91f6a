"""Counting votes: the verdict, whether anything still to come can change it, and who is to be asked next.

Everything here is a pure function of a vote and its ballots. A voter without a ballot is *outstanding*: it may still
cast any ballot that its rule allows, or abstain.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, assert_never

from orchestrations.ballots import Ballot
from orchestrations.voting_rules import (
    Borda,
    Majority,
    ScoreAverage,
    Supermajority,
    Unanimous,
    Vote,
    Weighted,
    exactly,
)
from shared.contracts import Contract

Unit = Literal["votes", "weight", "points", "ballots"]

_HALF = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a vote came to: an option; or no option won, which the vote's tie rule mends; or too few ballots."""

    kind: Literal["decided", "undecided", "no_quorum"]
    option: str | None = None


UNDECIDED = Verdict("undecided")
NO_QUORUM = Verdict("no_quorum")


class Tally(Contract):
    """The count, for people.

    `support` per option is votes, weight (weighted) or points (Borda); for a score average it is how many ballots
    lie in the option's own range, and `average` their mean. `margin` is by how much the first option leads the
    second in `support`, 0 at a tie; for a score average how far the mean lies from the nearest boundary between two
    options. `abstained` counts by cause.
    """

    unit: Unit
    support: dict[str, float]
    cast: int
    needed: int
    abstained: dict[str, int]
    average: float | None = None
    margin: float


def standing(vote: Vote, ballots: Iterable[Ballot]) -> Verdict | None:
    """The verdict that no ballot still to come can change, or None while more than one is possible.

    It is exact both ways: a verdict holds whatever the outstanding voters do, and with None there are two things that
    they could do which lead to different verdicts. With nobody outstanding it is the verdict.
    """
    given = tuple(ballots)
    answered = {ballot.voter for ballot in given}
    cast = [ballot for ballot in given if ballot.is_cast]
    outstanding = [voter for voter in vote.voters if voter not in answered]
    if len(cast) + len(outstanding) < vote.needed:
        return NO_QUORUM
    if len(cast) < vote.needed:
        return None
    match vote.rule:
        case ScoreAverage() as rule:
            return _standing_by_score(rule, cast, len(outstanding))
        case Borda():
            return _standing_by_points(vote, cast, len(outstanding))
        case _:
            return _standing_by_share(vote, cast, outstanding)


def _standing_by_share(vote: Vote, cast: Sequence[Ballot], outstanding: Sequence[str]) -> Verdict | None:
    """An option has won when it wins with all others against it; nobody can win who does not with all others for it."""
    support = _support(vote, cast)
    open_weight = sum((vote.weight(voter) for voter in outstanding), Fraction(0))
    most = sum(support.values(), Fraction(0)) + open_weight
    base = most if _is_of_cast(vote) else sum((vote.weight(voter) for voter in vote.voters), Fraction(0))
    for option, weight in support.items():
        if _suffices(vote, weight, base):
            return Verdict("decided", option)
    hope = any(_suffices(vote, weight + open_weight, base) for weight in support.values())
    return None if hope else UNDECIDED


def _suffices(vote: Vote, weight: Fraction, base: Fraction) -> bool:
    match vote.rule:
        case Majority() | Weighted():
            return weight > _HALF * base
        case Supermajority(fraction=fraction):
            return weight >= fraction * base and weight > 0
        case Unanimous():
            return weight == base and weight > 0
        case ScoreAverage() | Borda():
            raise ValueError(f"{vote.rule.name} goes by no share")
        case unknown:
            assert_never(unknown)


def _is_of_cast(vote: Vote) -> bool:
    return not isinstance(vote.rule, ScoreAverage | Borda) and vote.rule.of == "cast"


def _standing_by_score(rule: ScoreAverage, cast: Sequence[Ballot], outstanding: int) -> Verdict | None:
    """The mean lies between what it is if all others give the lowest score, and if they all give the highest."""
    total, count = _score_sum(cast), len(cast) + outstanding
    lowest = rule.option_for((total + outstanding * exactly(rule.low)) / count)
    highest = rule.option_for((total + outstanding * exactly(rule.high)) / count)
    return Verdict("decided", lowest) if lowest == highest else None


def _standing_by_points(vote: Vote, cast: Sequence[Ballot], outstanding: int) -> Verdict | None:
    """One ballot can bring an option nearer to another by m-1 points: by ranking the one first and the other last."""
    points = _support(vote, cast)
    reach = outstanding * (len(vote.options) - 1)
    first, second = _two_highest(points)
    if points[first] - points[second] > reach:
        return Verdict("decided", first)
    return None if outstanding else UNDECIDED


def tally(vote: Vote, ballots: Sequence[Ballot]) -> Tally:
    """The count of these ballots."""
    cast = [ballot for ballot in ballots if ballot.is_cast]
    support = _support(vote, cast)
    average = _score_sum(cast) / len(cast) if isinstance(vote.rule, ScoreAverage) and cast else None
    first, second = _two_highest(support)
    margin = support[first] - support[second]
    if isinstance(vote.rule, ScoreAverage):
        boundaries = sorted(exactly(start) for start in vote.rule.at_least.values())[1:]
        margin = min(abs(average - boundary) for boundary in boundaries) if average is not None else Fraction(0)
    return Tally(
        unit=_unit(vote),
        support={option: float(count) for option, count in support.items()},
        cast=len(cast),
        needed=vote.needed,
        abstained=dict(Counter(ballot.abstention.value for ballot in ballots if ballot.abstention is not None)),
        average=None if average is None else float(average),
        margin=float(margin),
    )


def favours(vote: Vote, ballot: Ballot) -> str | None:
    """The option that a ballot speaks for: its choice, its first rank, or the one in whose range its score lies."""
    if isinstance(vote.rule, ScoreAverage):
        return None if ballot.score is None else vote.rule.option_for(exactly(ballot.score))
    if ballot.ranking:
        return ballot.ranking[0]
    return ballot.choice


def dissent(vote: Vote, ballots: Iterable[Ballot], option: str) -> tuple[str, ...]:
    """The voters whose ballot speaks for another option than the one that was decided."""
    return tuple(ballot.voter for ballot in ballots if ballot.is_cast and favours(vote, ballot) != option)


def contenders(vote: Vote, ballots: Iterable[Ballot]) -> tuple[str, ...]:
    """Between which options a vote that nobody won is to be decided: those that share the first place in a ranking.

    Where a share decides, all of them: none had it, and an early end may have kept supporters from voting.
    """
    if not isinstance(vote.rule, Borda):
        return vote.options
    points = _support(vote, [ballot for ballot in ballots if ballot.is_cast])
    return tuple(option for option in vote.options if points[option] == max(points.values()))


def to_ask(vote: Vote, ballots: Sequence[Ballot], asked: Sequence[str], width: int | None) -> tuple[str, ...]:
    """The voters to ask now, in their order, given those who were asked already; nobody once the vote is decided.

    `width` is how many may be asked at once. With None no more are asked than it takes, in the best case, to decide
    the vote together with those who have yet to answer: asking more would pay for answers that may not be needed.
    """
    if standing(vote, ballots) is not None:
        return ()
    answered = {ballot.voter for ballot in ballots}
    waiting = [voter for voter in vote.voters if voter not in answered and voter not in asked]
    busy = [voter for voter in asked if voter not in answered]
    wanted = _fewest_to_decide(vote, ballots, (*busy, *waiting)) if width is None else width
    return tuple(waiting[: max(0, wanted - len(busy))])


def _fewest_to_decide(vote: Vote, ballots: Sequence[Ballot], order: Sequence[str]) -> int:
    """How many more ballots, cast in this order and all for one option, can decide the vote; all when none can."""
    points = _support(vote, [ballot for ballot in ballots if ballot.is_cast])
    # Of scores, any range may be the quickest to be certain of; of all else, the option that leads.
    options = vote.options if isinstance(vote.rule, ScoreAverage) else _two_highest(points)[:1]
    return min(_fewest_for(_hopes(vote, points, option, order), vote, ballots) for option in options)


def _fewest_for(hoped: Sequence[Ballot], vote: Vote, ballots: Sequence[Ballot]) -> int:
    def decides(count: int) -> bool:
        return standing(vote, [*ballots, *hoped[:count]]) is not None

    return bisect_left(range(1, len(hoped)), x=True, key=decides) + 1


def _hopes(vote: Vote, points: Mapping[str, Fraction], option: str, voters: Sequence[str]) -> list[Ballot]:
    """The ballots that help `option` most: its choice; the middle of its range; it first, and its rivals in turns."""
    match vote.rule:
        case ScoreAverage(at_least=at_least, low=low, high=high):
            start = at_least[option]
            end = min((other for other in at_least.values() if other > start), default=high)
            score = low if start == low else high if end == high else (start + end) / 2
            return [Ballot(voter=voter, score=score) for voter in voters]
        case Borda():
            rivals = sorted((other for other in vote.options if other != option), key=points.__getitem__)
            turns = [rivals[turn % len(rivals) :] + rivals[: turn % len(rivals)] for turn in range(len(voters))]
            return [Ballot(voter=voter, ranking=(option, *turn)) for voter, turn in zip(voters, turns, strict=True)]
        case _:
            return [Ballot(voter=voter, choice=option) for voter in voters]


def _support(vote: Vote, cast: Iterable[Ballot]) -> Mapping[str, Fraction]:
    support = dict.fromkeys(vote.options, Fraction(0))
    for ballot in cast:
        if ballot.ranking is not None:
            for points, option in enumerate(reversed(ballot.ranking)):
                support[option] += points
        elif (favoured := favours(vote, ballot)) is not None:
            support[favoured] += vote.weight(ballot.voter)
    return support


def _score_sum(cast: Iterable[Ballot]) -> Fraction:
    return sum((exactly(ballot.score) for ballot in cast if ballot.score is not None), Fraction(0))


def _two_highest(support: Mapping[str, Fraction]) -> tuple[str, str]:
    first, second = sorted(support, key=support.__getitem__, reverse=True)[:2]
    return first, second


def _unit(vote: Vote) -> Unit:
    match vote.rule:
        case Weighted():
            return "weight"
        case Borda():
            return "points"
        case ScoreAverage():
            return "ballots"
        case _:
            return "votes"
