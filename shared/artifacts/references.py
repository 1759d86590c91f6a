"""A value that is kept as an artifact, as the JSON that stands for it: an object with the one key `$artifact`."""

from collections.abc import Mapping

from pydantic import JsonValue, ValidationError

from shared.contracts import ARTIFACT_KEY, ArtifactRef
from shared.errors import InvalidMessage

REFERENCE = ARTIFACT_KEY


def refer(kept: ArtifactRef) -> JsonValue:
    """The JSON that stands for an artifact."""
    return {REFERENCE: kept.model_dump(mode="json")}


def referred(value: JsonValue) -> ArtifactRef | None:
    """The artifact that `value` stands for; None when it stands for itself.

    Raises `InvalidMessage` for what only looks like a reference.
    """
    if not isinstance(value, Mapping) or REFERENCE not in value:
        return None
    try:
        if len(value) != 1:
            raise InvalidMessage(f"an object with {REFERENCE} may have no other key")
        return ArtifactRef.model_validate(value[REFERENCE])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InvalidMessage(f"{REFERENCE} is no reference: {first['msg']}") from None
