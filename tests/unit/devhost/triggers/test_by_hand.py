from typing import Any

from azure.functions.servicebus import ServiceBusMessageInConverter
from azure.functions.timer import TimerRequestConverter

from devhost.clock import ManualClock
from devhost.triggers.by_hand import manual_triggers
from tests.support.fake_invoke import trigger_function


def value(kind: str, text: str, **properties: Any) -> tuple[Any, Any]:
    return manual_triggers(ManualClock())[kind](trigger_function("f", kind, **properties), text)


def test_a_timer_fired_by_hand_is_not_past_due() -> None:
    datum, metadata = value("timerTrigger", "", schedule="0 */5 * * * *")
    assert not TimerRequestConverter.decode(datum, trigger_metadata=metadata).past_due


def test_a_message_given_by_hand_decodes_like_one_from_a_queue() -> None:
    datum, metadata = value("serviceBusTrigger", "hello", queueName="q")
    message: Any = ServiceBusMessageInConverter.decode(datum, trigger_metadata=metadata)
    assert message.get_body() == b"hello"
    assert message.delivery_count == 1
    assert message.message_id


def test_a_batch_function_gets_a_batch_of_one() -> None:
    datum, metadata = value("serviceBusTrigger", "hello", queueName="q", cardinality="MANY", dataType="BINARY")
    messages: Any = ServiceBusMessageInConverter.decode(datum, trigger_metadata=metadata)
    assert [message.get_body() for message in messages] == [b"hello"]
