"""The app's adapters, each within one that counts. They are passed in, so that nothing of the app knows of it.

What a call of an adapter becomes on the wire (batches, requests of the store) the adapters count themselves.
"""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from devhost.triggers.service_bus import connect
from devhost.triggers.service_bus_binding import Entity
from devhost.triggers.service_bus_connection import Connection
from devhost.triggers.service_bus_receiver import ReceivedMessage, Receiver, ReceiverFactory
from scripts.cost.tally import Charged, Tally
from shared.artifacts.store import ArtifactStore
from shared.contracts import ArtifactRef
from shared.errors import NoUsableAnswer
from shared.llm.model import ModelClient, ModelReply, ModelRequest
from shared.messaging.servicebus import ServiceBus
from shared.resources import Resources
from shared.state.charges import Charges


def counted(resources: Resources, tally: Tally) -> Resources:
    """The same resources, every use of which `tally` learns of. Raises `TypeError` for a bus or store that counts
    nothing: a bill without it would be too low.
    """
    if not isinstance(resources.bus, ServiceBus):
        raise TypeError(f"{type(resources.bus).__name__} does not count what it sends")
    tally.bus = resources.bus.charges
    tally.flush = resources.telemetry.close
    tally.stores = tuple(map(_charged, (resources.store, resources.memory, resources.circuits.store)))
    return replace(
        resources,
        artifacts=CountedArtifacts(resources.artifacts, tally),
        model=CountedModel(resources.model, tally),
    )


def _charged(store: Any) -> Charged:
    if not isinstance(getattr(store, "charges", None), Charges):
        raise TypeError(f"{type(store).__name__} does not count what it is charged")
    charged: Charged = store
    return charged


class CountedModel:
    """A model whose calls and tokens are counted."""

    def __init__(self, inner: ModelClient, tally: Tally) -> None:
        self._inner = inner
        self._tally = tally

    async def complete(self, request: ModelRequest) -> ModelReply:
        """One answer; see `ModelClient.complete`."""
        self._tally.asked_model()
        try:
            reply = await self._inner.complete(request)
        except NoUsableAnswer as error:
            if error.usage is not None:
                self._tally.used(error.usage)
            raise
        self._tally.used(reply.usage)
        return reply

    async def close(self) -> None:
        """Let go of connections."""
        await self._inner.close()


class CountedArtifacts:
    """An artifact store whose artifacts are counted; see `ArtifactStore`."""

    def __init__(self, inner: ArtifactStore, tally: Tally) -> None:
        self._inner = inner
        self._tally = tally

    async def put(self, content: bytes, content_type: str, *, run: str) -> ArtifactRef:
        """Store and count it."""
        return self._stored(await self._inner.put(content, content_type, run=run))

    async def put_stream(self, chunks: AsyncIterable[bytes], content_type: str, *, run: str) -> ArtifactRef:
        """Store and count it."""
        return self._stored(await self._inner.put_stream(chunks, content_type, run=run))

    async def put_at(self, address: str, content: bytes, content_type: str) -> ArtifactRef:
        """Store and count it."""
        return self._stored(await self._inner.put_at(address, content, content_type))

    async def get(self, address: str) -> bytes:
        """Read and count it."""
        self._tally.fetched()
        return await self._inner.get(address)

    async def open(self, address: str) -> AsyncIterator[bytes]:
        """Read and count it."""
        self._tally.fetched()
        async for chunk in self._inner.open(address):
            yield chunk

    async def delete_run(self, run: str) -> int:
        """Delete; deletions are free of charge."""
        return await self._inner.delete_run(run)

    async def close(self) -> None:
        """Let go of connections."""
        await self._inner.close()

    def _stored(self, kept: ArtifactRef) -> ArtifactRef:
        self._tally.stored(kept.size)
        return kept


class CountedReceiver:
    """A trigger's receiver whose calls are counted, once they have succeeded; see `Receiver`."""

    def __init__(self, inner: Receiver, tally: Tally) -> None:
        self._inner = inner
        self._tally = tally

    @property
    def session_id(self) -> str | None:
        """The session this receiver holds, if any."""
        return self._inner.session_id

    @property
    def session_locked_until(self) -> datetime | None:
        """When the session's lock ends, if there is one."""
        return self._inner.session_locked_until

    async def open(self) -> None:
        """Connect, which is no operation."""
        await self._inner.open()

    async def receive(self, max_messages: int, wait: timedelta) -> Sequence[ReceivedMessage]:
        """Receive and count what came."""
        messages = await self._inner.receive(max_messages, wait)
        for message in messages:
            self._tally.delivered(len(message.body))
        return messages

    async def complete(self, message: ReceivedMessage) -> None:
        """Complete and count it."""
        await self._inner.complete(message)
        self._tally.settled("completed")

    async def abandon(self, message: ReceivedMessage) -> None:
        """Abandon and count it."""
        await self._inner.abandon(message)
        self._tally.settled("abandoned")

    async def renew(self, message: ReceivedMessage) -> datetime:
        """Renew and count it."""
        until = await self._inner.renew(message)
        self._tally.renewed()
        return until

    async def renew_session(self) -> datetime:
        """Renew and count it."""
        until = await self._inner.renew_session()
        self._tally.renewed()
        return until

    async def close(self) -> None:
        """Disconnect."""
        await self._inner.close()


class CountedReceivers:
    """Makes receivers that are counted; see `ReceiverFactory`."""

    def __init__(self, inner: ReceiverFactory, tally: Tally) -> None:
        self._inner = inner
        self._tally = tally

    def receiver(self) -> Receiver:
        """A receiver that is not connected yet."""
        return CountedReceiver(self._inner.receiver(), self._tally)

    async def next_session(self, wait: timedelta) -> Receiver | None:
        """A receiver of the next session; None when none came."""
        receiver = await self._inner.next_session(wait)
        return None if receiver is None else CountedReceiver(receiver, self._tally)

    async def close(self) -> None:
        """Let go of what is shared."""
        await self._inner.close()


class CountedConnections:
    """How the triggers reach a namespace, counted: a `Connect`."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def __call__(self, connection: Connection, entity: Entity, prefetch_count: int) -> ReceiverFactory:
        """The counted receivers of one entity."""
        return CountedReceivers(connect(connection, entity, prefetch_count), self._tally)
