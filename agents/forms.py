"""Requests that are forms: what an agent is given when a pattern, and not a person, asks it."""

from pydantic import BaseModel, ValidationError

from shared.contracts import AgentInput
from shared.errors import InvalidRequest


def read_form[M: BaseModel](given: AgentInput, contract: type[M], problem: str) -> M:
    """The request as `contract`. Raises `InvalidRequest`, which names the field and says `problem`."""
    try:
        return contract.model_validate(given.request)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in ("input.request", *first["loc"]))
        raise InvalidRequest(f"{where}: {problem}: {first['msg']}", field=where) from None
