"""What a link that a client attaches is for: its address decides who serves it, or why it is refused.

One of these serves one connection, and holds what its links share: the sessions it has locked and the links that
responses go out on.
"""

import logging

from devhost.amqp.addresses import Node, NodeKind, parse_address
from devhost.amqp.conditions import (
    EXPECTED,
    INTERNAL_ERROR,
    NOT_ALLOWED,
    NOT_IMPLEMENTED,
    AmqpError,
    description_of,
    terms_of,
)
from devhost.amqp.connection import AmqpConnection
from devhost.amqp.consumer import ConsumerLink, Source
from devhost.amqp.engine_incoming import IncomingLink
from devhost.amqp.engine_links import EngineLink
from devhost.amqp.engine_outgoing import OutgoingLink
from devhost.amqp.producer import ProducerLink
from devhost.amqp.requests import RequestLink, ResponseLink, ResponseRoutes
from devhost.amqp.sessions import SESSION_FILTER, HeldSessions, SessionConsumer
from devhost.broker.broker import Broker
from devhost.broker.errors import EntityNotFound
from devhost.broker.model import ReceiveMode
from devhost.clock import Clock

_log = logging.getLogger("devhost.amqp")


class ClientLinks:
    """Serves the links of one connection."""

    def __init__(self, broker: Broker, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock
        self._held = HeldSessions()
        self._routes = ResponseRoutes()

    def attach_incoming(self, connection: AmqpConnection, link: IncomingLink) -> None:
        """The client wants to send to an entity, or make requests."""
        try:
            node = self._sendable(link)
            if node.kind is NodeKind.ENTITY:
                ProducerLink(self._broker, connection, link, node.entity).start()
            else:
                RequestLink(self._broker, connection, link, node, self._held, self._routes).start()
        except Exception as error:
            self._refuse(connection, link, error)

    def attach_outgoing(self, connection: AmqpConnection, link: OutgoingLink) -> None:
        """The client wants to receive from an entity, or responses."""
        try:
            node = self._node(link.address)
            if node.kind is NodeKind.ENTITY:
                self._receive(connection, link, node.entity)
            else:
                ResponseLink(link, node, self._routes).start()
        except Exception as error:
            self._refuse(connection, link, error)

    def _node(self, address: str | None) -> Node:
        node = parse_address(address)
        if node is None:
            raise EntityNotFound(f"the address {address!r} names none")
        if node.entity:
            self._broker.require(node.entity)
        return node

    def _sendable(self, link: IncomingLink) -> Node:
        if link.wants_transactions:
            raise AmqpError(NOT_IMPLEMENTED, "transactions are not supported")
        node = self._node(link.address)
        filled_by_broker = "/subscriptions/" in node.entity or node.entity.endswith("/$deadletterqueue")
        if node.kind is NodeKind.ENTITY and filled_by_broker:
            raise AmqpError(NOT_ALLOWED, f"nothing can be sent to {node.entity!r}: it is filled by the broker")
        return node

    def _receive(self, connection: AmqpConnection, link: OutgoingLink, entity: str) -> None:
        if self._broker.is_topic(entity):
            raise AmqpError(NOT_ALLOWED, f"{entity!r} is a topic: receive from one of its subscriptions")
        wants_session = SESSION_FILTER in link.filters
        if wants_session != self._broker.requires_session(entity):
            kind = "does not require sessions" if wants_session else "requires sessions"
            raise AmqpError(NOT_ALLOWED, f"{entity!r} {kind}: attach {'without' if wants_session else 'with'} one")
        if wants_session:
            SessionConsumer(self._broker, self._clock, self._held, connection, link).start(entity)
            return
        mode = ReceiveMode.RECEIVE_AND_DELETE if link.presettled else ReceiveMode.PEEK_LOCK
        link.open()
        ConsumerLink(self._broker, connection, link, Source(entity, mode)).start()

    def _refuse(self, connection: AmqpConnection, link: EngineLink, error: Exception) -> None:
        if isinstance(error, EXPECTED):
            _log.info("link %.100r of %s refused: %.300s", link.name, connection.peer, error)
            link.refuse(terms_of(error).condition, description_of(error))
        else:
            _log.error("link %.100r of %s failed", link.name, connection.peer, exc_info=error)
            link.refuse(INTERNAL_ERROR, "the link could not be served")
