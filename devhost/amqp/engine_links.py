"""Links and deliveries of one connection, as Proton's engine keeps them.

`IncomingLink` carries what the client sends, `OutgoingLink` what it receives. Once a link is closed every method is a
harmless no-op, so that work finished late needs no check of its own. The calls made for each message go to Proton's C
functions (`cproton`): its object wrappers cost several times as much as the calls.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol
from uuid import uuid4

from cproton import (
    PN_ACCEPTED,
    PN_COORDINATOR,
    PN_MODIFIED,
    PN_REJECTED,
    PN_RELEASED,
    PN_UNSPECIFIED,
    addressof,
    pn_delivery,
    pn_delivery_aborted,
    pn_delivery_partial,
    pn_delivery_pending,
    pn_delivery_readable,
    pn_delivery_remote_state,
    pn_delivery_settle,
    pn_delivery_settled,
    pn_delivery_update,
    pn_link_advance,
    pn_link_credit,
    pn_link_drained,
    pn_link_flow,
    pn_link_get_drain,
    pn_link_recv,
    pn_link_send,
    pn_link_state,
)
from proton import Condition, Delivery, Endpoint, Link, symbol, timestamp

from devhost.amqp.values import from_milliseconds

#: A pointer into Proton; good until its owner is closed.
type Pointer = Any


class OutcomeKind(Enum):
    """How a peer or we ended a delivery."""

    ACCEPTED = PN_ACCEPTED
    REJECTED = PN_REJECTED
    RELEASED = PN_RELEASED
    MODIFIED = PN_MODIFIED


@dataclass(frozen=True, slots=True)
class Outcome:
    """An outcome as the peer stated it."""

    kind: OutcomeKind
    condition: str | None = None
    description: str | None = None
    #: The error's info map, or the modified outcome's message annotations.
    details: dict[str, object] = field(default_factory=dict)
    undeliverable_here: bool = False


class IncomingHandler(Protocol):
    """Takes what arrives on an incoming link."""

    def on_payload(self, delivery: Pointer, payload: bytes | None, size: int, message_format: int) -> None:
        """A delivery is complete; there is no `payload` when its `size` in bytes is over the link's limit."""
        ...

    def on_detached(self) -> None:
        """The link is gone."""
        ...


class OutgoingHandler(Protocol):
    """Serves an outgoing link."""

    def on_credit(self) -> None:
        """The client changed the link's credit, or asked to drain it."""
        ...

    def on_outcome(self, key: int, outcome: Outcome, *, settled: bool) -> None:
        """The client ended the delivery `key`; with `settled` it waits for no answer."""
        ...

    def on_detached(self) -> None:
        """The link is gone."""
        ...


class LinkOwner(Protocol):
    """What a link needs of its engine."""

    def take_format(self, link_name: str) -> int:
        """The message format of the link's next finished delivery."""
        ...

    def hold(self, size: int) -> None:
        """`size` more bytes (fewer, when negative) are kept of deliveries that are not complete."""
        ...

    def changed(self) -> None:
        """There may be something to write."""
        ...


class EngineLink:
    """What both directions share; `proton` is the wrapper for the things done once in a link's life."""

    def __init__(self, owner: LinkOwner, pointer: Pointer) -> None:
        self.pointer = pointer
        self.proton = Link.wrap(pointer)
        self.name: str = self.proton.name
        self.closed = False
        self._owner = owner

    @property
    def remote_properties(self) -> dict[str, object]:
        """The properties the client attached with."""
        return _plain_map(self.proton.remote_properties)

    def open(self, properties: dict[str, object] | None = None, *, max_message_size: int = 0) -> None:
        """Answer the client's attach with the same source and target."""
        if self.closed:
            return
        self.proton.source.copy(self.proton.remote_source)
        self.proton.target.copy(self.proton.remote_target)
        if properties:
            self.proton.properties = {symbol(name): value for name, value in properties.items()}
        self.proton.max_message_size = max_message_size
        self.proton.snd_settle_mode = self.proton.remote_snd_settle_mode
        self.proton.rcv_settle_mode = self.proton.remote_rcv_settle_mode
        self.proton.open()
        self._owner.changed()

    def refuse(self, condition: str, description: str) -> None:
        """End the link with an error; before `open`, this answers the attach and refuses it."""
        if self.closed:
            return
        self.closed = True
        if pn_link_state(self.pointer) & Endpoint.LOCAL_UNINIT:
            # An attach without source and target announces that a detach with the cause follows.
            self.proton.source.type = PN_UNSPECIFIED
            self.proton.target.type = PN_UNSPECIFIED
            self.proton.open()
        self.proton.condition = _error(condition, description)
        self.proton.close()
        self._owner.changed()

    def on_delivery(self, delivery: Pointer) -> None:
        """Something happened to a delivery of this link."""
        raise NotImplementedError

    def on_remote_detach(self) -> None:
        """Tell the handler, once; the engine answers the detach."""
        raise NotImplementedError


