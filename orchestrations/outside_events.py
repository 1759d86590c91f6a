"""Starting runs by event: what a producer puts on the topic with any Service Bus client begins an event-driven run.

Agents react only to what runs publish, so that every reaction belongs to a run that can be looked up, is limited and is
paid for once. This subscription gets everything else: each event in it becomes the first event of a run of its own.

Returning completes the message. What is no CloudEvent, or has a type that nobody subscribes to, is given back, and the
broker moves it to the subscription's dead-letter queue once its deliveries are used up.
"""

import hashlib
from collections.abc import Mapping

import azure.durable_functions as df
import azure.functions as func

from orchestrations.durable import DurableOrchestrations
from orchestrations.requests import EventDrivenRequest
from orchestrations.start_queue import start_requested
from orchestrations.starter import Orchestrations
from shared import names
from shared.cards import AgentCard
from shared.events import OutsideEvent, parse_event
from shared.messaging.bus import carried_traceparent
from shared.messaging.dead import counted_if_dead
from shared.resources import Resources

OUTSIDE = f"{names.EVENTS_TOPIC}/{names.OUTSIDE_EVENTS}"
"""The subscription that gets them."""


def outside_event_functions(agents: Mapping[str, AgentCard], resources: Resources) -> df.Blueprint:
    """A blueprint with the function that events from outside trigger."""
    blueprint = df.Blueprint()

    @blueprint.function_name("start_from_event")
    @blueprint.service_bus_topic_trigger(
        arg_name="message",
        topic_name=names.EVENTS_TOPIC,
        subscription_name=names.OUTSIDE_EVENTS,
        connection=names.SERVICE_BUS_CONNECTION,
    )
    @blueprint.durable_client_input(client_name="client")
    async def start_from_event(message: func.ServiceBusMessage, client: df.DurableFunctionsClient) -> None:
        hub = DurableOrchestrations(client)
        with counted_if_dead(resources.telemetry, OUTSIDE, message.delivery_count):
            await start_run_of_event(
                message.get_body(),
                agents=agents,
                orchestrations=hub,
                resources=resources,
                traceparent=carried_traceparent(message.application_properties),
            )

    return blueprint


async def start_run_of_event(
    body: bytes,
    *,
    agents: Mapping[str, AgentCard],
    orchestrations: Orchestrations,
    resources: Resources,
    traceparent: str | None = None,
) -> None:
    """Start the run whose first event the message is; the event's `source` and `id` make a repeat no second run.

    Raises `InvalidMessage`, which names the attribute, for what can never be one, and `Conflict` for another event
    under the same `source` and `id`.
    """
    event = parse_event(OutsideEvent, body)
    await start_requested(
        as_request(event),
        event_key(event),
        sent_to=OUTSIDE,
        agents=agents,
        orchestrations=orchestrations,
        resources=resources,
        traceparent=traceparent,
    )


def as_request(event: OutsideEvent) -> EventDrivenRequest:
    """The run that an event asks for. An event without data has an empty object as its data."""
    data = {} if event.data is None else event.data
    return EventDrivenRequest(event=event.type, subject=event.subject, source=event.source, request=data)


def event_key(event: OutsideEvent) -> str:
    """The idempotency key of an event: CloudEvents promise that `source` and `id` together are unique."""
    return "event-" + hashlib.sha256(f"{event.source}\n{event.id}".encode()).hexdigest()
