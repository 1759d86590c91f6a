"""The durable task hub with a `DFApp` behind it, which a test may kill at a named place and start again."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import azure.durable_functions as df
from durabletask.client import OrchestrationState, OrchestrationStatus

from devhost.clock import Clock, ManualClock
from devhost.taskhub.durable_executor import DurableExecutor
from devhost.taskhub.embedded import EmbeddedTaskHub
from devhost.taskhub.engine.crash_points import Crashed
from devhost.taskhub.hub_client import HubClient
from devhost.taskhub.turns import StickyTurns
from devhost.taskhub.versioning import Versioning
from devhost.telemetry.orchestrations import OrchestrationSpans
from devhost.telemetry.spans import Spans
from devhost.telemetry.work_items import TracedExecutor
from tests.support.sdk_app import SdkApp


@dataclass
class DieAt:
    """Crash points that kill the hub the `nth` time it comes to the place called `name`."""

    name: str = ""
    nth: int = 1
    die: Callable[[], None] = lambda: None
    dead: asyncio.Event = field(default_factory=asyncio.Event)
    seen: Counter[str] = field(default_factory=Counter)

    def reached(self, name: str) -> None:
        """See `CrashPoints`."""
        self.seen[name] += 1
        if name == self.name and self.seen[name] == self.nth and not self.dead.is_set():
            self.dead.set()
            self.die()
            raise Crashed(name)


@dataclass
class DurableHub:
    """What a test talks to. Payloads are JSON text."""

    hub: EmbeddedTaskHub
    app: SdkApp
    client: HubClient
    clock: Clock

    async def finished(self, instance_id: str) -> OrchestrationState:
        """The orchestration once it has finished; fails within ten seconds otherwise."""
        state = await self.client.wait_for_orchestration_completion(instance_id, timeout=10)
        assert state is not None
        return state

    async def output(self, name: str, json_input: str | None = None, **options: Any) -> str | None:
        """The JSON text an orchestration ends with; one that fails is an `AssertionError` with its error."""
        started = await self.client.schedule_new_orchestration(name, input=json_input, **options)
        state = await self.finished(started)
        assert state.runtime_status is OrchestrationStatus.COMPLETED, state.failure_details
        return state.serialized_output

    async def idle(self) -> None:
        """Return once nothing runs and everything is on disk; fails within ten seconds otherwise."""
        async with asyncio.timeout(10):
            while not self.hub.engine.idle:
                await asyncio.sleep(0)


@asynccontextmanager
async def durable_hub(
    app: df.DFApp,
    directory: Path,
    *,
    clock: Clock | None = None,
    crash: DieAt | None = None,
    versioning: Versioning | None = None,
    spans: Spans | None = None,
    sticky: bool = False,
) -> AsyncIterator[DurableHub]:
    """The hub over the state in `directory`, stopped at the end unless it has died. The clock stands still.

    With `spans` it is put together as a host does that emits spans.
    """
    sdk_app = SdkApp(app)
    clock = clock or ManualClock()
    tracing = None if spans is None else OrchestrationSpans(spans)
    hub = EmbeddedTaskHub(directory, clock, crash_points=crash, versioning=versioning, tracing=tracing)
    turns = StickyTurns(check_every=2) if sticky else None
    executor = DurableExecutor(
        sdk_app.functions, sdk_app, callable_of=sdk_app.callable_of if sticky else None, turns=turns
    )
    await hub.start(executor if spans is None else TracedExecutor(executor, spans, clock))
    if crash is not None:
        crash.die = hub.engine.die
    client = HubClient(hub.address)
    try:
        yield DurableHub(hub, sdk_app, client, clock)
    finally:
        await client.close()
        async with asyncio.timeout(5):
            await hub.stop()