class IncomingLink(EngineLink):
    """From the client to us."""

    def __init__(self, owner: LinkOwner, pointer: Pointer, *, max_message_size: int) -> None:
        super().__init__(owner, pointer)
        self.handler: IncomingHandler | None = None
        self.address: str | None = self.proton.remote_target.address
        #: The target is the coordinator of transactions, not an entity.
        self.wants_transactions = self.proton.remote_target.type == PN_COORDINATOR
        self._limit = max_message_size
        self._partial = bytearray()
        self._size = 0

    def add_credit(self, count: int) -> None:
        """Let the client send `count` more messages."""
        if not self.closed:
            pn_link_flow(self.pointer, count)
            self._owner.changed()

    def on_delivery(self, delivery: Pointer) -> None:
        """Read what there is of a delivery, and hand it on when it is complete."""
        if pn_delivery_aborted(delivery):
            self._reset()
            pn_delivery_settle(delivery)
            return
        if not pn_delivery_readable(delivery):
            return
        pending = pn_delivery_pending(delivery)
        chunk = pn_link_recv(self.pointer, pending)[1] if pending else b""
        self._size += len(chunk)
        unwanted = self.closed or self._size > self._limit
        if pn_delivery_partial(delivery):
            self._keep(b"" if unwanted else chunk, drop=unwanted)
            return
        payload = None if unwanted else bytes(self._partial + chunk if self._partial else chunk)
        size = self._size
        self._reset()
        pn_link_advance(self.pointer)
        message_format = self._owner.take_format(self.name)
        if self.closed or self.handler is None:
            pn_delivery_settle(delivery)
        else:
            self.handler.on_payload(delivery, payload, size, message_format)

    def _keep(self, chunk: bytes, *, drop: bool) -> None:
        before = len(self._partial)
        if drop:
            self._partial.clear()
        self._partial += chunk
        self._owner.hold(len(self._partial) - before)

    def _reset(self) -> None:
        if self._partial:
            self._owner.hold(-len(self._partial))
            self._partial = bytearray()
        self._size = 0

    def accept(self, delivery: Pointer) -> None:
        """Acknowledge a delivery."""
        if not self.closed:
            pn_delivery_update(delivery, PN_ACCEPTED)
            pn_delivery_settle(delivery)
            self._owner.changed()

    def reject(self, delivery: Pointer, condition: str, description: str) -> None:
        """Refuse a delivery with an error."""
        if not self.closed:
            _reject(delivery, condition, description)
            self._owner.changed()

    def on_remote_detach(self) -> None:
        """Tell the handler, once."""
        self.closed = True
        self._reset()
        handler, self.handler = self.handler, None
        if handler is not None:
            handler.on_detached()


