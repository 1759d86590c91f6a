"""Whose answers a request requires before it is content."""

from typing import Literal

from pydantic import Field

from shared.contracts import Contract


class AtLeast(Contract):
    """So many have to answer; everyone is waited for until the deadline."""

    at_least: int = Field(ge=1)


class First(Contract):
    """The first so many answers win; the others are called off."""

    first: int = Field(ge=1)


type Requirement = Literal["all", "any"] | AtLeast | First
"""Whose answers are required. `any` is the first one."""
