"""Receivers over the stock `azure.servicebus.aio` client: the only module of the triggers that knows it.

The client's own retries are off: the triggers retry, on the host's clock, and report what they see.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusReceivedMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver
from azure.servicebus.amqp import AmqpMessageBodyType
from azure.servicebus.exceptions import (
    MessageLockLostError,
    MessageNotFoundError,
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
    OperationTimeoutError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
    SessionCannotBeLockedError,
    SessionLockLostError,
)

from devhost.triggers.service_bus_binding import Entity
from devhost.triggers.service_bus_connection import Connection, Identity
from devhost.triggers.service_bus_receiver import EntityUnavailable, LockLost, ReceivedMessage, Receiver, ReceiverError

_OPEN_SECONDS: Final = 30.0
_RENEW_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 5.0
_GRACE_SECONDS: Final = 0.02
_VIA_PARTITION_KEY: Final = b"x-opt-via-partition-key"
_LOST: Final = (MessageLockLostError, SessionLockLostError, MessageNotFoundError)
_UNAVAILABLE: Final = (
    MessagingEntityNotFoundError,
    MessagingEntityDisabledError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
)


class AzureReceiverFactory:
    """Receivers for `entity` of the namespace behind `connection`."""

    def __init__(self, connection: Connection, entity: Entity, *, prefetch_count: int = 0) -> None:
        self._entity = entity
        self._prefetch_count = prefetch_count
        self._credential: Any = None
        self._client = self._connect(connection)

    def receiver(self) -> Receiver:
        """A receiver that is not connected yet."""
        return AzureReceiver(self._make({}))

    async def next_session(self, wait: timedelta) -> Receiver | None:
        """A receiver holding the next session; None when none came within `wait` (at most 25 seconds)."""
        seconds = min(wait.total_seconds(), _OPEN_SECONDS - 5)
        receiver = self._make({"session_id": NEXT_AVAILABLE_SESSION, "max_wait_time": seconds})
        opened = False
        try:
            with _translated():
                await receiver.__aenter__()
                opened = True
        except ReceiverError as refused:
            if isinstance(refused.__cause__, OperationTimeoutError | SessionCannotBeLockedError):
                return None
            raise
        finally:
            if not opened:
                await _close(receiver)
        return AzureReceiver(receiver)

    async def close(self) -> None:
        """Close the client and the credential."""
        await _close(self._client)
        if self._credential is not None:
            await _close(self._credential)

    def _connect(self, connection: Connection) -> ServiceBusClient:
        options: dict[str, Any] = {"retry_total": 0, "try_timeout": _OPEN_SECONDS}
        if not isinstance(connection, Identity):
            return ServiceBusClient.from_connection_string(connection.text, **options)
        from azure.identity.aio import DefaultAzureCredential

        self._credential = DefaultAzureCredential(managed_identity_client_id=connection.client_id)
        return ServiceBusClient(connection.fully_qualified_namespace, self._credential, **options)

    def _make(self, options: dict[str, Any]) -> ServiceBusReceiver:
        options["prefetch_count"] = self._prefetch_count
        if self._entity.dead_letter:
            options["sub_queue"] = ServiceBusSubQueue.DEAD_LETTER
        if self._entity.subscription is None:
            return self._client.get_queue_receiver(self._entity.name, **options)
        return self._client.get_subscription_receiver(self._entity.name, self._entity.subscription, **options)


class AzureReceiver:
    """One link, used by one coroutine at a time.

    The client reads its socket for a fifth of a second at a time and can neither write nor hand on what it reads
    meanwhile, so a settlement would wait for an idle receive, and a message for a settlement. Here a waiting receive of
    one message gives way, and starts again afterwards. A receive of several never does, because the client would drop
    those it has already taken; nothing else uses the link then.
    """

    def __init__(self, receiver: ServiceBusReceiver) -> None:
        self._receiver = receiver
        self._turn = asyncio.Lock()
        self._yielding: asyncio.Task[list[ServiceBusReceivedMessage]] | None = None

    @property
    def session_id(self) -> str | None:
        """The session this receiver holds, if any."""
        session = self._receiver.session
        return session.session_id if session else None

    @property
    def session_locked_until(self) -> datetime | None:
        """When the session's lock ends, if there is one."""
        session = self._receiver.session
        return session.locked_until_utc if session else None

    async def open(self) -> None:
        """Connect; does nothing while connected."""
        async with self._turn:
            with _translated():
                await self._receiver.__aenter__()

    async def receive(self, max_messages: int, wait: timedelta) -> Sequence[ReceivedMessage]:
        """Up to `max_messages`, waiting up to `wait` for the first; empty also when it gave way."""
        async with self._turn:
            receiving = asyncio.create_task(
                self._receiver.receive_messages(max_messages, max_wait_time=wait.total_seconds())
            )
            self._yielding = receiving if max_messages == 1 else None
            try:
                await asyncio.wait((receiving,))
            finally:
                self._yielding = None
                receiving.cancel()
            if receiving.cancelled():
                return ()
            with _translated():
                return [received_message(message) for message in receiving.result()]

    async def complete(self, message: ReceivedMessage) -> None:
        """Remove the message."""
        await self._soon(lambda: self._receiver.complete_message(message.handle))

    async def abandon(self, message: ReceivedMessage) -> None:
        """Give the message back."""
        await self._soon(lambda: self._receiver.abandon_message(message.handle))

    async def renew(self, message: ReceivedMessage) -> datetime:
        """Extend the message's lock."""
        return await self._soon(lambda: self._receiver.renew_message_lock(message.handle, timeout=_RENEW_SECONDS))

    async def renew_session(self) -> datetime:
        """Extend the session's lock."""
        return await self._soon(lambda: self._receiver.session.renew_lock(timeout=_RENEW_SECONDS))

    async def close(self) -> None:
        """Disconnect."""
        await _close(self._receiver)

    async def _soon[T](self, work: Callable[[], Awaitable[T]]) -> T:
        receiving = self._yielding
        if receiving is not None:
            # Where messages wait, a receive ends by itself in this time.
            await asyncio.wait((receiving,), timeout=_GRACE_SECONDS)
            if receiving is self._yielding:
                receiving.cancel()
        async with self._turn:
            # A receive that was cut off has asked for a message already. Should it arrive now, the client would release
            # it, and a namespace might count that as a delivery; in this state it keeps it for the next receive.
            receiving_still = getattr(self._receiver, "_receive_context", None)
            if receiving_still is not None:
                receiving_still.set()
            try:
                with _translated():
                    return await work()
            finally:
                if receiving_still is not None:
                    receiving_still.clear()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _LOST as lost:
        raise LockLost(_line(lost)) from lost
    except _UNAVAILABLE as unavailable:
        raise EntityUnavailable(_line(unavailable)) from unavailable
    except Exception as failed:
        # Beyond its own errors the client raises whatever its state happens to be when a connection dies under it.
        raise ReceiverError(_line(failed)) from failed


