"""How much one listener and each of its connections may hold: what keeps its memory bounded."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Counts, bytes and seconds. The service's own figures where it states them."""

    #: The service's for a namespace; a further connection is closed at once.
    max_connections: int = 1000
    #: Links on one connection, and sessions (the AMQP kind, a channel each).
    max_links: int = 1000
    max_channels: int = 1000
    max_frame_bytes: int = 64 * KIB
    #: The service's for the standard tier: a message, and a batch as a whole.
    max_message_bytes: int = 256 * KIB
    #: Messages of one connection that have begun to arrive and are not complete.
    max_partial_bytes: int = 64 * MIB
    #: Messages of one connection on their way into the broker; above it the socket is not read.
    max_pending_bytes: int = 4 * MIB
    max_pending_messages: int = 2000
    #: Output of one connection not yet taken by the peer; above it nothing more is fetched for it.
    max_output_bytes: int = 1 * MIB
    #: Messages a producer, and requests a management client, may have outstanding on one link.
    link_credit: int = 1000
    #: Messages fetched from the broker at a time for one consumer.
    fetch_messages: int = 100
    #: Fetches and requests of one connection that read from the broker at a time.
    concurrent_reads: int = 8
    #: A connection that has not opened after this long is closed.
    handshake_seconds: float = 60.0
    #: How long a peer has to take what was written when its connection is closed.
    closing_seconds: float = 5.0
    #: Silence after which a peer is taken for dead; peers say the same to us.
    idle_seconds: float = 120.0
    #: The service's answer to a receiver that waits for any session and does not say how long.
    session_wait_seconds: float = 60.0
