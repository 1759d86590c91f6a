"""Voting by brute force, written from the rules' texts and from nothing of the app: slow, plain, and easy to check.

A ballot is an option's name, a number, or a tuple of names; `None` is an abstention, whatever its cause. `OUT` stands
for a voter that has not been heard of yet.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

OUT = "<outstanding>"

type Decide = Callable[[Sequence[Any]], str]
"""From one ballot or None for each voter to an option's name, or to "(undecided)"."""

UNDECIDED = "(undecided)"
NO_QUORUM = "(no quorum)"


def more_than_half(options: Sequence[str], *, of_voters: bool = False) -> Decide:
    def decide(ballots: Sequence[Any]) -> str:
        people = len(ballots) if of_voters else len([b for b in ballots if b is not None])
        winners = [option for option in options if list(ballots).count(option) * 2 > people]
        return winners[0] if winners else UNDECIDED

    return decide


def at_least(part: int, of: int, options: Sequence[str], *, of_voters: bool = False) -> Decide:
    def decide(ballots: Sequence[Any]) -> str:
        people = len(ballots) if of_voters else len([b for b in ballots if b is not None])
        winners = [o for o in options if list(ballots).count(o) and list(ballots).count(o) * of >= people * part]
        return winners[0] if winners else UNDECIDED

    return decide


def everybody(*, of_voters: bool = False) -> Decide:
    def decide(ballots: Sequence[Any]) -> str:
        named = set(ballots) if of_voters else set(ballots) - {None}
        return next(iter(named)) or UNDECIDED if len(named) == 1 else UNDECIDED

    return decide


def heavier_half(weights: Sequence[int], options: Sequence[str], *, of_voters: bool = False) -> Decide:
    def decide(ballots: Sequence[Any]) -> str:
        pairs = list(zip(ballots, weights, strict=True))
        all_weight = sum(w for b, w in pairs if of_voters or b is not None)
        winners = [o for o in options if sum(w for b, w in pairs if b == o) * 2 > all_weight]
        return winners[0] if winners else UNDECIDED

    return decide


def mean_score(bands: Sequence[tuple[int, str]]) -> Decide:
    """`bands` from the lowest up: from which mean on, which option."""

    def decide(ballots: Sequence[Any]) -> str:
        scores = [b for b in ballots if b is not None]
        mean = Fraction(sum(scores), len(scores))
        winner = bands[0][1]
        for start, option in bands:
            if mean >= start:
                winner = option
        return winner

    return decide


def most_points(options: Sequence[str]) -> Decide:
    def decide(ballots: Sequence[Any]) -> str:
        points = dict.fromkeys(options, 0)
        for ballot in ballots:
            if ballot is not None:
                for place in range(len(ballot)):
                    points[ballot[place]] += len(options) - 1 - place
        best = [option for option in options if points[option] == max(points.values())]
        return best[0] if len(best) == 1 else UNDECIDED

    return decide


class Oracle:
    """All that a vote can still come to, by trying everything that the outstanding voters may do."""

    def __init__(self, decide: Decide, *, answers: Sequence[Any], quorum: int) -> None:
        self._decide = decide
        self._possible_ballots = [*answers, None]
        self._quorum = quorum
        self._known: dict[tuple[Any, ...], frozenset[str]] = {}

    def possible(self, ballots: tuple[Any, ...]) -> frozenset[str]:
        """The outcomes still possible. `ballots` has one entry for each voter: a ballot, None, or `OUT`."""
        if ballots not in self._known:
            self._known[ballots] = self._try_everything(ballots)
        return self._known[ballots]

    def _try_everything(self, ballots: tuple[Any, ...]) -> frozenset[str]:
        for voter, ballot in enumerate(ballots):
            if ballot == OUT:
                outcomes: set[str] = set()
                for answer in self._possible_ballots:
                    outcomes |= self.possible((*ballots[:voter], answer, *ballots[voter + 1 :]))
                return frozenset(outcomes)
        return frozenset({self.outcome(ballots)})

    def outcome(self, ballots: Sequence[Any]) -> str:
        """What a vote came to in which everybody was heard of."""
        heard = len([b for b in ballots if b is not None])
        return NO_QUORUM if heard < self._quorum else self._decide(ballots)
