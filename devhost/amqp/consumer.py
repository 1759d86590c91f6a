"""A client receives: what its credit asks for is fetched from the broker, and what it decides is done there.

Nothing is fetched beyond the credit, nor while the client does not read. A detached link leaves its unsettled messages
locked until their locks end, as the service does.
"""

import asyncio
import logging
from dataclasses import dataclass
from uuid import UUID

from devhost.amqp.conditions import EXPECTED, description_of, terms_of
from devhost.amqp.connection import AmqpConnection
from devhost.amqp.engine_outgoing import Outcome, OutcomeKind, OutgoingLink
from devhost.amqp.messages import encode_delivery
from devhost.amqp.settlement import apply_outcome
from devhost.broker.broker import Broker
from devhost.broker.model import Delivery, ReceiveMode, SessionLock

_log = logging.getLogger("devhost.amqp")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a consumer's messages come from."""

    entity: str
    mode: ReceiveMode
    session: SessionLock | None = None


class ConsumerLink:
    """Serves one attached receiver of a client."""

    def __init__(self, broker: Broker, connection: AmqpConnection, link: OutgoingLink, source: Source) -> None:
        self._broker = broker
        self._connection = connection
        self._link = link
        self._source = source
        self._tokens: dict[int, UUID] = {}
        self._fetching: asyncio.Task[None] | None = None
        self._asked = 0
        # Until some have been seen, messages may be as large as they are allowed to be.
        self._largest = connection.limits.max_message_bytes

    def start(self) -> None:
        """Serve the link, which has been opened."""
        self._link.handler = self
        self.on_credit()

    def on_credit(self) -> None:
        """Fetch as much as the client now wants, or stop."""
        credit = self._link.credit
        if credit == 0 or self._link.draining:
            self._stop_fetching()
        elif self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch())
        elif credit < self._asked:
            # What is being waited for must not be more than the client still wants.
            self._fetching.cancel()
            self._fetching = asyncio.create_task(self._fetch(after=self._fetching))

    def on_outcome(self, key: int, outcome: Outcome, *, settled: bool) -> None:
        """Do what the client decided about a message."""
        token = self._tokens.pop(key, None)
        if token is not None:
            self._connection.spawn(self._settle(key, token, outcome, answer=not settled))

    def on_detached(self) -> None:
        """Stop fetching; what the client holds stays locked."""
        self._tokens.clear()
        if self._fetching is not None:
            self._fetching.cancel()
            self._fetching = None

    def _stop_fetching(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            self._fetching.add_done_callback(lambda _task: self._drain())
            self._fetching = None
        else:
            self._drain()

    def _drain(self) -> None:
        if self._link.draining:
            self._link.drained()

    async def _fetch(self, after: asyncio.Task[None] | None = None) -> None:
        if after is not None:
            await asyncio.wait((after,))
        try:
            while self._link.credit > 0 and not self._link.draining:
                if not await self._fetch_what_is_there():
                    await self._fetch_next()
        except Exception as error:
            if not isinstance(error, EXPECTED):
                _log.exception("receiving from %s failed", self._source.entity)
            self._link.refuse(terms_of(error).condition, description_of(error))
        finally:
            if self._fetching is asyncio.current_task():
                self._fetching = None

    async def _fetch_what_is_there(self) -> bool:
        """Send what is available now; False when that is nothing."""
        limits, source = self._connection.limits, self._source
        async with self._connection.turn():
            window = max(1, min(limits.fetch_messages, limits.max_output_bytes // self._largest))
            self._asked = min(self._link.credit, window)
            if self._asked <= 0:
                return True
            deliveries = await self._broker.receive_now(
                source.entity, max_messages=self._asked, mode=source.mode, session=source.session
            )
            self._send(deliveries)
        return bool(deliveries)

    async def _fetch_next(self) -> None:
        """Wait for one message; not for more, as all links of the connection may get theirs at once."""
        source, self._asked = self._source, 1
        self._send(await self._broker.receive(source.entity, max_messages=1, mode=source.mode, session=source.session))

    def _send(self, deliveries: list[Delivery]) -> None:
        if not deliveries:
            return
        largest = 1
        for delivery in deliveries:
            payload = encode_delivery(delivery)
            largest = max(largest, len(payload))
            token = delivery.lock_token
            tag = token.bytes_le if token is not None else delivery.sequence_number.to_bytes(8)
            key = self._link.send(tag, payload, settled=token is None)
            if key is not None and token is not None:
                self._tokens[key] = token
        # Forgotten slowly: small messages do not tell that the next ones are.
        self._largest = max(largest, self._largest // 2)

    async def _settle(self, key: int, token: UUID, outcome: Outcome, *, answer: bool) -> None:
        try:
            await apply_outcome(self._broker, self._source.entity, token, outcome, self._source.session)
        except Exception as error:
            if not isinstance(error, EXPECTED):
                _log.exception("settling a message of %s failed", self._source.entity)
            else:
                _log.info("a message of %s was not settled: %.300s", self._source.entity, error)
            if answer:
                self._link.settle_rejected(key, terms_of(error).condition, description_of(error))
                return
        self._link.settle(key, outcome.kind if answer else OutcomeKind.ACCEPTED)
