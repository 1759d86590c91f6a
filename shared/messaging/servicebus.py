"""The message bus on Azure Service Bus, through `azure.servicebus.aio`.

Messages are sent with the client and not with an output binding, because a binding carries only text: no message
id, no schedule, no properties. The client is imported on first use to keep it out of a cold start.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from shared.credentials import entra_credential
from shared.errors import BusUnavailable, ConfigurationError, MessageTooLarge, MusterError, NotFound
from shared.messaging.bus import OutgoingMessage

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusMessage
    from azure.servicebus.aio import ServiceBusClient, ServiceBusSender


@dataclass(frozen=True, slots=True)
class Namespace:
    """How to reach a namespace: a connection string, or its host name with an Entra ID identity.

    `try_timeout` bounds one try at sending, `retries` the tries after the first; the client waits between them.
    """

    connection_string: str | None = field(default=None, repr=False)
    host_name: str | None = None
    client_id: str | None = None
    try_timeout: timedelta = timedelta(seconds=20)
    retries: int = 3


@dataclass(frozen=True, slots=True)
class _Entity:
    kind: Literal["queue", "topic"]
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class ServiceBus:
    """One sender for each queue or topic of one namespace, each on its own connection, opened on first use and kept."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._client: ServiceBusClient | None = None
        self._senders: dict[_Entity, ServiceBusSender] = {}
        # A sender's link carries one send at a time.
        self._turns: defaultdict[_Entity, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def send(self, queue: str, messages: Sequence[OutgoingMessage]) -> None:
        """Send in as few batches as the link's limit allows; see `MessageBus.send`."""
        await self._send_to(_Entity("queue", queue), messages)

    async def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> None:
        """Send in as few batches as the link's limit allows; see `MessageBus.publish`."""
        await self._send_to(_Entity("topic", topic), messages)

    async def close(self) -> None:
        """Close every sender and the connection."""
        for entity in list(self._senders):
            await self._drop(entity)
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _send_to(self, entity: _Entity, messages: Sequence[OutgoingMessage]) -> None:
        from azure.core.exceptions import AzureError

        natives = [_native(message) for message in messages]
        if not natives:
            return
        async with self._turns[entity]:
            try:
                await self._send_batches(entity, natives)
            except BaseException as error:
                # Whatever ended the send, a cancellation too, has left the link half-way through it.
                await self._drop(entity)
                if isinstance(error, (AzureError, OSError, ValueError)):
                    raise _translated(error, entity) from error
                raise

    async def _send_batches(self, entity: _Entity, messages: list[ServiceBusMessage]) -> None:
        from azure.servicebus.exceptions import MessageSizeExceededError

        sender = self._sender(entity)
        batch = await sender.create_message_batch()
        for message in messages:
            try:
                batch.add_message(message)
            except MessageSizeExceededError:
                if not len(batch):
                    raise
                await sender.send_messages(batch)
                batch = await sender.create_message_batch()
                batch.add_message(message)
        await sender.send_messages(batch)

    def _sender(self, entity: _Entity) -> ServiceBusSender:
        if entity not in self._senders:
            if self._client is None:
                self._client = _connect(self._namespace)
            open_sender = self._client.get_queue_sender if entity.kind == "queue" else self._client.get_topic_sender
            self._senders[entity] = open_sender(entity.name)
        return self._senders[entity]

    async def _drop(self, entity: _Entity) -> None:
        sender = self._senders.pop(entity, None)
        if sender is not None:
            # A link that is broken may say so once more when it is closed, which is no news.
            with suppress(Exception):
                await sender.close()


def _connect(namespace: Namespace) -> ServiceBusClient:
    from azure.servicebus.aio import ServiceBusClient

    tries, seconds = namespace.retries, namespace.try_timeout.total_seconds()

    if namespace.connection_string:
        try:
            return ServiceBusClient.from_connection_string(
                namespace.connection_string, retry_total=tries, try_timeout=seconds
            )
        except ValueError as error:
            raise ConfigurationError(f"ServiceBusConnection is no Service Bus connection string: {error}") from error
    if namespace.host_name:
        identity = entra_credential(namespace.client_id)
        return ServiceBusClient(namespace.host_name, identity, retry_total=tries, try_timeout=seconds)
    raise ConfigurationError("set ServiceBusConnection, or ServiceBusConnection__fullyQualifiedNamespace")


def _native(message: OutgoingMessage) -> ServiceBusMessage:
    from azure.servicebus import ServiceBusMessage

    return ServiceBusMessage(
        message.body,
        message_id=message.message_id,
        correlation_id=message.correlation_id,
        content_type=message.content_type,
        subject=message.label,
        to=message.to,
        scheduled_enqueue_time_utc=message.enqueue_at,
        application_properties={"Diagnostic-Id": message.traceparent} if message.traceparent else None,
    )


def _translated(error: Exception, entity: _Entity) -> MusterError:
    from azure.core.exceptions import ClientAuthenticationError
    from azure.servicebus.exceptions import (
        MessageSizeExceededError,
        MessagingEntityNotFoundError,
        ServiceBusAuthenticationError,
        ServiceBusAuthorizationError,
    )

    match error:
        case MessageSizeExceededError():
            return MessageTooLarge(f"a message to {entity} is over its limit")
        case MessagingEntityNotFoundError():
            return NotFound(f"there is no {entity}")
        case ServiceBusAuthenticationError() | ServiceBusAuthorizationError() | ClientAuthenticationError():
            return ConfigurationError(f"Service Bus refused this app's identity or key: {error}")
        case _:
            return BusUnavailable(f"Service Bus did not take a message to {entity}: {error}")
