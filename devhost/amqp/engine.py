"""One AMQP connection as Proton's engine sees it: bytes in, events out, bytes out; no sockets, no clock, no threads.

Wiring: `receive` feeds Proton and dispatches what it made of the bytes; links are handed to the `EngineOwner`; what has
to be written is fetched with `output`. Connections and sessions are opened here, links by their owner.
"""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cproton import (
    PN_CONNECTION_REMOTE_CLOSE,
    PN_CONNECTION_REMOTE_OPEN,
    PN_DELIVERY,
    PN_LINK_FLOW,
    PN_LINK_REMOTE_CLOSE,
    PN_LINK_REMOTE_DETACH,
    PN_LINK_REMOTE_OPEN,
    PN_SESSION_REMOTE_CLOSE,
    PN_SESSION_REMOTE_OPEN,
    PN_TRANSPORT_ERROR,
    addressof,
    pn_collector,
    pn_collector_free,
    pn_collector_peek,
    pn_collector_pop,
    pn_connection,
    pn_connection_collect,
    pn_decref,
    pn_delivery_link,
    pn_event_delivery,
    pn_event_link,
    pn_event_session,
    pn_event_type,
    pn_link_is_sender,
    pn_link_session,
    pn_session_head,
    pn_session_next,
    pn_session_outgoing_bytes,
    pn_transport,
    pn_transport_bind,
    pn_transport_capacity,
    pn_transport_close_tail,
    pn_transport_peek,
    pn_transport_pending,
    pn_transport_pop,
    pn_transport_push,
    pn_transport_set_server,
    pn_transport_unbind,
)
from proton import Condition, Connection, Endpoint, Link, ProtonException, Session, Transport

from devhost.amqp.conditions import DECODE_ERROR, RESOURCE_LIMIT_EXCEEDED
from devhost.amqp.engine_incoming import IncomingLink
from devhost.amqp.engine_links import EngineLink, Pointer
from devhost.amqp.engine_outgoing import OutgoingLink
from devhost.amqp.frames import TransferFormats

