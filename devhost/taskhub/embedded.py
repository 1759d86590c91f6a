"""The durable task hub: an `Engine` over a file in the state directory, with its gRPC endpoint in front of it.

Wiring: client -> `Endpoint` -> `OrchestrationService` -> `Engine` -> `WorkItemExecutor`. Work is handed to the app in
this process; no gRPC call lies between the engine and the app.
"""

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError

from devhost.clock import Clock, SystemClock
from devhost.errors import StartError
from devhost.taskhub.concurrency import Concurrency
from devhost.taskhub.endpoint import Endpoint
from devhost.taskhub.engine.crash_points import CrashPoints
from devhost.taskhub.engine.engine import Engine
from devhost.taskhub.engine.identifiers import Ids
from devhost.taskhub.engine.service import OrchestrationService
from devhost.taskhub.engine.tracing import Tracing
from devhost.taskhub.entities.service import EntityService
from devhost.taskhub.hub import WorkItemExecutor
from devhost.taskhub.operations.listing import ListingService
from devhost.taskhub.operations.page_tokens import PageTokens, kept_secret
from devhost.taskhub.operations.service import OperationsService
from devhost.taskhub.versioning import Versioning

FILE_NAME: Final = "hub.sqlite"


class EmbeddedTaskHub:
    """The `TaskHub` that keeps everything in `directory`. Start it on the event loop that the host runs on."""

    def __init__(
        self,
        directory: Path,
        clock: Clock | None = None,
        concurrency: Concurrency | None = None,
        *,
        drain_within: timedelta = timedelta(seconds=30),
        ids: Ids | None = None,
        crash_points: CrashPoints | None = None,
        versioning: Versioning | None = None,
        tracing: Tracing | None = None,
        on_failure: Callable[[Exception], None] = lambda _: None,
    ) -> None:
        """`drain_within` bounds how long `stop` waits for running work items before it cancels them.

        `on_failure` is called once when nothing more can be written, and so nothing can go on before the next start.
        """
        self._path = directory / FILE_NAME
        self._clock = clock or SystemClock()
        self._concurrency = concurrency
        self._drain_within = drain_within
        self._ids = ids
        self._crash_points = crash_points
        self._versioning = versioning
        self._tracing = tracing
        self._on_failure = on_failure
        self._engine: Engine | None = None
        self._endpoint: Endpoint | None = None

    @property
    def address(self) -> str:
        """`127.0.0.1:port` of the gRPC endpoint. Raises `RuntimeError` before `start`."""
        if self._endpoint is None:
            raise RuntimeError("the task hub has no address before it is started")
        return self._endpoint.address

    @property
    def engine(self) -> Engine:
        """What does the work. Raises `RuntimeError` before `start`."""
        if self._engine is None:
            raise RuntimeError("the task hub has no engine before it is started")
        return self._engine

    async def start(self, executor: WorkItemExecutor) -> None:
        """Open the file, serve `address`, take up what had not ended. Raises `StartError`."""
        try:
            await self._start(executor)
        except (sqlite3.Error, DecodeError, LookupError, ValueError) as damage:
            await self._abandon()
            raise StartError(
                f"the task hub's file {self._path} is damaged: {damage!r}; move it away to begin with an empty task hub"
            ) from damage
        except BaseException:
            await self._abandon()
            raise

    async def _start(self, executor: WorkItemExecutor) -> None:
        self._engine = engine = Engine(
            self._path,
            self._clock,
            self._concurrency,
            ids=self._ids,
            crash_points=self._crash_points,
            versioning=self._versioning,
            tracing=self._tracing,
        )
        engine.on_failure = self._on_failure
        context = engine.context
        tokens = PageTokens(kept_secret(context.commits.connection, context.ids.new))
        listing = ListingService(engine, tokens)
        self._endpoint = Endpoint(
            OrchestrationService(engine), EntityService(engine, tokens), listing, OperationsService(engine, listing)
        )
        await self._endpoint.start()
        engine.start(executor)

    async def _abandon(self) -> None:
        if self._engine is not None:
            self._engine.die()
            await self._engine.context.alarms.stop()
        if self._endpoint is not None:
            await self._endpoint.stop()

    async def stop(self) -> None:
        """Hand out nothing more, let running items finish within the limit, cancel the rest, close everything."""
        if self._engine is None or self._endpoint is None:
            return
        try:
            await self._engine.stop(self._drain_within)
        finally:
            await self._endpoint.stop()
