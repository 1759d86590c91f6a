"""What an app keeps in a payload store of its own: which turns have to do with it, and which can be run without.

The SDK replaces any long text of a message by the store's token, and puts the texts back before it runs a turn. For
that it looks through the whole history at each turn; here what was looked at once is not looked at again. A turn
without a token is run as if there were no store. Any other is left to the function that the SDK's decorator made.
"""

import itertools
from collections.abc import Iterator
from functools import cache
from typing import Final

from azure.durable_functions.internal.payloads import get_transport_payload_store
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.payload import PayloadStore, externalize_payloads_async
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import StringValue

from devhost.taskhub.hub import Turn

# Their texts hold others inside of them, which the SDK puts back as well.
_ENVELOPES: Final = frozenset({"eventSent", "entityOperationCalled"})
_TEXT: Final = StringValue.DESCRIPTOR.full_name


class StoredPayloads:
    """Knows of each execution how much of its past was found to be without tokens."""

    def __init__(self) -> None:
        self._plain: dict[tuple[str, str], int] = {}

    def concern(self, turn: Turn) -> bool:
        """Whether the app has a payload store, and something of the turn's history may be in it."""
        store = get_transport_payload_store()
        if store is None:
            return False
        key = (turn.instance_id, turn.execution_id)
        unseen = itertools.islice(turn.past_events, self._plain.get(key, 0), None)
        if any(_may_be_stored(event, store) for event in itertools.chain(unseen, turn.new_events)):
            return True
        self._plain[key] = len(turn.past_events)
        return False

    async def keep(self, response: pb.OrchestratorResponse) -> None:
        """Replace the long texts of a response by tokens. Raises what the app's store raises."""
        store = get_transport_payload_store()
        if store is not None and response.ByteSize() > store.options.threshold_bytes:
            await externalize_payloads_async(response, store, instance_id=response.instanceId)

    def forget(self, instance_id: str, execution_id: str) -> None:
        """Drop what is known of an execution."""
        self._plain.pop((instance_id, execution_id), None)


def _may_be_stored(event: pb.HistoryEvent, store: PayloadStore) -> bool:
    kind = event.WhichOneof("eventType")
    if kind in _ENVELOPES:
        return True
    # A replay never reads what an activity was given, and the SDK leaves it where it is.
    return kind != "taskScheduled" and any(store.is_known_token(text) for text in texts_of(event))


def texts_of(message: Message) -> Iterator[str]:
    """Every text in a message that the SDK may have replaced by a token: its `StringValue` fields at any depth."""
    for field, value in message.ListFields():
        kind = field.message_type
        if kind is None or not _holds_text(kind):
            continue
        if kind.GetOptions().map_entry:
            parts = [each for each in value.values() if isinstance(each, Message)]
        else:
            parts = value if field.is_repeated else [value]
        for part in parts:
            if isinstance(part, StringValue):
                yield part.value
            else:
                yield from texts_of(part)


@cache
def _holds_text(kind: Descriptor) -> bool:
    seen, waiting = set[str](), [kind]
    while waiting:
        looked_at = waiting.pop()
        if looked_at.full_name == _TEXT:
            return True
        if looked_at.full_name not in seen:
            seen.add(looked_at.full_name)
            waiting += [field.message_type for field in looked_at.fields if field.message_type is not None]
    return False