_log = logging.getLogger("devhost.amqp")


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What a connection is offered."""

    container: str
    max_frame_size: int
    channel_max: int
    max_links: int
    #: Bytes of one message, and of all messages of the connection that are begun and not finished.
    max_message_size: int
    max_partial_bytes: int
    idle_timeout: float


class EngineOwner(Protocol):
    """Whoever owns the socket."""

    def on_incoming_attach(self, link: IncomingLink) -> None:
        """The client wants to send."""
        ...

    def on_outgoing_attach(self, link: OutgoingLink) -> None:
        """The client wants to receive."""
        ...

    def on_open(self) -> None:
        """The peer has opened the connection."""
        ...

    def on_output(self) -> None:
        """There may be something to write."""
        ...


class Engine:
    """The engine of one connection; `free` must be called at its end."""

    def __init__(self, owner: EngineOwner, settings: EngineSettings) -> None:
        self._owner = owner
        self._settings = settings
        self._formats = TransferFormats()
        self._links: dict[int, EngineLink] = {}
        #: Closed links that are kept until their session ends, counted by session; and sessions that have ended.
        self._kept: Counter[int] = Counter()
        self._ended: list[Session] = []
        self._freed = False
        self._dispatching = False
        self._held = 0
        #: Why the connection ends, when an error ends it.
        self.failure: str | None = None
        self._collector = pn_collector()
        self._connection_pointer = pn_connection()
        self._pointer = pn_transport()
        pn_transport_set_server(self._pointer)
        self._connection = Connection.wrap(self._connection_pointer)
        self._transport = Transport.wrap(self._pointer)
        # The wrappers hold references of their own and give them up by themselves.
        pn_decref(self._connection_pointer)
        pn_decref(self._pointer)
        pn_connection_collect(self._connection_pointer, self._collector)
        self._transport.max_frame_size = settings.max_frame_size
        self._transport.channel_max = settings.channel_max
        self._transport.idle_timeout = settings.idle_timeout
        pn_transport_bind(self._pointer, self._connection_pointer)
        self._handlers: dict[int, Callable[[Pointer], None]] = {
            PN_CONNECTION_REMOTE_OPEN: self._connection_opened,
            PN_CONNECTION_REMOTE_CLOSE: self._connection_closed,
            PN_SESSION_REMOTE_OPEN: self._session_opened,
            PN_SESSION_REMOTE_CLOSE: self._session_closed,
            PN_LINK_REMOTE_OPEN: self._link_opened,
            PN_LINK_REMOTE_CLOSE: self._link_closed,
            PN_LINK_REMOTE_DETACH: self._link_closed,
            PN_LINK_FLOW: self._link_flow,
            PN_DELIVERY: self._delivery,
            PN_TRANSPORT_ERROR: self._transport_failed,
        }

    def receive(self, data: bytes) -> bool:
        """Feed bytes from the peer; False once the engine takes no more."""
        if self.failure is not None:
            return False
        self._formats.feed(data)
        broken = self._formats.broken
        if broken is not None:
            # What came with the frame is given up: nothing of it has been answered.
            self.failure = "a frame cannot be read"
        taken = self._push(data)
        if broken is not None:
            self.close(broken, self.failure)
        return taken

    def _push(self, data: bytes) -> bool:
        view, at, size = memoryview(data), 0, len(data)
        while at < size and not self._freed:
            room = pn_transport_capacity(self._pointer)
            if room <= 0:
                return False
            taken = pn_transport_push(self._pointer, view[at : at + room])
            self._dispatch()
            if taken < 0:
                return False
            at += taken
        return True

    def end_of_input(self) -> None:
        """The peer closed its side."""
        pn_transport_close_tail(self._pointer)
        self._dispatch()
        if self.failure is None and not self._connection.state & Endpoint.REMOTE_CLOSED:
            # Proton keeps quiet about half a frame.
            self.failure = "the peer left in the middle of a frame"

    def output(self) -> bytes:
        """What is to be written now."""
        if self._freed:
            return b""
        chunks = []
        while (pending := pn_transport_pending(self._pointer)) > 0:
            chunks.append(pn_transport_peek(self._pointer, pending)[1])
            pn_transport_pop(self._pointer, pending)
        while self._ended:
            self._ended.pop().free()
        self._dispatch()
        return b"".join(chunks)

    def backlog(self) -> int:
        """Bytes of messages that the links have sent and that are not output yet."""
        total = 0
        session = None if self._freed else pn_session_head(self._connection_pointer, 0)
        while session:
            total += pn_session_outgoing_bytes(session)
            session = pn_session_next(session, 0)
        return total

    @property
    def finished(self) -> bool:
        """Whether nothing will be written any more."""
        return self._freed or pn_transport_pending(self._pointer) < 0

    def tick(self, now: float) -> float:
        """Let idle timeouts run; `now` and the returned time of the next tick (0: none) in seconds."""
        deadline: float = self._transport.tick(now)
        self._dispatch()
        return deadline

    def close(self, condition: str | None = None, description: str | None = None) -> None:
        """Close the connection from our side."""
        if self._freed:
            return
        if condition is not None:
            self._connection.condition = Condition(condition, description)
        self._connection.open()
        self._connection.close()
        self._drop_links()
        self._owner.on_output()

    def free(self) -> None:
        """Let go of Proton's memory; nothing of this connection may reach into it afterwards."""
        if self._freed:
            return
        self._drop_links()
        self._freed = True
        pn_transport_unbind(self._pointer)
        pn_collector_free(self._collector)

    def take_format(self, link_name: str) -> int:
        """The message format of the link's next finished delivery."""
        return self._formats.take(link_name)

    def hold(self, size: int) -> None:
        """Count what is kept of deliveries that are not complete, and refuse a peer that begins too many."""
        self._held += size
        if self._held > self._settings.max_partial_bytes and self.failure is None:
            limit = self._settings.max_partial_bytes
            self._refuse(RESOURCE_LIMIT_EXCEEDED, f"more than {limit} bytes of messages begun and not finished")

    def changed(self) -> None:
        """A link has something to write."""
        self._owner.on_output()

    def _dispatch(self) -> None:
        if self._dispatching:
            # A handler caused more events; the loop it was called from takes them.
            return
        self._dispatching = True
        while not self._freed and (event := pn_collector_peek(self._collector)):
            handler = self._handlers.get(pn_event_type(event))
            # A peer that is being refused has nothing more to say.
            if handler is not None and self.failure is None:
                self._guarded(handler, event)
            if not self._freed:
                pn_collector_pop(self._collector)
        self._dispatching = False

    def _guarded(self, handler: Callable[[Pointer], None], event: Pointer) -> None:
        try:
            handler(event)
        except (ValueError, TypeError, KeyError, RecursionError, ProtonException) as error:
            # A field of a type, encoding or depth that does not belong there: names, filters, properties.
            self._refuse(DECODE_ERROR, f"a frame could not be understood: {error}")

    def _refuse(self, condition: str, failure: str) -> None:
        self.failure = failure
        self.close(condition, failure)

    def _connection_opened(self, _event: Pointer) -> None:
        self._connection.container = self._settings.container
        self._connection.open()
        self._owner.on_open()

    def _connection_closed(self, _event: Pointer) -> None:
        self._drop_links()
        self._connection.close()

    def _transport_failed(self, _event: Pointer) -> None:
        condition = self._transport.condition
        self.failure = str(condition.description) if condition is not None else "the transport failed"

    def _session_opened(self, event: Pointer) -> None:
        Session.wrap(pn_event_session(event)).open()

    def _session_closed(self, event: Pointer) -> None:
        session = pn_event_session(event)
        here = addressof(session)
        for key, link in list(self._links.items()):
            if addressof(pn_link_session(link.pointer)) == here:
                self._forget(key, link)
        self._kept.pop(here, None)
        wrapper = Session.wrap(session)
        wrapper.close()
        # Not before the end is written: what is unsettled in it would be settled first.
        self._ended.append(wrapper)
        self._owner.on_output()

    def _link_opened(self, event: Pointer) -> None:
        pointer = pn_event_link(event)
        if len(self._links) >= self._settings.max_links:
            self._refuse(RESOURCE_LIMIT_EXCEEDED, f"more than {self._settings.max_links} links on one connection")
            return
        if pn_link_is_sender(pointer):
            outgoing = OutgoingLink(self, pointer)
            self._links[addressof(pointer)] = outgoing
            self._owner.on_outgoing_attach(outgoing)
        else:
            incoming = IncomingLink(self, pointer, max_message_size=self._settings.max_message_size)
            self._links[addressof(pointer)] = incoming
            self._owner.on_incoming_attach(incoming)

    def _link_closed(self, event: Pointer) -> None:
        pointer = pn_event_link(event)
        key = addressof(pointer)
        link = self._links.get(key)
        unsettled = isinstance(link, OutgoingLink) and link.unsettled
        if link is not None:
            self._forget(key, link)
        wrapper = Link.wrap(pointer)
        if pn_event_type(event) == PN_LINK_REMOTE_DETACH:
            wrapper.detach()
            wrapper.free()
        else:
            wrapper.close()
            if not (unsettled and self._keep(addressof(pn_link_session(pointer)))):
                wrapper.free()
        self._owner.on_output()

    def _keep(self, session: int) -> bool:
        """Whether one more closed link can be kept. Freeing it settles its deliveries, and a client that is told so
        takes them for dealt with, though it may still settle them by request."""
        if self._kept.total() >= self._settings.max_links:
            return False
        self._kept[session] += 1
        return True

    def _link_flow(self, event: Pointer) -> None:
        link = self._links.get(addressof(pn_event_link(event)))
        if isinstance(link, OutgoingLink) and link.handler is not None:
            link.handler.on_credit()

    def _delivery(self, event: Pointer) -> None:
        delivery = pn_event_delivery(event)
        link = self._links.get(addressof(pn_delivery_link(delivery)))
        if link is not None:
            link.on_delivery(delivery)

    def _forget(self, key: int, link: EngineLink) -> None:
        del self._links[key]
        if isinstance(link, IncomingLink):
            self._formats.forget(link.name)
        link.on_remote_detach()

    def _drop_links(self) -> None:
        for key, link in list(self._links.items()):
            self._forget(key, link)
