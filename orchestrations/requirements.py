"""Whose answers a request requires before it is content."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from shared.contracts import Contract


class AtLeast(Contract):
    """So many have to answer; everyone is waited for until the deadline."""

    at_least: int = Field(ge=1)


class First(Contract):
    """The first so many answers win; the others are called off."""

    first: int = Field(ge=1)


def _or_say(forms: str) -> WrapValidator:
    """A validator that answers what fits none of several forms with all of them, and not with each one's complaint."""

    def checked(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise ValueError(f"give {forms}, with a number from 1") from None

    return WrapValidator(checked)


type Requirement = Annotated[
    Literal["all", "any"] | AtLeast | First, _or_say('"all", "any", {"at_least": 2} or {"first": 2}')
]
"""Whose answers are required. `any` is the first one."""

type AllOrSome = Annotated[Literal["all"] | AtLeast, _or_say('"all" or {"at_least": 2}')]
"""How many parts or reactions are required, where nothing can be called off."""


def required(require: Requirement, asked: int) -> int:
    """How many of those asked have to answer."""
    match require:
        case "all":
            return asked
        case "any":
            return 1
        case AtLeast():
            return require.at_least
        case First():
            return require.first


def is_race(require: Requirement) -> bool:
    """Whether the required answers are all that is wanted, so that the others are called off."""
    return require == "any" or isinstance(require, First)
