"""A run's event as a message on the topic. Large data travels by reference, so that every copy of it fits."""

from shared import names
from shared.artifacts.store import ArtifactStore
from shared.events import EVENT_CONTENT, Event, reaction_input
from shared.messaging.bus import OutgoingMessage
from shared.messaging.tasks import JSON_CONTENT, MAX_INLINE_BYTES


async def event_message(event: Event, artifacts: ArtifactStore, *, traceparent: str | None = None) -> OutgoingMessage:
    """The message that carries `event` to the subscriptions of the agents that react to its type.

    Above `MAX_INLINE_BYTES` what they are given is stored as an artifact first. Raises `StoreUnavailable`.
    """
    body = _json(event)
    if len(body) > MAX_INLINE_BYTES:
        kept = await artifacts.put(reaction_input(event).model_dump_json().encode(), JSON_CONTENT, run=event.rootid)
        body = _json(event.model_copy(update={"data": None, "inputref": kept.address, "inputsize": kept.size}))
    return OutgoingMessage(
        body=body,
        message_id=names.event_message_id(event.rootid, event.id),
        correlation_id=event.rootid,
        label=event.type,
        to=names.EVENTS_TO_AGENTS,
        content_type=EVENT_CONTENT,
        traceparent=traceparent,
    )


def _json(event: Event) -> bytes:
    return event.model_dump_json(exclude_none=True).encode()
