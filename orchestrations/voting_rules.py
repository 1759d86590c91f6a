"""The rules by which votes become a decision, and what a vote needs before anyone is asked.

A ballot that is valid is *cast*; everything else (a voter that abstains, answers with rubbish, fails or is late) is an
abstention. Abstentions are counted, and are no part of what is cast. Words and thresholds follow Robert's Rules of
Order Newly Revised (RONR, 12th ed.): section 44 for what decides a vote, section 40 for the quorum.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, StringConstraints, ValidationInfo, field_validator

from shared.contracts import AgentName, Contract, StepId

MAX_VOTERS = 100
MAX_OPTIONS = 50
ABSTAIN = "abstain"
"""What a voter answers that does not want to choose; no option may be called so."""

_FRACTION = re.compile(r"[0-9]{1,4}/[0-9]{1,4}")


def exactly(number: float) -> Fraction:
    """`number` as the decimal that it is written as, so that 0.1 and 0.2 make 0.3."""
    return Fraction(repr(float(number)))


def plain(text: str) -> str:
    """`text` as options are compared: compatibility forms, case, marks around it and spaces inside do not matter."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    letters = [place for place, character in enumerate(folded) if not _is_mark(character)]
    return folded[letters[0] : letters[-1] + 1] if letters else ""


def _is_mark(character: str) -> bool:
    return character in " `>" or unicodedata.category(character).startswith("P")


