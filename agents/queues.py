"""The Service Bus functions of the agents, one for each agent's queue, made from the catalog."""

import logging
from datetime import UTC, datetime

import azure.durable_functions as df
import azure.functions as func
import grpc

from agents.catalog import Catalog
from agents.delivery import Delivery, QueueConsumer, Reply
from agents.host_limits import check_host_limits
from agents.last_words import tell_who_waits
from agents.poison import is_last
from shared import names
from shared.contracts import AgentResult, ReplyTo
from shared.errors import InvalidMessage, TaskHubUnavailable
from shared.messaging.bus import carried_traceparent
from shared.messaging.dead import counted_if_dead
from shared.telemetry.off import OFF
from shared.telemetry.telemetry import Telemetry

log = logging.getLogger("muster.agents")

_NOBODY_WAITS = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION})


def queue_functions(catalog: Catalog, consumer: QueueConsumer, telemetry: Telemetry = OFF) -> df.Blueprint:
    """A blueprint with one Service Bus function for each agent that has a queue; `telemetry` is told of dead letters.

    Raises `ConfigurationError` when `host.json` gives an agent less time than it may take.
    """
    check_host_limits(catalog)
    blueprint = df.Blueprint()
    for card in catalog.cards.values():
        if card.queue is not None:
            _add(blueprint, card.name, card.queue, consumer, telemetry)
    return blueprint


def _add(blueprint: df.Blueprint, agent: str, queue: str, consumer: QueueConsumer, telemetry: Telemetry) -> None:
    @blueprint.function_name(names.agent_function(agent))
    @blueprint.service_bus_queue_trigger(arg_name="message", queue_name=queue, connection=names.SERVICE_BUS_CONNECTION)
    @blueprint.durable_client_input(client_name="client")
    async def run_from_queue(
        message: func.ServiceBusMessage, client: df.DurableFunctionsClient, context: func.Context
    ) -> None:
        body, delivery = message.get_body(), delivery_of(message, context, client)
        with counted_if_dead(telemetry, queue, message.delivery_count, agent=agent):
            try:
                await consumer.consume(agent, body, delivery)
            except InvalidMessage:
                await tell_who_waits(agent, body, delivery.reply)
                raise


def delivery_of(message: func.ServiceBusMessage, context: func.Context, client: df.DurableFunctionsClient) -> Delivery:
    """The delivery that a trigger was called for; its owner is the invocation."""
    return Delivery(
        owner=context.invocation_id,
        reply=reply_through(client),
        enqueued_at=aware(message.enqueued_time_utc),
        traceparent=carried_traceparent(message.application_properties),
        is_last=is_last(message.delivery_count),
    )


def reply_through(client: df.DurableFunctionsClient) -> Reply:
    """A `Reply` that raises the awaited event on the orchestration.

    An orchestration that is gone, or over, waits for nobody, so there is nothing left to do. Any other failure is
    raised as `TaskHubUnavailable`, and the message's next delivery answers from the step's record.
    """

    async def reply(to: ReplyTo, result: AgentResult) -> None:
        try:
            await client.raise_orchestration_event(to.instance_id, to.event, data=result.model_dump(mode="json"))
        except grpc.aio.AioRpcError as error:
            if error.code() not in _NOBODY_WAITS:
                raise TaskHubUnavailable(f"the task hub did not take an answer: {error.details()}") from error
            log.warning("the orchestration %s that asked is gone or over", to.instance_id)

    return reply


def aware(instant: datetime | None) -> datetime | None:
    """The binding drops the offset of some of the service's instants; they are all UTC."""
    return instant.replace(tzinfo=UTC) if instant is not None and instant.tzinfo is None else instant
