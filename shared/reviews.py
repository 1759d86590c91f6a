"""What a checker answers about a draft: the contract between a review loop and its checker."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from shared.contracts import Contract

Remark = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class Review(Contract):
    """A review. One that is not satisfied names at least one problem: there has to be something to mend."""

    satisfied: bool
    problems: Annotated[tuple[Remark, ...], Field(max_length=20)] = ()
    summary: Annotated[str, StringConstraints(max_length=2000)] = ""

    @model_validator(mode="after")
    def _names_what_to_mend(self) -> Self:
        if not self.satisfied and not self.problems:
            raise ValueError("problems: a review that is not satisfied must name one")
        return self
