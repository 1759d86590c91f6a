"""The voting rules against brute force: over everything that up to six voters can do, in every order.

A vote in progress is, for each voter, a ballot, an abstention of some kind, or nothing yet. Every order in which
answers can come in passes through such states and through nothing else, so that trying every state tries every order.
The verdict must be there in exactly those states in which brute force finds one possible outcome, and must be it:
never early, never late.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from orchestrations.ballots import Abstention, Ballot
from orchestrations.voting import Verdict, standing
from orchestrations.voting_rules import Vote
from tests.support import vote_oracle as oracle
from tests.support.vote_oracle import OUT, Decide, Oracle

OPTIONS = ("yes", "no", "other")
WEIGHTS = (3, 2, 2, 1, 1, 0)
SCORES = (0, 3, 5, 10)
BANDS = ((0, "no"), (4, "other"), (8, "yes"))
RANKINGS = tuple(itertools.permutations(OPTIONS))
# What a voter does that does not vote. Called off is left out: it is what happens to voters after the verdict.
ABSENT = (Abstention.ABSTAINED, Abstention.INVALID, Abstention.FAILED, Abstention.TIMED_OUT)


@dataclass(frozen=True)
class Case:
    """A rule as the app knows it, and as the oracle does."""

    name: str
    rule: dict[str, Any]
    decide: Decide
    answers: tuple[Any, ...]


def share_cases(voters: int, options: Sequence[str]) -> Iterator[Case]:
    weights = {f"v{n}": WEIGHTS[n] for n in range(voters)}
    for of in ("cast", "voters"):
        entire = of == "voters"
        rules: list[tuple[dict[str, Any], Decide]] = [
            ({"name": "majority"}, oracle.more_than_half(options, of_voters=entire)),
            ({"name": "supermajority", "fraction": "2/3"}, oracle.at_least(2, 3, options, of_voters=entire)),
            ({"name": "supermajority", "fraction": 0.6}, oracle.at_least(3, 5, options, of_voters=entire)),
            ({"name": "supermajority", "fraction": 1}, oracle.at_least(1, 1, options, of_voters=entire)),
            ({"name": "unanimous"}, oracle.everybody(of_voters=entire)),
            (
                {"name": "weighted", "weights": weights},
                oracle.heavier_half(WEIGHTS[:voters], options, of_voters=entire),
            ),
        ]
        for rule, decide in rules:
            yield Case(f"{rule['name']}-{rule.get('fraction', '')}-{of}", {**rule, "of": of}, decide, tuple(options))


def other_cases() -> Iterator[Case]:
    bands = {option: start for start, option in BANDS}
    score = {"name": "score", "low": 0, "high": 10, "at_least": bands}
    yield Case("score", score, oracle.mean_score(BANDS), SCORES)
    yield Case("borda", {"name": "borda"}, oracle.most_points(OPTIONS), RANKINGS)


def a_vote(case: Case, voters: int, quorum: int, options: Sequence[str] = OPTIONS) -> Vote:
    names = [f"v{number}" for number in range(voters)]
    return Vote.model_validate({"voters": names, "options": options, "rule": case.rule, "quorum": quorum})


def a_ballot(voter: int, answer: Any) -> Ballot:
    fields = {"choice": answer} if isinstance(answer, str) else {"score": answer}
    return Ballot.model_validate(
        {"voter": f"v{voter}", **({"ranking": answer} if isinstance(answer, tuple) else fields)}
    )


def an_absence(voter: int, kind: Abstention) -> Ballot:
    return Ballot(voter=f"v{voter}", abstention=kind, cause="so it is")


def as_outcome(verdict: Verdict) -> str:
    special = {"undecided": oracle.UNDECIDED, "no_quorum": oracle.NO_QUORUM}
    return special.get(verdict.kind) or str(verdict.option)


def check_every_state(case: Case, quorum: int, options: Sequence[str], absent: Sequence[Sequence[Abstention]]) -> None:
    """Compare the app with the oracle in every state of a vote. `absent` has the kinds of abstention of each voter."""
    voters = len(absent)
    vote = a_vote(case, voters, quorum, options)
    knows = Oracle(case.decide, answers=case.answers, quorum=quorum)
    cast = {(voter, answer): a_ballot(voter, answer) for voter in range(voters) for answer in case.answers}
    missed = {(voter, kind): an_absence(voter, kind) for voter in range(voters) for kind in absent[voter]}
    ballots = {**cast, **missed}
    for state in itertools.product(*((*case.answers, *kinds, OUT) for kinds in absent)):
        seen = tuple(None if isinstance(doing, Abstention) else doing for doing in state)
        possible = knows.possible(seen)
        verdict = standing(vote, [ballots[voter, doing] for voter, doing in enumerate(state) if doing != OUT])
        assert ({as_outcome(verdict)} if verdict else None) == (possible if len(possible) == 1 else None), state


SMALL = [
    pytest.param(case, voters, quorum, id=f"{case.name}-{voters}-{quorum}")
    for voters in (1, 2, 3)
    for case in (*share_cases(voters, OPTIONS), *other_cases())
    for quorum in range(1, voters + 1)
    if case.name != "borda" or voters < 3
]


@pytest.mark.parametrize(("case", "voters", "quorum"), SMALL)
def test_the_verdict_is_what_brute_force_finds_whatever_kind_an_abstention_is_of(
    case: Case, voters: int, quorum: int
) -> None:
    check_every_state(case, quorum, OPTIONS, [ABSENT] * voters)


LARGE = [
    pytest.param(case, voters, quorum, options, id=f"{case.name}-{voters}-{quorum}-{len(options)}")
    for voters, options in ((4, OPTIONS), (5, OPTIONS), (6, OPTIONS[:2]), (6, OPTIONS))
    for case in share_cases(voters, options)
    for quorum in (range(1, voters + 1) if (voters, options) != (6, OPTIONS) else (4,))
] + [
    pytest.param(case, voters, quorum, OPTIONS, id=f"{case.name}-{voters}-{quorum}-3")
    for case in other_cases()
    for voters, quorums in ((3, (1, 2, 3)), (4, (1, 3, 4)), (5, (3,)), *([(6, (4,))] if case.name == "score" else []))
    for quorum in quorums
]


@pytest.mark.parametrize(("case", "voters", "quorum", "options"), LARGE)
def test_the_verdict_of_more_voters_is_what_brute_force_finds(
    case: Case, voters: int, quorum: int, options: Sequence[str]
) -> None:
    """Each voter abstains in one way here, every voter in another: the kind plays no part, as the test above shows."""
    kinds = itertools.cycle(ABSENT)
    check_every_state(case, quorum, options, [[next(kinds)] for _ in range(voters)])