def _share(value: object) -> object:
    # A fraction's parser also takes exponents, which cost as much memory as they say.
    if isinstance(value, str) and _FRACTION.fullmatch(value) and not value.endswith(("/0", "/00", "/000", "/0000")):
        return Fraction(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return exactly(value)
    if isinstance(value, Fraction):
        return value
    raise ValueError('give a number up to 1, or a fraction such as "2/3"')


Share = Annotated[Fraction, BeforeValidator(_share), Field(gt=Fraction(1, 2), le=1)]
Weight = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Number = Annotated[float, Field(ge=-1_000_000, le=1_000_000, allow_inf_nan=False)]
OptionName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
Seconds = Annotated[float, Field(gt=0, le=7 * 24 * 3600, allow_inf_nan=False)]
Base = Literal["cast", "voters"]
"""What a share is of: of the ballots cast, or of all voters, so that an abstention counts like a vote against."""


class Majority(Contract):
    """The option with more than half of the ballots wins; exactly half is not enough (RONR 44:1).

    `of` "cast" leaves abstentions out; `of` "voters" is what RONR 44 calls a majority of the entire membership.
    """

    name: Literal["majority"] = "majority"
    of: Base = "cast"


class Supermajority(Contract):
    """The option with at least `fraction` of the ballots wins (RONR 44:3); `of` as for a majority.

    `fraction` is above a half, up to 1. A text such as "2/3" is exact, where no decimal is.
    """

    name: Literal["supermajority"] = "supermajority"
    fraction: Share
    of: Base = "cast"


class Unanimous(Contract):
    """The option on every ballot wins. With `of` "cast" nobody may be against it; with "voters" all must be for it."""

    name: Literal["unanimous"] = "unanimous"
    of: Base = "cast"


class Weighted(Contract):
    """The option with more than half of the weight wins (RONR 44:1, with votes that differ in weight).

    `weights` has one for each voter, 0 or more and not all 0. `of` "cast" means the weight of the ballots cast.
    The quorum counts voters, not weight.
    """

    name: Literal["weighted"] = "weighted"
    weights: dict[StepId, Weight]
    of: Base = "cast"

    @field_validator("weights")
    @classmethod
    def _weigh_something(cls, weights: dict[str, float]) -> dict[str, float]:
        if not sum(weights.values()) > 0:
            raise ValueError("the weights sum to nothing")
        return weights


class ScoreAverage(Contract):
    """Every voter gives a number from `low` to `high`; the mean of the ballots cast decides between the options.

    `at_least` says from which mean on an option wins; the option with the greatest number that the mean reaches does.
    So a mean on a boundary belongs to the upper option, every mean has exactly one, and there are no ties.
    """

    name: Literal["score"] = "score"
    low: Number = 0
    high: Number = 10
    at_least: dict[OptionName, Number]

    @field_validator("high")
    @classmethod
    def _is_above_low(cls, high: float, info: ValidationInfo) -> float:
        if high <= info.data.get("low", -float("inf")):
            raise ValueError("must be above low")
        return high

    @field_validator("at_least")
    @classmethod
    def _covers_the_scale(cls, at_least: dict[str, float], info: ValidationInfo) -> dict[str, float]:
        low, high = info.data.get("low"), info.data.get("high")
        starts = sorted(at_least.values())
        if low is None or high is None:
            return at_least
        if not starts or starts[0] != low or starts[-1] > high:
            raise ValueError(f"one option must begin at {low:g}, and none above {high:g}")
        if len(set(starts)) != len(starts):
            raise ValueError("two options begin at the same mean")
        return at_least

    def option_for(self, mean: Fraction) -> str:
        """The option that wins with this mean."""
        reached = [(start, option) for option, start in self.at_least.items() if exactly(start) <= mean]
        return max(reached)[1]


class Borda(Contract):
    """Every voter ranks all options; of m options the first gets m-1 points, the next m-2, the last none.

    The option with the most points wins; equal points for the first place are a tie. A ranking that leaves an option
    out is invalid. Source: J.-C. de Borda, "Mémoire sur les élections au scrutin" (1781).
    """

    name: Literal["borda"] = "borda"


def _by_name(rule: object) -> object:
    return {"name": rule} if isinstance(rule, str) else rule


Rule = Annotated[
    Annotated[Majority | Supermajority | Unanimous | Weighted | ScoreAverage | Borda, Field(discriminator="name")],
    BeforeValidator(_by_name),
]
"""One of the rules, as an object; its name alone will do for one that needs nothing else."""


class VoteTerms(Contract):
    """What is voted on and how, apart from who does the work.

    `voters` in the order in which they are asked. `aliases` are other words for an option that a free-text answer may
    use. `quorum` is how many ballots must be cast for the vote to count: by default more than half of the voters
    (RONR 40). An abstention is no part of it, whatever its cause.
    """

    voters: Annotated[tuple[Any, ...], Field(min_length=1, max_length=MAX_VOTERS)]
    options: Annotated[tuple[OptionName, ...], Field(min_length=2, max_length=MAX_OPTIONS)]
    aliases: dict[OptionName, tuple[OptionName, ...]] = Field(default_factory=dict)
    rule: Rule = Majority()
    quorum: Annotated[int, Field(ge=1)] | None = None

    @field_validator("options")
    @classmethod
    def _options_differ(cls, options: tuple[str, ...]) -> tuple[str, ...]:
        _check_words(options)
        return options

    @field_validator("aliases")
    @classmethod
    def _aliases_are_clear(cls, aliases: dict[str, tuple[str, ...]], info: ValidationInfo) -> dict[str, Any]:
        options = info.data.get("options", ())
        if unknown := [option for option in aliases if option not in options]:
            raise ValueError(f"{unknown[0]!r} is none of the options")
        _check_words([*options, *(word for words in aliases.values() for word in words)])
        return aliases

    @field_validator("rule")
    @classmethod
    def _rule_fits(cls, rule: Any, info: ValidationInfo) -> Any:
        voters, options = info.data.get("voters"), info.data.get("options")
        if isinstance(rule, Weighted) and voters is not None and set(rule.weights) != set(map(_called, voters)):
            raise ValueError("weights: there must be one for each voter, and for nobody else")
        if isinstance(rule, ScoreAverage) and options is not None and set(rule.at_least) != set(options):
            raise ValueError("at_least: there must be one for each option, and for nothing else")
        return rule

    @field_validator("quorum")
    @classmethod
    def _quorum_can_be_met(cls, quorum: int | None, info: ValidationInfo) -> int | None:
        voters = info.data.get("voters")
        if quorum is not None and voters is not None and quorum > len(voters):
            raise ValueError(f"more than the {len(voters)} voters there are")
        return quorum


class Vote(VoteTerms):
    """A vote whose voters are known by their names alone, which is all that counting needs."""

    voters: Annotated[tuple[StepId, ...], Field(min_length=1, max_length=MAX_VOTERS)]

    @field_validator("voters")
    @classmethod
    def _voters_differ(cls, voters: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(voters)) != len(voters):
            raise ValueError("a voter is named twice; ask one agent twice under two names")
        return voters

    @property
    def needed(self) -> int:
        """How many ballots must be cast for the vote to count."""
        return self.quorum or len(self.voters) // 2 + 1

    def weight(self, voter: str) -> Fraction:
        """What this voter's ballot weighs."""
        return exactly(self.rule.weights[voter]) if isinstance(self.rule, Weighted) else Fraction(1)

    def words(self) -> Mapping[str, str]:
        """Every word that stands for an option, in its plain form, with the option."""
        return {plain(word): option for option in self.options for word in (option, *self.aliases.get(option, ()))}


class NoDecision(Contract):
    """A vote that nobody wins ends without a decision, and says so."""

    name: Literal["no_decision"] = "no_decision"
    deadline_seconds: ClassVar[float | None] = None
    default_deadline_seconds: ClassVar[float] = 0


class AskJudge(Contract):
    """A vote that nobody wins is decided by an agent, which is given every ballot with its reason."""

    name: Literal["judge"] = "judge"
    agent: AgentName = "judge"
    deadline_seconds: Seconds | None = None
    default_deadline_seconds: ClassVar[float] = 120


class AskPerson(Contract):
    """A vote that nobody wins is decided by a person, who raises an event on the waiting orchestration."""

    name: Literal["person"] = "person"
    deadline_seconds: Seconds | None = None
    default_deadline_seconds: ClassVar[float] = 24 * 3600


TieRule = Annotated[
    Annotated[NoDecision | AskJudge | AskPerson, Field(discriminator="name")],
    BeforeValidator(_by_name),
]
"""What happens when no option wins: two are level, or the first is short of what the rule demands."""


def _called(voter: Any) -> str:
    """A voter's name: it is one, or a node that has one or goes by its agent's or pattern's."""
    if isinstance(voter, str):
        return voter
    return str(voter.name or getattr(voter, "agent", None) or getattr(voter, "pattern", None))


def _check_words(words: Iterable[str]) -> None:
    taken = {ABSTAIN}
    for word in words:
        form = plain(word)
        if not form:
            raise ValueError(f"{word!r} has nothing but punctuation")
        if form in taken:
            raise ValueError(f"{word!r} cannot be told from another word of the vocabulary, or from {ABSTAIN!r}")
        taken.add(form)
