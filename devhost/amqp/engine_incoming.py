"""Links on which a client sends: deliveries are put together from their frames and handed on whole."""

from typing import Protocol

from cproton import (
    PN_ACCEPTED,
    PN_COORDINATOR,
    pn_delivery_aborted,
    pn_delivery_partial,
    pn_delivery_pending,
    pn_delivery_readable,
    pn_delivery_settle,
    pn_delivery_update,
    pn_link_advance,
    pn_link_flow,
    pn_link_recv,
)

from devhost.amqp.engine_links import EngineLink, LinkOwner, Pointer, reject_delivery


class IncomingHandler(Protocol):
    """Takes what arrives on an incoming link."""

    def on_payload(self, delivery: Pointer, payload: bytes | None, size: int, message_format: int) -> None:
        """A delivery is complete; there is no `payload` when its `size` in bytes is over the link's limit."""
        ...

    def on_detached(self) -> None:
        """The link is gone."""
        ...


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
            reject_delivery(delivery, condition, description)
            self._owner.changed()

    def on_remote_detach(self) -> None:
        """Tell the handler, once."""
        self.closed = True
        self._reset()
        handler, self.handler = self.handler, None
        if handler is not None:
            handler.on_detached()
