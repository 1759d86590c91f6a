"""What a voter is asked and what it answers: the contract between a vote and the agents that vote in it."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from shared.contracts import Contract, JsonData

MAX_REASON = 2000

Answer = Literal["choice", "score", "ranking"]


class BallotPaper(Contract):
    """What every voter of a vote is given as its request.

    `answer` says how: by naming one of the `options`, by a number from `low` to `high`, or by ranking all of them, the
    best first. Who decides a tie gets a paper on which it may not abstain.
    """

    question: JsonData
    options: Annotated[tuple[str, ...], Field(min_length=1)]
    answer: Answer = "choice"
    low: float = 0
    high: float = 10
    may_abstain: bool = True


class BallotAnswer(Contract):
    """A voter's answer. One of `choice`, `score` and `ranking` is given, as the paper asks; none is an abstention."""

    choice: str | None = None
    score: Annotated[float, Field(allow_inf_nan=False)] | None = None
    ranking: tuple[str, ...] | None = None
    reason: Annotated[str, StringConstraints(max_length=MAX_REASON)] = ""
