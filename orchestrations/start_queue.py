"""Starting runs by message: a request of any pattern on the queue `workflow-starts`.

Returning completes the message. A message that is no request is never run: raising gives it back, and the broker
moves it to the dead-letter queue once its deliveries are used up. What may pass (a store or a task hub that does not
answer) is tried again by a scheduled copy, because a message that is given back returns at once.
"""

import json
import logging
import uuid
from collections.abc import Mapping
from datetime import timedelta

import azure.durable_functions as df
import azure.functions as func
from pydantic import ConfigDict, TypeAdapter, ValidationError

from orchestrations.durable import DurableOrchestrations
from orchestrations.nodes import PatternRequest
from orchestrations.registry import PATTERNS
from orchestrations.requests import AnyRequest
from orchestrations.starter import Orchestrations, start_run
from shared import names
from shared.cards import AgentCard
from shared.errors import InvalidMessage, InvalidRequest, RetryableError
from shared.messaging.bus import OutgoingMessage, carried_traceparent
from shared.messaging.dead import counted_if_dead
from shared.resources import Resources

_AGAIN_AFTER = timedelta(seconds=15)
# Built by the first message: a cold start for anything else does not pay for the schemas of every pattern.
_REQUEST: TypeAdapter[AnyRequest] = TypeAdapter(AnyRequest, config=ConfigDict(defer_build=True))

log = logging.getLogger("muster.runs")


def start_queue_functions(agents: Mapping[str, AgentCard], resources: Resources) -> df.Blueprint:
    """A blueprint with the function that the start queue triggers."""
    blueprint = df.Blueprint()

    @blueprint.function_name("start_from_queue")
    @blueprint.service_bus_queue_trigger(
        arg_name="message", queue_name=names.START_QUEUE, connection=names.SERVICE_BUS_CONNECTION
    )
    @blueprint.durable_client_input(client_name="client")
    async def start_from_queue(message: func.ServiceBusMessage, client: df.DurableFunctionsClient) -> None:
        sent_as = message.message_id or f"sequence-{message.sequence_number}"
        hub = DurableOrchestrations(client)
        with counted_if_dead(resources.telemetry, names.START_QUEUE, message.delivery_count):
            await start_from_message(
                message.get_body(),
                sent_as,
                agents=agents,
                orchestrations=hub,
                resources=resources,
                traceparent=carried_traceparent(message.application_properties),
            )

    return blueprint


async def start_from_message(
    body: bytes,
    message_id: str,
    *,
    agents: Mapping[str, AgentCard],
    orchestrations: Orchestrations,
    resources: Resources,
    traceparent: str | None = None,
) -> None:
    """Start the run that a message asks for; its own `idempotency_key`, or else its id, makes a repeat no second run.

    Raises `InvalidMessage`, which names the field, for what can never be run, and `Conflict`.
    """
    request = parse_request(body)
    await start_requested(
        request,
        request.idempotency_key or message_id,
        sent_to=names.START_QUEUE,
        agents=agents,
        orchestrations=orchestrations,
        resources=resources,
        traceparent=traceparent,
    )


async def start_requested(
    request: PatternRequest,
    key: str,
    *,
    sent_to: str,
    agents: Mapping[str, AgentCard],
    orchestrations: Orchestrations,
    resources: Resources,
    traceparent: str | None = None,
) -> None:
    """Start the run that a message to `sent_to` asks for, once for each `key`; what may pass is tried again later.

    Raises `InvalidMessage`, which names the field, and `Conflict`.
    """
    try:
        await start_run(
            request.model_copy(update={"idempotency_key": None}),
            agents=agents,
            orchestrations=orchestrations,
            resources=resources,
            idempotency_key=key,
            traceparent=traceparent,
        )
    except InvalidRequest as error:
        raise InvalidMessage(f"a message to {sent_to} cannot be run: {error}") from None
    except RetryableError as error:
        log.warning("the run of message %s is not started yet: %s; coming back to it", key, error)
        await _schedule_again(request, key, resources, traceparent or resources.telemetry.traceparent)


def parse_request(body: bytes) -> PatternRequest:
    """The request in a message. Raises `InvalidMessage`, which names the field."""
    try:
        return _REQUEST.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        what = first["msg"] if first["type"] != "union_tag_invalid" else f"pattern must be one of {', '.join(PATTERNS)}"
        raise InvalidMessage(f"a message to {names.START_QUEUE} is no request: {where}: {what}") from None


async def _schedule_again(request: PatternRequest, key: str, resources: Resources, traceparent: str | None) -> None:
    now = resources.clock.now()
    again = request.model_copy(update={"idempotency_key": key})
    copy = OutgoingMessage(
        body=json.dumps(again.model_dump(mode="json")).encode(),
        message_id=names.copy_message_id(key, uuid.uuid4().hex),
        enqueue_at=now + _AGAIN_AFTER,
        traceparent=traceparent,
    )
    await resources.bus.send(names.START_QUEUE, [copy])
