"""The archiver agent: makes no model call; it keeps what has come in as an artifact and says where it lies."""

import json

from pydantic import JsonValue

from agents.context import AgentContext
from agents.spec import AgentSpec
from shared.cards import EventSubscription
from shared.contracts import AgentInput
from shared.events import DATA_RECEIVED

JSON_CONTENT = "application/json"


async def archive(context: AgentContext, given: AgentInput) -> JsonValue:
    """Keep the request, which for a reaction holds the whole event, as canonical JSON.

    Returns `{address, location, bytes}`. The same content always has the same address, so archiving twice is archiving
    once. Raises `StoreUnavailable`.
    """
    text = json.dumps(given.request, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    kept = await context.keep(text, JSON_CONTENT)
    return {"address": kept.address, "location": kept.location, "bytes": kept.size}


ARCHIVER = AgentSpec(
    name="archiver",
    description="Keeps an event, or whatever else it is given, as an artifact and returns its address.",
    handler=archive,
    uses_model=False,
    subscribes=(EventSubscription(type=DATA_RECEIVED),),
)