def _line(error: Exception) -> str:
    """The first line without the condition and description that the client appends, which say the same again."""
    text = str(error).strip().partition("\n")[0].partition(" Error condition:")[0]
    return text or type(error).__name__


async def _close(closable: Any) -> None:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await closable.close()


def received_message(message: ServiceBusReceivedMessage) -> ReceivedMessage:
    """The client's message as the triggers' own value."""
    return ReceivedMessage(
        body=_body(message),
        lock_token=str(message.lock_token or ""),
        sequence_number=message.sequence_number or 0,
        delivery_count=(message.delivery_count or 0) + 1,
        enqueued_time=message.enqueued_time_utc or datetime.min.replace(tzinfo=UTC),
        expires_at=_expires_at(message),
        locked_until=message.locked_until_utc,
        message_id=_text(message.message_id) or "",
        session_id=_text(message.session_id),
        correlation_id=_text(message.correlation_id),
        subject=_text(message.subject),
        content_type=_text(message.content_type),
        to=_text(message.to),
        reply_to=_text(message.reply_to),
        reply_to_session_id=_text(message.reply_to_session_id),
        partition_key=_text(message.partition_key),
        transaction_partition_key=_text((message.raw_amqp_message.annotations or {}).get(_VIA_PARTITION_KEY)),
        dead_letter_source=_text(message.dead_letter_source),
        application_properties=_properties(message.application_properties or {}),
        handle=message,
    )


def _body(message: ServiceBusReceivedMessage) -> bytes:
    body: Any = message.body
    if message.body_type == AmqpMessageBodyType.DATA:
        return b"".join(body)
    if message.body_type == AmqpMessageBodyType.SEQUENCE:
        return json.dumps(_plain(list(body)), default=str).encode()
    if body is None or isinstance(body, bytes):
        return body or b""
    return body.encode() if isinstance(body, str) else json.dumps(_plain(body), default=str).encode()


def _plain(value: Any) -> Any:
    """An AMQP value or sequence with its bytes, keys included, as texts."""
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return _text(value) if isinstance(value, bytes) else value


def _expires_at(message: ServiceBusReceivedMessage) -> datetime | None:
    try:
        return message.expires_at_utc
    except OverflowError:
        return None


def _properties(raw: Mapping[Any, Any]) -> dict[str, Any]:
    """Names and texts arrive as bytes, as binary values do: what is UTF-8 becomes text."""
    return {_text(key) or "": _value(value) for key, value in raw.items()}


def _value(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
