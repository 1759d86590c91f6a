"""The Service Bus functions of the agents that react to events, one for each agent's subscription to the topic.

Wiring: event -> its task -> the same consumer as the agent's queue: claim, run, record, answer. The events that an
agent publishes travel in its answer to the run's orchestrator, which alone puts events of the run on the topic.
"""

import logging

import azure.durable_functions as df
import azure.functions as func

from agents.catalog import Catalog
from agents.delivery import Delivery, QueueConsumer
from agents.queues import delivery_of
from shared import names
from shared.cards import AgentCard
from shared.errors import InvalidMessage
from shared.events import Event, parse_event, reaction_task
from shared.messaging.dead import counted_if_dead
from shared.telemetry.off import OFF
from shared.telemetry.telemetry import Telemetry

log = logging.getLogger("muster.agents")


class EventConsumer:
    """Handles the deliveries of agents' subscriptions, as reactions that `consumer` runs."""

    def __init__(self, consumer: QueueConsumer) -> None:
        self._consumer = consumer

    async def consume(self, agent: AgentCard, body: bytes, delivery: Delivery) -> None:
        """Handle one delivery to `agent`'s subscription; returning completes it. Who is not asked to react does not.

        Raises `InvalidMessage` for a body that is no event of a run, or one that the agent does not react to, and
        what `QueueConsumer.consume_task` raises.
        """
        event = parse_event(Event, body)
        if not event.asks(agent.name):
            log.info("%s is not asked to react to event %s of run %s", agent.name, event.id, event.rootid)
            return
        if event.type not in [subscription.type for subscription in agent.subscribes]:
            raise InvalidMessage(f"{agent.name} does not react to {event.type}")
        await self._consumer.consume_task(reaction_task(event, agent.name), delivery)


def subscription_functions(catalog: Catalog, consumer: EventConsumer, telemetry: Telemetry = OFF) -> df.Blueprint:
    """A blueprint with one Service Bus function for each agent that subscribes to events.

    `telemetry` is told of dead letters.
    """
    blueprint = df.Blueprint()
    for card in catalog.cards.values():
        if card.subscribes:
            _add(blueprint, card, consumer, telemetry)
    return blueprint


def _add(blueprint: df.Blueprint, agent: AgentCard, consumer: EventConsumer, telemetry: Telemetry) -> None:
    subscription = f"{names.EVENTS_TOPIC}/{agent.name}"

    @blueprint.function_name(names.agent_events_function(agent.name))
    @blueprint.service_bus_topic_trigger(
        arg_name="message",
        topic_name=names.EVENTS_TOPIC,
        subscription_name=agent.name,
        connection=names.SERVICE_BUS_CONNECTION,
    )
    @blueprint.durable_client_input(client_name="client")
    async def run_from_event(
        message: func.ServiceBusMessage, client: df.DurableFunctionsClient, context: func.Context
    ) -> None:
        with counted_if_dead(telemetry, subscription, message.delivery_count, agent=agent.name):
            await consumer.consume(agent, message.get_body(), delivery_of(message, context, client))
