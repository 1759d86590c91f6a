"""Receivers over the stock `azure.servicebus.aio` client: the only module of the triggers that knows it.

The client's own retries are off: the triggers retry, on the host's clock, and report what they see.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any, Final

from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver
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
from devhost.triggers.service_bus_decoding import received_message
from devhost.triggers.service_bus_receiver import EntityUnavailable, LockLost, ReceivedMessage, Receiver, ReceiverError

_OPEN_SECONDS: Final = 30.0
_RENEW_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 5.0
_GRACE_SECONDS: Final = 0.02
#: True where the client works for a trigger, and in what it starts there. The app's own clients log as ever.
_REPORTED: Final = ContextVar("reported_by_the_trigger", default=False)
# What the client says of a token that it did not renew in time, as when the machine slept: the next one will do.
_EXPIRED: Final = "CBS Authentication Expired"
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
        _quieten_client()
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
        self._yielding: asyncio.Task[list[ReceivedMessage]] | None = None

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
            receiving = asyncio.create_task(self._take(max_messages, wait))
            self._yielding = receiving if max_messages == 1 else None
            try:
                await asyncio.wait((receiving,))
            finally:
                self._yielding = None
                receiving.cancel()
            return () if receiving.cancelled() else receiving.result()

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

    async def _take(self, max_messages: int, wait: timedelta) -> list[ReceivedMessage]:
        with _translated():
            taken = await self._receiver.receive_messages(max_messages, max_wait_time=wait.total_seconds())
            return [received_message(message) for message in taken]

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


class _ReportedElsewhere(logging.Filter):
    """Drops what the client logs of troubles that the triggers report themselves; `--verbose` shows it."""

    def filter(self, _record: logging.LogRecord) -> bool:
        """Whether the record is to be logged."""
        return not _REPORTED.get() or logging.getLogger().isEnabledFor(logging.DEBUG)


_FILTER: Final = _ReportedElsewhere()


def _quieten_client() -> None:
    """Filter the client's loggers, each by itself: a filter on their common parent sees nothing of theirs."""
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.startswith("azure.servicebus") and isinstance(logger, logging.Logger):
            logger.addFilter(_FILTER)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    token = _REPORTED.set(True)
    try:
        yield
    except _LOST as lost:
        raise LockLost(_line(lost)) from lost
    except _UNAVAILABLE as unavailable:
        kind = ReceiverError if _EXPIRED in str(unavailable) else EntityUnavailable
        raise kind(_line(unavailable)) from unavailable
    except Exception as failed:
        # Beyond its own errors the client raises whatever its state happens to be when a connection dies under it.
        raise ReceiverError(_line(failed)) from failed
    finally:
        _REPORTED.reset(token)


def _line(error: Exception) -> str:
    """The first line without the condition and description that the client appends, which say the same again."""
    text = str(error).strip().partition("\n")[0].partition(" Error condition:")[0]
    return text or type(error).__name__


async def _close(closable: Any) -> None:
    with contextlib.suppress(ReceiverError), _translated():
        async with asyncio.timeout(_CLOSE_SECONDS):
            await closable.close()
