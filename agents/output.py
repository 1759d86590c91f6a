"""What an agent may return: JSON, and not more of it than an event may carry."""

from pydantic import JsonValue, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from shared.contracts import JsonData
from shared.errors import AgentOutputInvalid

MAX_OUTPUT_BYTES = 256 * 1024
"""An event carries 1 MB, and a step's input carries the outputs of those before it."""

_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonData)


def checked_output(agent: str, output: object) -> JsonValue:
    """`output`, once it is shown that it can be stored and sent. Raises `AgentOutputInvalid`."""
    try:
        valid = _JSON.validate_python(output)
        size = len(_JSON.dump_json(valid))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise AgentOutputInvalid(f"{agent} returned what is no JSON: {first['msg']}") from None
    except PydanticSerializationError as error:
        raise AgentOutputInvalid(f"{agent} returned text that cannot be encoded: {error}") from None
    if size > MAX_OUTPUT_BYTES:
        limit = f"{MAX_OUTPUT_BYTES // 1024} KB"
        raise AgentOutputInvalid(f"{agent} returned {size} bytes, over {limit}: keep large results as artifacts")
    return valid
