from typing import Any

import pytest

from devhost.errors import StartError
from devhost.triggers.service_bus_binding import Entity, ServiceBusBinding, read_binding
from tests.support.fake_invoke import trigger_function

SETTINGS = {
    "Bus": "Endpoint=sb://localhost;SharedAccessKeyName=R;SharedAccessKey=k;UseDevelopmentEmulator=true",
    "Narrow": "Endpoint=sb://localhost;SharedAccessKeyName=R;SharedAccessKey=k;EntityPath=orders",
    "QUEUE": "from-setting",
}


def binding(**properties: Any) -> ServiceBusBinding:
    function = trigger_function("f", "serviceBusTrigger", **({"connection": "Bus"} | properties))
    return read_binding(function, SETTINGS, auto_complete_default=True)


@pytest.mark.parametrize(
    ("properties", "entity", "text"),
    [
        ({"queueName": "q"}, Entity("q"), "q"),
        ({"queueName": "q/$DeadLetterQueue"}, Entity("q", None, dead_letter=True), "q/$deadletterqueue"),
        ({"queueName": "a/b/c"}, Entity("a/b/c"), "a/b/c"),
        ({"queueName": "%QUEUE%-x"}, Entity("from-setting-x"), "from-setting-x"),
        ({"topicName": "t", "subscriptionName": "s"}, Entity("t", "s"), "t/s"),
        (
            {"topicName": "t", "subscriptionName": "s/$deadletterqueue"},
            Entity("t", "s", dead_letter=True),
            "t/s/$deadletterqueue",
        ),
    ],
)
def test_the_entity_is_a_queue_or_subscription_or_the_dead_letter_queue_of_one(
    properties: dict[str, str], entity: Entity, text: str
) -> None:
    assert binding(**properties).entity == entity
    assert str(entity) == text


def test_the_manner_of_delivery_is_read_as_the_sdk_emits_it() -> None:
    plain = binding(queueName="q")
    assert (plain.sessions, plain.many, plain.auto_complete, plain.as_bytes) == (False, False, True, False)
    full = binding(
        queueName="q", isSessionsEnabled=True, cardinality="MANY", autoCompleteMessages=False, dataType="BINARY"
    )
    assert (full.sessions, full.many, full.auto_complete, full.as_bytes) == (True, True, False, True)


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        ({}, "either a queue or a topic"),
        ({"queueName": "q", "topicName": "t"}, "either a queue or a topic"),
        ({"topicName": "t"}, "topic t needs a subscriptionName"),
        ({"queueName": "%NO_SUCH%"}, "no setting NO_SUCH"),
        ({"queueName": 7}, "queueName must be a text"),
        ({"queueName": "q", "connection": "Absent"}, "no setting Absent"),
        ({"queueName": "q", "connection": "Narrow"}, "EntityPath"),
        ({"queueName": "q", "cardinality": "several"}, "cardinality must be one of one, many"),
        ({"queueName": "q", "dataType": "jpeg"}, "dataType must be one of"),
        ({"queueName": "q", "isSessionsEnabled": "often"}, "isSessionsEnabled must be true or false"),
        ({"queueName": "q/$deadletterqueue", "isSessionsEnabled": True}, "a dead-letter queue has no sessions"),
    ],
)
def test_an_impossible_binding_is_refused_naming_the_function_and_the_property(
    properties: dict[str, Any], named: str
) -> None:
    with pytest.raises(StartError, match=r"function 'f'") as refused:
        binding(**properties)
    assert named in str(refused.value)


def test_a_connection_string_for_one_entity_serves_that_entity() -> None:
    assert binding(queueName="orders", connection="Narrow").entity == Entity("orders")
