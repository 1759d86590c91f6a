"""One client's connection: the socket on one side, the engine on the other, and the pace between them.

Wiring: bytes read -> `Handshake` -> `Engine` -> links; whatever changes asks for a flush, and all of one turn of the
event loop leaves in one write. Reading stops while too much work of this client is under way, fetching stops while too
much output waits. Timeouts are the event loop's time: they measure the peer, not the namespace.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol, cast

from devhost.amqp.conditions import CONNECTION_FORCED
from devhost.amqp.engine import Engine, EngineOwner, EngineSettings
from devhost.amqp.engine_incoming import IncomingLink
from devhost.amqp.engine_outgoing import OutgoingLink
from devhost.amqp.limits import Limits
from devhost.amqp.sasl import Handshake, HandshakeError

_log = logging.getLogger("devhost.amqp")


class Attachments(Protocol):
    """Finds out what a new link is for, and serves it."""

    def attach_incoming(self, connection: "AmqpConnection", link: IncomingLink) -> None:
        """The client wants to send."""
        ...

    def attach_outgoing(self, connection: "AmqpConnection", link: OutgoingLink) -> None:
        """The client wants to receive."""
        ...


class AmqpConnection(asyncio.Protocol, EngineOwner):
    """A connection from its first byte to its last."""

    def __init__(
        self, attachments: Attachments, limits: Limits, container: str, on_end: Callable[["AmqpConnection"], None]
    ) -> None:
        self.limits = limits
        self.peer = "?"
        self._attachments = attachments
        self._container = container
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._socket: asyncio.Transport | None = None
        self._handshake = Handshake()
        self._engine: Engine | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._pending_bytes = 0
        self._pending_messages = 0
        self._reading_paused = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._turns = asyncio.Semaphore(limits.concurrent_reads)
        self._taken = asyncio.Event()
        self._flush_scheduled = False
        self._closing = False
        self._timer: asyncio.TimerHandle | None = None
        self._opening: asyncio.TimerHandle | None = None

    # The socket's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there; the engine is made when the peer has shown that it speaks AMQP."""
        self._socket = cast(asyncio.Transport, transport)
        self._socket.set_write_buffer_limits(high=self.limits.max_output_bytes)
        address = transport.get_extra_info("peername")
        self.peer = f"{address[0]}:{address[1]}" if address else "?"
        self._opening = self._loop.call_later(self.limits.handshake_seconds, self._opening_expired)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the peer."""
        # What they cause at once is written at the end of this call, and not a turn of the event loop later.
        self._flush_scheduled = True
        if self._engine is None:
            data = self._shake_hands(data)
        if self._engine is not None and data and not self._engine.receive(data):
            self._closing = True
        self._flush()

    def eof_received(self) -> bool:
        """The peer is done sending; what it still waits for is written before the socket closes."""
        if self._engine is None:
            _log.info("connection from %s ended: it was closed before it was opened", self.peer)
            return False
        self._engine.end_of_input()
        self._closing = True
        self._schedule_flush()
        return True

    def pause_writing(self) -> None:
        """The peer does not read: stop producing."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._writable.set()
        self._schedule_flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone. Work under way in the broker goes on; its answers have nowhere to go."""
        self._socket = None
        self._cancel_timers()
        if self._engine is not None:
            failure = self._engine.failure
            self._engine.free()
            if failure or exc:
                _log.info("connection from %s ended: %s", self.peer, failure or exc)
        self._taken.set()
        self._on_end(self)

    def _shake_hands(self, data: bytes) -> bytes:
        try:
            rest = self._handshake.feed(data)
        except HandshakeError as error:
            _log.warning("connection from %s closed: %s", self.peer, error)
            self._write(bytes(self._handshake.output))
            self._end()
            return b""
        self._write(bytes(self._handshake.output))
        self._handshake.output.clear()
        if self._handshake.done:
            self._open_engine()
        return rest

    def _open_engine(self) -> None:
        limits = self.limits
        self._engine = Engine(
            self,
            EngineSettings(
                container=self._container,
                max_frame_size=limits.max_frame_bytes,
                channel_max=limits.max_channels - 1,
                max_links=limits.max_links,
                max_message_size=limits.max_message_bytes,
                max_partial_bytes=limits.max_partial_bytes,
                idle_timeout=limits.idle_seconds,
            ),
        )
        self._tick()

    def _opening_expired(self) -> None:
        _log.warning("connection from %s closed: not open after %g s", self.peer, self.limits.handshake_seconds)
        # Aborted, as nothing is owed to it: a close waits for the peer to take what has been written.
        self.abort()

    # The engine's side.

    def on_incoming_attach(self, link: IncomingLink) -> None:
        """The client wants to send."""
        self._attachments.attach_incoming(self, link)

    def on_outgoing_attach(self, link: OutgoingLink) -> None:
        """The client wants to receive."""
        self._attachments.attach_outgoing(self, link)

    def on_open(self) -> None:
        """The peer has opened the connection and said how often it wants to hear from us."""
        if self._opening is not None:
            self._opening.cancel()
        self._tick()

    def on_output(self) -> None:
        """Something may have to be written: at the end of this turn, together with what else comes."""
        self._schedule_flush()

    # For the links.

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        return self._socket is None

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work`, which is begun at once and so keeps the order of the calls."""
        task = asyncio.Task(work, loop=self._loop, eager_start=True)
        if not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._finished)
        else:
            self._finished(task)

    def admit(self, size: int) -> None:
        """Count a message that came in; too much of it stops the reading."""
        self._pending_bytes += size
        self._pending_messages += 1
        if not self._reading_paused and self._overloaded(1):
            self._reading_paused = True
            if self._socket is not None:
                self._socket.pause_reading()

    def release(self, size: int) -> None:
        """The message was dealt with."""
        self._pending_bytes -= size
        self._pending_messages -= 1
        if self._reading_paused and not self._overloaded(2):
            self._reading_paused = False
            if self._socket is not None:
                self._socket.resume_reading()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A turn to read something for the peer: few at a time have one, and only while it takes its output."""
        async with self._turns:
            while self._congested():
                self._taken.clear()
                await self._taken.wait()
            yield

    async def finish(self, reason: str, within: float) -> None:
        """Let work under way end, for at most `within` seconds, then close."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within)
        if self._engine is not None:
            self._engine.close(CONNECTION_FORCED, reason)
            self._flush()
        self._end()

    def abort(self) -> None:
        """Close the socket without a word."""
        if self._socket is not None:
            self._socket.abort()

    def _congested(self) -> bool:
        if self._socket is None or self._engine is None:
            return False
        return not self._writable.is_set() or self._engine.backlog() > self.limits.max_output_bytes

    def _overloaded(self, divisor: int) -> bool:
        return (
            self._pending_bytes > self.limits.max_pending_bytes // divisor
            or self._pending_messages > self.limits.max_pending_messages // divisor
        )

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("work for the client at %s failed", self.peer, exc_info=error)

    # Writing and time.

    def _schedule_flush(self) -> None:
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        if self._engine is None or self._socket is None:
            return
        # What Proton holds back counts as output too: it is bounded by what the links fetch.
        if self._writable.is_set():
            self._write(self._engine.output())
        elif self._engine.failure is not None:
            # There is no telling a peer that does not read.
            self.abort()
        if self._engine.finished or self._closing:
            self._end()
        if not self._congested():
            self._taken.set()

    def _write(self, data: bytes) -> None:
        if data and self._socket is not None:
            self._socket.write(data)

    def _end(self) -> None:
        """Close once the peer has taken what was written, or has not for too long."""
        if self._socket is None or self._socket.is_closing():
            return
        self._socket.close()
        self._closing = True
        self._cancel_timers()
        self._timer = self._loop.call_later(self.limits.closing_seconds, self.abort)

    def _cancel_timers(self) -> None:
        for timer in (self._opening, self._timer):
            if timer is not None:
                timer.cancel()

    def _tick(self) -> None:
        if self._engine is None or self._closing:
            return
        if self._timer is not None:
            self._timer.cancel()
        # Proton takes 0 for "no time"; the loop's clock may start there.
        deadline = self._engine.tick(self._loop.time() + 1.0) - 1.0
        self._schedule_flush()
        if deadline > 0:
            self._timer = self._loop.call_at(deadline, self._tick)
