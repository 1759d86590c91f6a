"""The message bus on Azure Service Bus, through `azure.servicebus.aio`.

Messages are sent with the client and not with an output binding, because a binding carries only text: no message
id, no schedule, no properties. The client is imported on first use to keep it out of a cold start.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from shared import names
from shared.credentials import entra_credential
from shared.errors import BusUnavailable, ConfigurationError, MessageTooLarge, MusterError, NotFound
from shared.messaging.bus import DeadLetter, HandleDead, OutgoingMessage, carried_traceparent
from shared.messaging.charges import BusCharges

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusMessage, ServiceBusMessageBatch, ServiceBusReceivedMessage
    from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender

# As Azure's own clients do, so that whatever receives the message finds the one it knows.
_TRACE = (names.TRACEPARENT, names.DIAGNOSTIC_ID)
_OF_THE_BROKER = ("DeadLetterReason", "DeadLetterErrorDescription")
_DEAD_BATCH = 100
# So many are searched for the ones that are asked for: each is locked meanwhile.
_DEAD_SEARCHED = 2000
# How long an empty queue is waited for, in seconds, before it is taken to be empty.
_DEAD_WAIT = 2.0


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
    kind: Literal["queue", "topic", "subscription"]
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class ServiceBus:
    """One sender for each queue or topic of one namespace, each on its own connection, opened on first use and kept.

    `charges` counts what was handed over.
    """

    def __init__(self, namespace: Namespace) -> None:
        self.charges = BusCharges()
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

    async def peek_dead(self, entity: str, *, after: int = 0, limit: int = 100) -> Sequence[DeadLetter]:
        """Browse a dead-letter queue; see `MessageBus.peek_dead`."""
        async with self._dead_letters(entity) as receiver:
            found = await receiver.peek_messages(limit, sequence_number=after + 1)
            return [_dead_letter(entity, each) for each in found]

    async def take_dead(self, entity: str, numbers: Collection[int], handle: HandleDead) -> frozenset[int]:
        """Receive up to the last number, and give back what was not asked for; see `MessageBus.take_dead`.

        Service Bus locks messages only in the order in which they lie, so that those before one are locked with it.
        """
        wanted = set(numbers)
        async with self._dead_letters(entity) as receiver:
            locked: list[ServiceBusReceivedMessage] = []
            try:
                while wanted and len(locked) < _DEAD_SEARCHED and (batch := await _next_dead(receiver)):
                    locked += batch
                    await _handle_wanted(receiver, entity, batch, wanted, locked, handle)
            finally:
                for message in locked:
                    # A lock that ran out has given its message back already.
                    with suppress(Exception):
                        await receiver.abandon_message(message)
        return frozenset(wanted)

    @asynccontextmanager
    async def _dead_letters(self, entity: str) -> AsyncIterator[ServiceBusReceiver]:
        """A receiver of an entity's dead letters, on a connection for this once: they are seldom looked at."""
        from azure.core.exceptions import AzureError
        from azure.servicebus import ServiceBusSubQueue

        sub_queue = ServiceBusSubQueue.DEAD_LETTER
        topic, _, subscription = entity.partition("/")
        async with _connect(self._namespace) as client:
            if subscription:
                opened = client.get_subscription_receiver(topic, subscription, sub_queue=sub_queue)
            else:
                opened = client.get_queue_receiver(entity, sub_queue=sub_queue)
            try:
                async with opened as receiver:
                    yield receiver
            except (AzureError, OSError, ValueError) as error:
                kind: Literal["queue", "subscription"] = "subscription" if subscription else "queue"
                raise _translated(error, _Entity(kind, entity)) from error

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
                await self._hand_over(sender, entity, batch)
                batch = await sender.create_message_batch()
                batch.add_message(message)
        await self._hand_over(sender, entity, batch)

    async def _hand_over(self, sender: ServiceBusSender, entity: _Entity, batch: ServiceBusMessageBatch) -> None:
        messages, size = len(batch), batch.size_in_bytes
        await sender.send_messages(batch)
        self.charges.add(entity.name, messages, size)

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

    properties: dict[Any, Any] = {**message.properties}
    if message.traceparent:
        properties |= dict.fromkeys(_TRACE, message.traceparent)
    return ServiceBusMessage(
        message.body,
        message_id=message.message_id,
        correlation_id=message.correlation_id,
        content_type=message.content_type,
        subject=message.label,
        to=message.to,
        scheduled_enqueue_time_utc=message.enqueue_at,
        application_properties=properties or None,
    )


async def _next_dead(receiver: ServiceBusReceiver) -> list[ServiceBusReceivedMessage]:
    return await receiver.receive_messages(_DEAD_BATCH, max_wait_time=_DEAD_WAIT)


async def _handle_wanted(
    receiver: ServiceBusReceiver,
    entity: str,
    batch: Sequence[ServiceBusReceivedMessage],
    wanted: set[int],
    locked: list[ServiceBusReceivedMessage],
    handle: HandleDead,
) -> None:
    """Hand over what is wanted of a batch; what is dealt with is no longer in `locked`, nor its number in `wanted`."""
    for message in batch:
        number = message.sequence_number or 0
        if number not in wanted:
            continue
        wanted.discard(number)
        if await handle(_dead_letter(entity, message)):
            await receiver.complete_message(message)
            locked.remove(message)


def _dead_letter(entity: str, message: ServiceBusReceivedMessage) -> DeadLetter:
    """A received message in the app's words. What is no text among its properties is shown as text."""
    properties = {_text(name): _text(value) for name, value in (message.application_properties or {}).items()}
    enqueued_at: datetime | None = message.enqueued_time_utc
    if enqueued_at is not None and enqueued_at.tzinfo is None:
        enqueued_at = enqueued_at.replace(tzinfo=UTC)
    return DeadLetter(
        entity=entity,
        sequence_number=message.sequence_number or 0,
        body=_body(message),
        message_id=None if message.message_id is None else str(message.message_id),
        correlation_id=message.correlation_id,
        label=message.subject,
        to=message.to,
        content_type=message.content_type,
        traceparent=carried_traceparent(properties),
        properties={name: text for name, text in properties.items() if name not in (*_OF_THE_BROKER, *_TRACE)},
        reason=message.dead_letter_reason,
        description=message.dead_letter_error_description,
        enqueued_at=enqueued_at,
        deliveries=message.delivery_count or 0,
    )


def _body(message: ServiceBusReceivedMessage) -> bytes:
    """The body's bytes; a body that is no data, as other clients may send, is shown as text, to be looked at."""
    try:
        return b"".join(bytes(part) for part in message.body)
    except (TypeError, ValueError):
        return str(message.body).encode()


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


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
