"""Requests and responses over a pair of links: `<entity>/$management` and `$cbs`.

A request's `operation` picks a handler from a table; its answer goes out on the link whose address the request gave as
`reply-to`. Requests of one link are served concurrently. Source: AMQP Management working draft and Service Bus's
"request-response-based operations".
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from devhost.amqp import sections
from devhost.amqp.addresses import Node, NodeKind
from devhost.amqp.conditions import (
    EXPECTED,
    MESSAGE_SIZE_EXCEEDED,
    NOT_IMPLEMENTED,
    AmqpError,
    description_of,
    terms_of,
)
from devhost.amqp.connection import AmqpConnection
from devhost.amqp.engine_incoming import IncomingLink
from devhost.amqp.engine_links import Pointer
from devhost.amqp.engine_outgoing import Outcome, OutcomeKind, OutgoingLink
from devhost.amqp.operations import ARGUMENT_ERROR, Operation, Reply, Request
from devhost.amqp.operations_messages import MESSAGE_OPERATIONS
from devhost.amqp.operations_rules import RULE_OPERATIONS
from devhost.amqp.operations_sessions import SESSION_OPERATIONS
from devhost.amqp.sessions import HeldSessions
from devhost.amqp.values import Symbol, Typed
from devhost.broker.broker import Broker

_log = logging.getLogger("devhost.amqp")

MANAGEMENT_OPERATIONS: Mapping[str, Operation] = {**MESSAGE_OPERATIONS, **SESSION_OPERATIONS, **RULE_OPERATIONS}
_SERVER_TIMEOUT = "com.microsoft:server-timeout"
_TRACKING_ID = "com.microsoft:tracking-id"


async def _put_token(_request: Request) -> Reply:
    """Any token will do: whoever reaches the listener is trusted."""
    return Reply()


CLAIMS_OPERATIONS: Mapping[str, Operation] = {"put-token": _put_token}


class ResponseRoutes:
    """The links of one connection that responses can go out on."""

    def __init__(self) -> None:
        self._links: list[ResponseLink] = []

    def add(self, link: "ResponseLink") -> None:
        """A response link was attached."""
        self._links.append(link)

    def remove(self, link: "ResponseLink") -> None:
        """A response link is gone."""
        self._links.remove(link)

    def find(self, reply_to: object, node: Node) -> "ResponseLink | None":
        """The link a request wants its answer on: by its target address, its name, or else the node's latest."""
        for link in reversed(self._links):
            if isinstance(reply_to, str) and reply_to in link.names and link.node == node:
                return link
        return next((link for link in reversed(self._links) if link.node == node), None)


class ResponseLink:
    """The client's receiving half of the pair."""

    def __init__(self, link: OutgoingLink, node: Node, routes: ResponseRoutes) -> None:
        self.node = node
        self.names = frozenset((link.name, link.target_address))
        self._link = link
        self._routes = routes
        self._sent = 0

    def start(self) -> None:
        """Answer the attach."""
        self._link.handler = self
        self._link.open()
        self._routes.add(self)

    def send(self, payload: bytes) -> None:
        """Send a response; Proton keeps it until the client gives credit."""
        self._sent += 1
        self._link.send(self._sent.to_bytes(4), payload, settled=self._link.presettled)

    def on_credit(self) -> None:
        """Responses wait in the link by themselves."""
        if self._link.draining:
            self._link.drained()

    def on_outcome(self, key: int, outcome: Outcome, *, settled: bool) -> None:
        """The client has the response."""
        del outcome, settled
        self._link.settle(key, OutcomeKind.ACCEPTED)

    def on_detached(self) -> None:
        """No more responses this way."""
        self._routes.remove(self)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request as it came."""

    operation: object
    body: dict[str, object]
    reply_to: object
    #: The message id, as it was written.
    identifier: bytes
    applied: Mapping[str, object]


def _read(payload: bytes) -> _Asked:
    """Take a request's message apart. Raises `CodecError`."""
    found = sections.split(payload)
    properties = sections.list_items(found.properties)
    applied = {str(key): value for key, value, _ in sections.map_entries(found.application_properties)}
    body = sections.value_body(found.body)
    return _Asked(
        operation=applied.get("operation"),
        body={str(key): value for key, value in body.items()} if isinstance(body, dict) else {},
        reply_to=properties[4] if len(properties) > 4 else None,
        identifier=sections.first_item(found.properties),
        applied=applied,
    )


