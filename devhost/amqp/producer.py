"""A client sends: each transfer becomes one `Broker.send`, acknowledged when that returned, and not before.

Transfers are taken as they come and stored concurrently, in order, so that all that are outstanding share the broker's
group commit.
"""

import logging

from devhost.amqp.conditions import EXPECTED, MESSAGE_SIZE_EXCEEDED, AmqpError, description_of, terms_of
from devhost.amqp.connection import AmqpConnection
from devhost.amqp.engine_incoming import IncomingLink
from devhost.amqp.engine_links import Pointer
from devhost.amqp.messages import BATCH_FORMAT, parse, parse_batch
from devhost.broker.broker import Broker
from devhost.broker.model import Message

_log = logging.getLogger("devhost.amqp")


class ProducerLink:
    """Serves one attached sender of a client."""

    def __init__(self, broker: Broker, connection: AmqpConnection, link: IncomingLink, entity: str) -> None:
        self._broker = broker
        self._connection = connection
        self._link = link
        self._entity = entity
        self._owed = 0

    def start(self) -> None:
        """Answer the attach and let the client send."""
        limit = min(self._connection.limits.max_message_bytes, self._broker.max_message_size(self._entity))
        self._link.handler = self
        self._link.open({"com.microsoft:max-message-batch-size": limit}, max_message_size=limit)
        self._link.add_credit(self._connection.limits.link_credit)

    def on_payload(self, delivery: Pointer, payload: bytes | None, size: int, message_format: int) -> None:
        """Store what arrived."""
        self._connection.admit(size)
        self._connection.spawn(self._store(delivery, payload, size, message_format))

    def on_detached(self) -> None:
        """Nothing to let go of: what is being stored is stored all the same."""

    async def _store(self, delivery: Pointer, payload: bytes | None, size: int, message_format: int) -> None:
        try:
            await self._broker.send(self._entity, self._messages(payload, size, message_format))
            self._link.accept(delivery)
        except Exception as error:
            if not isinstance(error, EXPECTED):
                _log.exception("a message for %s could not be stored", self._entity)
            else:
                _log.info("a message of %s for %s refused: %.300s", self._connection.peer, self._entity, error)
            self._link.reject(delivery, terms_of(error).condition, description_of(error))
        finally:
            self._connection.release(size)
            self._replenish()

    def _messages(self, payload: bytes | None, size: int, message_format: int) -> list[Message]:
        if payload is None:
            limit = self._connection.limits.max_message_bytes
            raise AmqpError(
                MESSAGE_SIZE_EXCEEDED,
                f"the message ({size} bytes) is larger than is allowed on the link to {self._entity!r} ({limit} bytes)",
            )
        return parse_batch(payload) if message_format == BATCH_FORMAT else [parse(payload)]

    def _replenish(self) -> None:
        # In lumps: a flow frame for each message would double the traffic.
        self._owed += 1
        if self._owed >= self._connection.limits.link_credit // 2:
            self._link.add_credit(self._owed)
            self._owed = 0
