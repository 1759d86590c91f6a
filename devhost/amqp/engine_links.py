"""What the links of a connection share, as Proton's engine keeps them.

Once a link is closed every method of it is a harmless no-op, so that work finished late needs no check of its own. The
calls made for each message go to Proton's C functions (`cproton`): its object wrappers cost several times as much.
"""

from abc import ABC, abstractmethod
from typing import Any, Protocol
from uuid import uuid4

from cproton import PN_UNSPECIFIED, pn_link_state
from proton import Condition, Delivery, Endpoint, Link, symbol, timestamp

from devhost.amqp.values import from_milliseconds

#: A pointer into Proton; good until its owner is closed.
type Pointer = Any

#: Longest description of an error, in characters.
_MOST_TEXT = 1000


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


class EngineLink(ABC):
    """What both directions share."""

    def __init__(self, owner: LinkOwner, pointer: Pointer) -> None:
        self.pointer = pointer
        self.name: str = self.proton.name
        self.closed = False
        self._owner = owner

    @property
    def proton(self) -> Any:
        """The wrapper for the things done once in a link's life; only while the link is not closed, and not to keep.

        A wrapper that outlives the link's session makes Proton free the link twice.
        """
        return Link.wrap(self.pointer)

    @property
    def remote_properties(self) -> dict[str, object]:
        """The properties the client attached with."""
        return {} if self.closed else plain_map(self.proton.remote_properties)

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

    @abstractmethod
    def on_delivery(self, delivery: Pointer) -> None:
        """Something happened to a delivery of this link."""

    @abstractmethod
    def on_remote_detach(self) -> None:
        """Tell the handler, once; the engine answers the detach."""


def _error(condition: str, description: str) -> Condition:
    # It has to fit into a frame, whatever it quotes.
    description = description[:_MOST_TEXT]
    # Some clients read the info map without looking whether there is one; a tracking id is what the service puts there.
    return Condition(condition, description, {symbol("com.microsoft:tracking-id"): str(uuid4())})


def reject_delivery(delivery: Pointer, condition: str, description: str) -> None:
    """End a delivery with an error."""
    wrapper = Delivery.wrap(delivery)
    wrapper.local.condition = _error(condition, description)
    wrapper.update(Delivery.REJECTED)
    wrapper.settle()


def plain_map(value: object) -> dict[str, object]:
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
