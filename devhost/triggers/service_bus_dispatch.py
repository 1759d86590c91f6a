"""From received messages to a settled outcome: invoke the function, then complete on success and abandon on failure.

A message whose lock was lost while the function ran is not settled: someone else may hold it by now. Nothing here
raises; what cannot be settled comes back by itself when its lock ends.

A message's span continues the trace that its sender put into it; a batch has messages of many traces, so its span
begins one of its own and links to theirs. Their names are those of the Azure SDK and of the Functions extension.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from azure_functions_runtime.bindings.datumdef import Datum

from devhost.clock import Clock
from devhost.telemetry.spans import Attributes, Kind, NoSpans, OpenSpan, Spans
from devhost.triggers import service_bus_datum as datums
from devhost.triggers.service_bus_binding import ServiceBusBinding
from devhost.triggers.service_bus_lock import LockKeeper, kept
from devhost.triggers.service_bus_options import ServiceBusOptions
from devhost.triggers.service_bus_receiver import LockLost, ReceivedMessage, Receiver, ReceiverError
from devhost.worker.model import FunctionMetadata, Invoke

_log = logging.getLogger(__name__)

_SETTLE_PAUSES: Final = (timedelta(seconds=0.2), timedelta(seconds=1), timedelta(seconds=3))
_SETTLED_AT_ONCE: Final = 64


class Dispatcher:
    """Runs one function for what its binding receives."""

    def __init__(
        self,
        function: FunctionMetadata,
        binding: ServiceBusBinding,
        options: ServiceBusOptions,
        invoke: Invoke,
        clock: Clock,
        spans: Spans | None = None,
    ) -> None:
        self._function = function
        self._binding = binding
        self._options = options
        self._invoke = invoke
        self._clock = clock
        self._spans = spans or NoSpans()
        self._warned_of_bytes = False

    async def single(self, receiver: Receiver, message: ReceivedMessage, session: LockKeeper | None = None) -> None:
        """Run the function for one message and settle it. `session` keeps the lock in place of one of its own."""
        what = f"message {message.sequence_number} of {self._binding.entity}"
        if message.session_id and receiver.session_id:
            what = f"{what}, session {message.session_id}"
        own = None if session else self._keeper(what, receiver, message)
        self._check_text(message)
        async with kept(own):
            succeeded = await self._call(
                datums.body_datum(message, as_bytes=self._binding.as_bytes),
                datums.metadata(message),
                self._span(message, in_session=session is not None),
                f"{what}, delivery {message.delivery_count}",
            )
        keeper = session or own
        if keeper is not None and keeper.lost:
            _log.warning(
                "%s: its lock was lost while %s ran, so it is left to be redelivered", what, self._function.name
            )
            return
        await self._settle(receiver, message, succeeded=succeeded)

    async def batch(self, receiver: Receiver, messages: Sequence[ReceivedMessage]) -> None:
        """Run the function once for all of `messages` and settle each of them alike. Their locks are not renewed."""
        for message in messages:
            self._check_text(message)
        succeeded = await self._call(
            datums.bodies_datum(messages, as_bytes=self._binding.as_bytes),
            datums.batch_metadata(messages),
            self._span_of_batch(messages),
            f"{len(messages)} messages of {self._binding.entity}",
        )
        gate = asyncio.Semaphore(_SETTLED_AT_ONCE)

        async def settle(message: ReceivedMessage) -> None:
            async with gate:
                await self._settle(receiver, message, succeeded=succeeded)

        await asyncio.gather(*map(settle, messages))

    async def give_back(self, receiver: Receiver, messages: Sequence[ReceivedMessage]) -> None:
        """Abandon messages the function was never called for."""
        for message in messages:
            await self._try("abandon", receiver, receiver.abandon, message)

    def _keeper(self, what: str, receiver: Receiver, message: ReceivedMessage) -> LockKeeper | None:
        longest = self._options.max_auto_lock_renewal_duration
        if message.locked_until is None or not longest:
            return None
        until = None if self._options.renews_without_end else self._clock.now() + longest
        return LockKeeper(what, lambda: receiver.renew(message), message.locked_until, until, self._clock)

    async def _call(self, value: Datum, metadata: Mapping[str, Datum], span: OpenSpan, reason: str) -> bool:
        try:
            result = await self._invoke(
                self._function, value, metadata=metadata, trace_parent=span.traceparent, reason=reason
            )
        except Exception as failed:
            _log.exception("%s: the host failed to run %s", reason, self._function.name)
            span.end(error=type(failed).__name__)
            return False
        span.end(error=None if result.error is None else result.error.type)
        return result.succeeded

    def _span(self, message: ReceivedMessage, *, in_session: bool) -> OpenSpan:
        name = (
            "ServiceBusSessionProcessor.ProcessSessionMessage" if in_session else "ServiceBusProcessor.ProcessMessage"
        )
        attributes = {
            **self._attributes(),
            "messaging.message.id": message.message_id or "",
            "messaging.servicebus.message.delivery_count": message.delivery_count,
        }
        return self._spans.begin(name, Kind.CONSUMER, parent=datums.trace_parent(message), attributes=attributes)

    def _span_of_batch(self, messages: Sequence[ReceivedMessage]) -> OpenSpan:
        links = [parent for each in messages if (parent := datums.trace_parent(each))]
        attributes = {**self._attributes(), "messaging.batch.message_count": len(messages)}
        return self._spans.begin(
            "ServiceBusListener.ProcessMessages", Kind.CONSUMER, links=links, attributes=attributes
        )

    def _attributes(self) -> Attributes:
        return {
            "az.namespace": "Microsoft.ServiceBus",
            "messaging.system": "servicebus",
            "messaging.operation": "process",
            "messaging.destination.name": str(self._binding.entity),
            "faas.name": self._function.name,
            "faas.trigger": "pubsub",
        }

    async def _settle(self, receiver: Receiver, message: ReceivedMessage, *, succeeded: bool) -> None:
        if not succeeded:
            await self._try("abandon", receiver, receiver.abandon, message)
        elif self._binding.auto_complete:
            await self._try("complete", receiver, receiver.complete, message)

    async def _try(
        self,
        verb: str,
        receiver: Receiver,
        settle: Callable[[ReceivedMessage], Awaitable[None]],
        message: ReceivedMessage,
    ) -> None:
        what = f"message {message.sequence_number} of {self._binding.entity}"
        for pause in (*_SETTLE_PAUSES, None):
            try:
                await settle(message)
            except LockLost as lost:
                _log.warning("%s: its lock was lost before the host could %s it: %s", what, verb, lost)
            except ReceiverError as failed:
                if pause is not None:
                    await self._clock.sleep_until(self._clock.now() + pause)
                    await self._reconnect(receiver)
                    continue
                _log.error("%s: could not %s it, so it is redelivered when its lock ends: %s", what, verb, failed)
            return

    @staticmethod
    async def _reconnect(receiver: Receiver) -> None:
        try:
            await receiver.open()
        except ReceiverError as failed:
            _log.debug("reconnecting to settle failed: %s", failed)

    def _check_text(self, message: ReceivedMessage) -> None:
        if self._binding.as_bytes or self._warned_of_bytes or datums.is_text(message):
            return
        self._warned_of_bytes = True
        _log.warning(
            "function '%s': message %d of %s is not UTF-8 text, so it arrives damaged, as in Azure; to receive bytes,"
            " declare data_type=func.DataType.BINARY",
            self._function.name,
            message.sequence_number,
            self._binding.entity,
        )
