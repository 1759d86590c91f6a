"""How the offline model misbehaves on purpose: rules that a person sets, each for some requests and so many times.

Nothing here is on until somebody asks for it. A request follows the first rule that fits it and is not used up; a rule
that says nothing but whom it fits only counts. Requests are told apart by their text, so that no app has to be known.
"""

from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_RULES = 100
LONGEST_DELAY_SECONDS = 3600.0

type Wrong = Literal["empty", "prose", "wrong_enum", "huge", "content_filter", "no_json", "half", "hang_up"]


class _Door(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FaultRule(_Door):
    """For whom: requests with `system` in their instructions and `user` in their last question; nothing fits all.

    What: after `delay` seconds, `status` as an error (with `retry_after` seconds, if given), or an `answer` that is
    wrong in a named way. `times` is how many requests follow the rule; None is every one.
    """

    system: str | None = Field(default=None, min_length=1, max_length=1000)
    user: str | None = Field(default=None, min_length=1, max_length=1000)
    delay: float = Field(default=0.0, ge=0, le=LONGEST_DELAY_SECONDS)
    status: int | None = Field(default=None, ge=400, le=599)
    retry_after: float | None = Field(default=None, ge=0, le=86_400)
    answer: Wrong | None = None
    times: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.status is not None and self.answer is not None:
            raise ValueError("answer: give a status or an answer, and not both")
        if self.retry_after is not None and self.status is None:
            raise ValueError("retry_after: it goes with a status")
        return self

    def fits(self, system: str, user: str) -> bool:
        """Whether a request with these texts is meant."""
        return (self.system or "") in system and (self.user or "") in user

    @property
    def only_counts(self) -> bool:
        """Whether a request that follows the rule is answered as ever."""
        return not self.delay and self.status is None and self.answer is None

    def __str__(self) -> str:
        parts = [f"{self.delay:g} s late"] if self.delay else []
        parts += [f"HTTP {self.status}"] if self.status is not None else []
        parts += [f"Retry-After {self.retry_after:g}"] if self.retry_after is not None else []
        parts += [f"answer {self.answer}"] if self.answer is not None else []
        return ", ".join(parts) or "only counted"


class FaultRules(_Door):
    """The body of `PUT /v1/faults`: they take the place of those there were."""

    rules: tuple[FaultRule, ...] = Field(max_length=MAX_RULES)


@dataclass(slots=True)
class _Counted:
    rule: FaultRule
    used: int = 0


class Faults:
    """The rules in force, and how often each was followed."""

    def __init__(self) -> None:
        self._rules: list[_Counted] = []

    def set(self, rules: FaultRules) -> None:
        """Put `rules` in force, each unused."""
        self._rules = [_Counted(rule) for rule in rules.rules]

    def clear(self) -> None:
        """Put none in force."""
        self._rules = []

    def next(self, system: str, user: str) -> FaultRule | None:
        """The rule that a request with these texts follows; it is counted."""
        for each in self._rules:
            if each.rule.fits(system, user) and (each.rule.times is None or each.used < each.rule.times):
                each.used += 1
                return each.rule
        return None

    def shown(self) -> dict[str, Any]:
        """The rules as JSON, each with how often it was `used`."""
        rules = [{**each.rule.model_dump(exclude_defaults=True), "used": each.used} for each in self._rules]
        return {"rules": rules}
