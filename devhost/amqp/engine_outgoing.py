"""Links on which a client receives, and what it decides about the deliveries."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from cproton import (
    PN_ACCEPTED,
    PN_MODIFIED,
    PN_REJECTED,
    PN_RELEASED,
    addressof,
    pn_delivery,
    pn_delivery_remote_state,
    pn_delivery_settle,
    pn_delivery_settled,
    pn_delivery_update,
    pn_link_advance,
    pn_link_credit,
    pn_link_drained,
    pn_link_get_drain,
    pn_link_send,
)
from proton import Delivery, Link, symbol

from devhost.amqp.engine_links import EngineLink, LinkOwner, Pointer, plain_map, reject_delivery


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


class OutgoingLink(EngineLink):
    """From us to the client."""

    def __init__(self, owner: LinkOwner, pointer: Pointer) -> None:
        super().__init__(owner, pointer)
        self.handler: OutgoingHandler | None = None
        self.address: str | None = self.proton.remote_source.address
        self.target_address: str | None = self.proton.remote_target.address
        self.filters = plain_map(_filters(self.proton.remote_source))
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
            reject_delivery(delivery, condition, description)
            self._owner.changed()

    def on_remote_detach(self) -> None:
        """Tell the handler, once."""
        self.closed = True
        self._deliveries.clear()
        handler, self.handler = self.handler, None
        if handler is not None:
            handler.on_detached()


_TERMINAL = frozenset((PN_ACCEPTED, PN_REJECTED, PN_RELEASED, PN_MODIFIED))


def _outcome(delivery: Pointer, kind: OutcomeKind) -> Outcome:
    remote = Delivery.wrap(delivery).remote
    if kind is OutcomeKind.MODIFIED:
        return Outcome(kind, details=plain_map(remote.annotations), undeliverable_here=remote.undeliverable)
    error = remote.condition
    if kind is OutcomeKind.REJECTED and error is not None:
        return Outcome(kind, error.name, error.description, plain_map(error.info))
    return Outcome(kind)


def _filters(terminus: Any) -> object:
    data = terminus.filter
    data.rewind()
    return data.get_object() if data.next() is not None else None
