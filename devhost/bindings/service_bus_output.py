"""The `serviceBus` output binding: what a function puts there is sent once the function has returned.

A message carries a text or bytes, because that is all the worker's converter lets through, and the trace of the call
that made it; the content type is the one the Functions Service Bus extension gives. A message that cannot be sent fails
the call, as in Azure.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from azure_functions_runtime.bindings.datumdef import Datum

from devhost.errors import StartError
from devhost.telemetry.spans import Attributes, Kind, NoSpans, Spans
from devhost.triggers.service_bus_connection import Connection, Identity, resolve_connection
from devhost.triggers.service_bus_datum import TRACE_PROPERTIES
from devhost.triggers.setting_names import expand
from devhost.worker.model import Binding, FunctionMetadata

TYPE: Final = "serviceBus"
_CONTENT_TYPES: Final = {str: "text/plain", bytes: "application/octet-stream"}


class Sender(Protocol):
    """Sends to one queue or topic."""

    async def send(self, body: str | bytes, content_type: str, trace_parent: str) -> None:
        """Send one message, with `trace_parent` unless that is empty; returns once it is accepted."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...


@dataclass(frozen=True, slots=True)
class Destination:
    """Where one output binding sends to."""

    connection: Connection
    queue: str | None
    topic: str | None


type Connect = Callable[[Destination], Sender]


class ServiceBusOutputs:
    """The `serviceBus` outputs of all functions; one sender for each destination, opened with its first message."""

    def __init__(
        self,
        functions: Sequence[FunctionMetadata],
        settings: Mapping[str, str],
        connect: Connect | None = None,
        spans: Spans | None = None,
    ) -> None:
        """Read every binding; raises `StartError` naming the function and what is missing."""
        self._connect = connect or AzureSender
        self._spans = spans or NoSpans()
        self._destinations = {
            (function.function_id, binding.name): _destination(function, binding, settings)
            for function in functions
            for binding in function.bindings
            if binding.is_output and binding.type == TYPE
        }
        self._senders: dict[Destination, Sender] = {}

    async def write(self, function: FunctionMetadata, values: Mapping[str, Datum], trace_parent: str = "") -> None:
        """Send those of `values` (by binding name) that belong to `function`'s outputs; an empty one is not sent.

        `trace_parent` is the call's. Raises whatever the sender raises.
        """
        for name, value in values.items():
            destination = self._destinations.get((function.function_id, name))
            if destination is None or value.value is None:
                continue
            sender = self._senders.setdefault(destination, self._connect(destination))
            body = value.value if isinstance(value.value, str | bytes) else str(value.value)
            await self._send(sender, destination, body, trace_parent)

    async def _send(self, sender: Sender, destination: Destination, body: str | bytes, trace_parent: str) -> None:
        span = self._spans.begin(
            "ServiceBusSender.Send", Kind.PRODUCER, parent=trace_parent, attributes=_attributes(destination)
        )
        error: str | None = "not sent"
        try:
            await sender.send(body, _CONTENT_TYPES[type(body)], span.traceparent)
            error = None
        finally:
            span.end(error=error)

    async def close(self) -> None:
        """Close every sender."""
        for sender in self._senders.values():
            await sender.close()


class AzureSender:
    """A sender over the stock client. Messages go one after another, which the client requires."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._turn = asyncio.Lock()
        self._credential: Any = None
        self._client: Any = None
        self._sender: Any = None

    async def send(self, body: str | bytes, content_type: str, trace_parent: str) -> None:
        """Send one message, over the client's own retries."""
        from azure.servicebus import ServiceBusMessage

        async with self._turn:
            if self._sender is None:
                self._open()
            message = ServiceBusMessage(body, content_type=content_type)
            if trace_parent:
                message.application_properties = dict.fromkeys(TRACE_PROPERTIES, trace_parent)
            await self._sender.send_messages(message)

    async def close(self) -> None:
        """Close sender, client and credential."""
        for part in (self._sender, self._client, self._credential):
            if part is not None:
                await part.close()

    def _open(self) -> None:
        from azure.servicebus.aio import ServiceBusClient

        connection = self._destination.connection
        if isinstance(connection, Identity):
            from azure.identity.aio import DefaultAzureCredential

            self._credential = DefaultAzureCredential(managed_identity_client_id=connection.client_id)
            self._client = ServiceBusClient(connection.fully_qualified_namespace, self._credential)
        else:
            self._client = ServiceBusClient.from_connection_string(connection.text)
        queue, topic = self._destination.queue, self._destination.topic
        self._sender = (
            self._client.get_queue_sender(queue) if queue is not None else self._client.get_topic_sender(topic)
        )


def _attributes(destination: Destination) -> Attributes:
    return {
        "az.namespace": "Microsoft.ServiceBus",
        "messaging.system": "servicebus",
        "messaging.operation": "publish",
        "messaging.destination.name": destination.queue or destination.topic or "",
    }


def _destination(function: FunctionMetadata, binding: Binding, settings: Mapping[str, str]) -> Destination:
    where = f"function '{function.name}', output '{binding.name}'"

    def text(key: str) -> str | None:
        value = binding.properties.get(key)
        return expand(str(value), settings, f"{where}: {key}").strip() or None if value else None

    queue, topic = text("queueName"), text("topicName")
    if (queue is None) == (topic is None):
        raise StartError(f"{where} must name either a queue or a topic")
    return Destination(resolve_connection(text("connection") or "", settings, where), queue, topic)
