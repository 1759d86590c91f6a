"""Values for triggers that a person fires by hand, as `POST /admin/functions/{name}` of the real host allows."""

import uuid
from collections.abc import Callable, Mapping

from azure_functions_runtime.bindings.datumdef import Datum

from devhost.clock import Clock
from devhost.triggers import service_bus_binding, timer
from devhost.triggers import service_bus_datum as datums
from devhost.triggers.service_bus_receiver import ReceivedMessage
from devhost.worker.model import FunctionMetadata

type Value = tuple[Datum, Mapping[str, Datum]]
type ManualTrigger = Callable[[FunctionMetadata, str], Value]


def manual_triggers(clock: Clock) -> Mapping[str, ManualTrigger]:
    """For each trigger type that can be fired by hand: from the function and the text given to value and metadata.

    A timer takes no text; for Service Bus the text is the body of a message that is in no queue.
    """

    def fire_timer(_function: FunctionMetadata, _text: str) -> Value:
        return timer.timer_datum(is_cron=True, status=None, past_due=False), {}

    def message(function: FunctionMetadata, text: str) -> Value:
        received = ReceivedMessage(
            body=text.encode(),
            lock_token=str(uuid.UUID(int=0)),
            sequence_number=0,
            delivery_count=1,
            enqueued_time=clock.now(),
            message_id=str(uuid.uuid4()),
        )
        properties = function.trigger.properties
        as_bytes = str(properties.get("dataType", "")).lower() == "binary"
        if str(properties.get("cardinality", "")).lower() == "many":
            return datums.bodies_datum([received], as_bytes=as_bytes), datums.batch_metadata([received])
        return datums.body_datum(received, as_bytes=as_bytes), datums.metadata(received)

    return {timer.TRIGGER: fire_timer, service_bus_binding.TRIGGER: message}
