"""What an agent may return: JSON, inline while it is short, and by reference above that.

Outputs travel in events, in the inputs of later steps and in the state store, all of which have limits that a long
article would break. By reference they are an object with the one key `$artifact`; the next agent is given the content.
"""

from collections.abc import Mapping

from pydantic import JsonValue, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, from_json

from shared.artifacts.references import REFERENCE, refer, referred
from shared.artifacts.store import MAX_ARTIFACT_BYTES, ArtifactStore
from shared.contracts import EarlierOutput, GivenData
from shared.errors import AgentOutputInvalid

INLINE_BYTES = 32 * 1024
"""Four of these still fit into the message to the next agent, which carries what the earlier ones made."""

TEXT, JSON = "text/plain; charset=utf-8", "application/json"

_JSON: TypeAdapter[JsonValue] = TypeAdapter(GivenData)


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
    if size > MAX_ARTIFACT_BYTES:
        raise AgentOutputInvalid(f"{agent} returned {size} bytes; {MAX_ARTIFACT_BYTES} are the most that is kept")
    if isinstance(valid, Mapping) and REFERENCE in valid:
        raise AgentOutputInvalid(f"{agent} returned an object with the key {REFERENCE}, which stands for references")
    return valid


async def by_reference(output: JsonValue, artifacts: ArtifactStore, run: str) -> JsonValue:
    """`output` itself while it is short, else a reference to it, kept as an artifact of the run.

    Raises `StoreUnavailable`.
    """
    encoded = _JSON.dump_json(output)
    if len(encoded) <= INLINE_BYTES:
        return output
    if isinstance(output, str):
        kept = await artifacts.put(output.encode(), TEXT, run=run)
    else:
        kept = await artifacts.put(encoded, JSON, run=run)
    return refer(kept)


async def with_content(earlier: EarlierOutput, artifacts: ArtifactStore) -> EarlierOutput:
    """What an earlier step made, with its content in place of a reference.

    Raises `InvalidMessage` for what only looks like a reference, and what `ArtifactStore.get` raises.
    """
    reference = referred(earlier.output)
    if reference is None:
        return earlier
    content = await artifacts.get(reference.address)
    output: JsonValue = from_json(content) if reference.content_type == JSON else content.decode()
    return earlier.model_copy(update={"output": output})
