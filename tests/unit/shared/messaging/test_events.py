"""A run's event as a message: what subscriptions choose it by, and what becomes of data that is too large."""

import json

from shared.contracts import AgentInput, ArtifactRef
from shared.events import Event, parse_event, reaction_task
from shared.messaging.events import event_message
from shared.messaging.tasks import MAX_INLINE_BYTES
from tests.support.app_world import World
from tests.support.documents import an_event


async def test_the_message_is_addressed_to_the_agents_that_react_to_its_type(world: World) -> None:
    message = await event_message(an_event(), world.resources.artifacts)
    assert (message.label, message.to, message.correlation_id) == ("DataReceived", "agents", "run-1")
    assert message.message_id == "run-1:e1"
    assert message.content_type == "application/cloudevents+json"
    assert parse_event(Event, message.body) == an_event()


async def test_the_longest_ids_make_a_legal_message(world: World) -> None:
    event = an_event(id="e" * 64, rootid="r" * 100, replyto="r" * 100)
    message = await event_message(event, world.resources.artifacts)
    again = await event_message(event, world.resources.artifacts)
    other = await event_message(event.model_copy(update={"id": "f" * 64}), world.resources.artifacts)
    assert message.message_id == again.message_id != other.message_id


async def test_the_body_is_a_cloud_event_by_the_book(world: World) -> None:
    message = await event_message(an_event(), world.resources.artifacts)
    document = json.loads(message.body)
    assert {"specversion", "id", "source", "type", "data"} <= set(document)
    assert document["specversion"] == "1.0"
    assert None not in document.values()
    assert all(name.isalnum() and name.islower() and len(name) <= 20 for name in document)


async def test_large_data_travels_by_reference_and_comes_back_as_the_same_input(world: World) -> None:
    event = an_event(data="x" * MAX_INLINE_BYTES)
    message = await event_message(event, world.resources.artifacts)
    assert len(message.body) < 2000
    received = reaction_task(parse_event(Event, message.body), "analyst")
    assert isinstance(received.input, ArtifactRef)
    content = await world.resources.artifacts.get(received.input.address)
    assert len(content) == received.input.size
    assert AgentInput.model_validate_json(content) == reaction_task(event, "analyst").input