class RequestLink:
    """The client's sending half of the pair."""

    def __init__(
        self,
        broker: Broker,
        connection: AmqpConnection,
        link: IncomingLink,
        node: Node,
        held: HeldSessions,
        routes: ResponseRoutes,
    ) -> None:
        self._broker = broker
        self._connection = connection
        self._link = link
        self._node = node
        self._held = held
        self._routes = routes
        self._owed = 0
        self._where = node.entity or node.kind.value
        self._claims = node.kind is NodeKind.CLAIMS
        self._operations = CLAIMS_OPERATIONS if self._claims else MANAGEMENT_OPERATIONS

    def start(self) -> None:
        """Answer the attach and let requests come."""
        self._link.handler = self
        self._link.open(max_message_size=self._connection.limits.max_message_bytes)
        self._link.add_credit(self._connection.limits.link_credit)

    def on_payload(self, delivery: Pointer, payload: bytes | None, size: int, message_format: int) -> None:
        """Serve a request; one that cannot be read is rejected, as there is no telling where its answer would go."""
        del message_format
        self._replenish()
        try:
            if payload is None:
                raise AmqpError(MESSAGE_SIZE_EXCEEDED, f"a request of {size} bytes is too large")
            asked = _read(payload)
        except EXPECTED as error:
            _log.info("a request of %s refused: %.300s", self._connection.peer, error)
            self._link.reject(delivery, terms_of(error).condition, description_of(error))
            return
        self._link.accept(delivery)
        self._connection.admit(size)
        self._connection.spawn(self._serve(asked, size))

    def on_detached(self) -> None:
        """Requests under way are answered as long as there is a link for responses."""

    def _replenish(self) -> None:
        # In lumps: the stock Python client takes 50 ms for each frame it reads while it connects.
        self._owed += 1
        if self._owed >= self._connection.limits.link_credit // 2:
            self._link.add_credit(self._owed)
            self._owed = 0

    async def _serve(self, asked: _Asked, size: int) -> None:
        try:
            async with self._connection.turn():
                # Nobody can tell a request that was not begun from one whose answer was lost.
                if not self._connection.gone:
                    await self._respond(asked)
        finally:
            self._connection.release(size)

    async def _respond(self, asked: _Asked) -> None:
        request = Request(broker=self._broker, held=self._held, entity=self._node.entity, body=asked.body)
        reply = await self._reply(asked.operation, request, asked.applied.get(_SERVER_TIMEOUT))
        link = self._routes.find(asked.reply_to, self._node)
        if link is not None:
            link.send(self._encode(reply, asked.identifier, asked.applied.get(_TRACKING_ID)))
        elif not self._connection.gone:
            _log.warning("no link for the response to %.100r of %s", asked.operation, self._connection.peer)

    async def _reply(self, name: object, request: Request, server_timeout: object) -> Reply:
        seconds = server_timeout / 1000 if isinstance(server_timeout, int) and server_timeout > 0 else None
        try:
            operation = self._operation(name)
            async with asyncio.timeout(seconds):
                return await operation(request)
        except Exception as error:
            if not isinstance(error, EXPECTED):
                _log.exception("%.100r on %s failed", name, self._where)
                error = AmqpError("amqp:internal-error", f"{name} failed", 500)
            else:
                _log.info("%.100r of %s on %s refused: %.300s", name, self._connection.peer, self._where, error)
            terms = terms_of(error)
            return Reply(terms.status, None, description_of(error), terms.condition)

    def _operation(self, name: object) -> Operation:
        if not isinstance(name, str):
            raise AmqpError(ARGUMENT_ERROR, "the request's 'operation' must be text")
        operation = self._operations.get(name)
        if operation is None:
            raise AmqpError(NOT_IMPLEMENTED, f"the operation {name[:100]!r} is not supported", 501)
        return operation

    def _encode(self, reply: Reply, correlation_id: bytes, tracking_id: object) -> bytes:
        status, description = (
            ("status-code", "status-description") if self._claims else ("statusCode", "statusDescription")
        )
        applied: dict[str, object] = {status: Typed("int", reply.status), description: reply.description}
        if reply.condition is not None:
            applied["error-condition" if self._claims else "errorCondition"] = Symbol(reply.condition)
        if isinstance(tracking_id, str):
            applied[_TRACKING_ID] = tracking_id
        null = b"\x40"
        return sections.encode_value_message(
            reply.body, properties=[null, null, null, null, null, correlation_id], application_properties=applied
        )