class OutgoingLink(EngineLink):
    """From us to the client."""

    def __init__(self, owner: LinkOwner, pointer: Pointer) -> None:
        super().__init__(owner, pointer)
        self.handler: OutgoingHandler | None = None
        self.address: str | None = self.proton.remote_source.address
        self.target_address: str | None = self.proton.remote_target.address
        self.filters = _plain_map(_filters(self.proton.remote_source))
        #: The client asked for deliveries settled in advance: receive and delete.
        self.presettled = self.proton.remote_snd_settle_mode == Link.SND_SETTLED
        self._deliveries: dict[int, Pointer] = {}

    @property
    def credit(self) -> int:
        """Messages the client is ready to take."""
        return 0 if self.closed else int(pn_link_credit(self.pointer))

    @property
    def unsettled(self) -> bool:
        """Whether the client holds messages that it has not settled."""
        return bool(self._deliveries)

    @property
    def draining(self) -> bool:
        """The client wants its credit used up now or given back."""
        return not self.closed and bool(pn_link_get_drain(self.pointer))

    def drained(self) -> None:
        """Give the rest of the credit back."""
        if not self.closed:
            pn_link_drained(self.pointer)
            self._owner.changed()

    def set_filter(self, name: str, value: str) -> None:
        """Answer the attach with this one filter (before `open_with_filters`)."""
        self.filters = {name: value}

    def open_with_filters(self, properties: dict[str, object]) -> None:
        """As `open`, with the filters as they now are."""
        if self.closed:
            return
        self.proton.remote_source.filter.clear()
        self.proton.remote_source.filter.put_dict({symbol(name): value for name, value in self.filters.items()})
        self.open(properties)

    def send(self, tag: bytes, payload: bytes, *, settled: bool) -> int | None:
        """Send one message; returns the key of its delivery unless it is settled already."""
        if self.closed:
            return None
        delivery = pn_delivery(self.pointer, tag)
        pn_link_send(self.pointer, payload)
        pn_link_advance(self.pointer)
        self._owner.changed()
        if settled:
            pn_delivery_settle(delivery)
            return None
        key: int = addressof(delivery)
        self._deliveries[key] = delivery
        return key

    def on_delivery(self, delivery: Pointer) -> None:
        """Take the client's word on a delivery of ours."""
        key: int = addressof(delivery)
        if key not in self._deliveries:
            return
        kind = pn_delivery_remote_state(delivery)
        settled = bool(pn_delivery_settled(delivery))
        if kind in _TERMINAL:
            outcome = Outcome(OutcomeKind.ACCEPTED) if kind == PN_ACCEPTED else _outcome(delivery, OutcomeKind(kind))
        elif settled:
            # Settled without a word: the message was not used.
            outcome = Outcome(OutcomeKind.RELEASED)
        else:
            return
        if self.handler is not None:
            self.handler.on_outcome(key, outcome, settled=settled)

    def settle(self, key: int, outcome: OutcomeKind) -> None:
        """Confirm an outcome."""
        delivery = self._deliveries.pop(key, None)
        if delivery is not None and not self.closed:
            pn_delivery_update(delivery, outcome.value)
            pn_delivery_settle(delivery)
            self._owner.changed()

    def settle_rejected(self, key: int, condition: str, description: str) -> None:
        """Answer an outcome with the error that prevented it."""
        delivery = self._deliveries.pop(key, None)
        if delivery is not None and not self.closed:
            _reject(delivery, condition, description)
            self._owner.changed()

    def on_remote_detach(self) -> None:
        """Tell the handler, once."""
        self.closed = True
        self._deliveries.clear()
        handler, self.handler = self.handler, None
        if handler is not None:
            handler.on_detached()


#: Longest description of an error, in characters.
_MOST_TEXT = 1000
_TERMINAL = frozenset((PN_ACCEPTED, PN_REJECTED, PN_RELEASED, PN_MODIFIED))


def _error(condition: str, description: str) -> Condition:
    # It has to fit into a frame, whatever it quotes.
    description = description[:_MOST_TEXT]
    # Some clients read the info map without looking whether there is one; a tracking id is what the service puts there.
    return Condition(condition, description, {symbol("com.microsoft:tracking-id"): str(uuid4())})


def _reject(delivery: Pointer, condition: str, description: str) -> None:
    wrapper = Delivery.wrap(delivery)
    wrapper.local.condition = _error(condition, description)
    wrapper.update(Delivery.REJECTED)
    wrapper.settle()


def _outcome(delivery: Pointer, kind: OutcomeKind) -> Outcome:
    remote = Delivery.wrap(delivery).remote
    if kind is OutcomeKind.MODIFIED:
        return Outcome(kind, details=_plain_map(remote.annotations), undeliverable_here=remote.undeliverable)
    error = remote.condition
    if kind is OutcomeKind.REJECTED and error is not None:
        return Outcome(kind, error.name, error.description, _plain_map(error.info))
    return Outcome(kind)


def _filters(terminus: Any) -> object:
    data = terminus.filter
    data.rewind()
    return data.get_object() if data.next() is not None else None


def _plain_map(value: object) -> dict[str, object]:
    """A map from Proton as plain Python."""
    return {str(key): _plain(item) for key, item in value.items()} if isinstance(value, dict) else {}


def _plain(value: object) -> object:
    """A value without Proton's types. Binary comes as a view into Proton's memory and is copied out."""
    if isinstance(value, timestamp):
        return from_milliseconds(value)
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return bytes(value) if isinstance(value, memoryview) else value
