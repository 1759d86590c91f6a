"""A started task hub with a `DFApp` behind it, and the SDK's client in front of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import azure.durable_functions as df
from durabletask.client import OrchestrationState, OrchestrationStatus

from devhost.clock import Clock
from devhost.taskhub.concurrency import Concurrency
from devhost.taskhub.durable_executor import DurableExecutor
from devhost.taskhub.embedded import EmbeddedTaskHub
from devhost.taskhub.hub import WorkItemExecutor
from devhost.taskhub.hub_client import HubClient
from tests.support.eventually import eventually
from tests.support.sdk_app import SdkApp


@dataclass
class RunningHub:
    """What a test talks to. Payloads are JSON text."""

    hub: EmbeddedTaskHub
    app: SdkApp
    client: HubClient

    async def start(self, name: str, json_input: str | None = None, **options: Any) -> str:
        return await self.client.schedule_new_orchestration(name, input=json_input, **options)

    async def finished(self, instance_id: str) -> OrchestrationState:
        """The orchestration once it has finished; fails within ten seconds otherwise."""
        state = await self.client.wait_for_orchestration_completion(instance_id, timeout=10)
        assert state is not None
        return state

    async def run(self, name: str, json_input: str | None = None, **options: Any) -> OrchestrationState:
        return await self.finished(await self.start(name, json_input, **options))

    async def output(self, name: str, json_input: str | None = None, **options: Any) -> str | None:
        """The JSON text an orchestration ends with; one that fails is an `AssertionError` with its error."""
        state = await self.run(name, json_input, **options)
        assert state.runtime_status is OrchestrationStatus.COMPLETED, state.failure_details
        return state.serialized_output

    async def has_status(self, instance_id: str, status: OrchestrationStatus) -> OrchestrationState:
        async def probe() -> OrchestrationState | None:
            state = await self.client.get_orchestration_state(instance_id)
            return state if state is not None and state.runtime_status is status else None

        found = await eventually(probe)
        assert found is not None
        return found

    async def event_types(self, instance_id: str) -> list[str]:
        """The kinds of events in the history, in order."""
        history = await self.client.get_orchestration_history(instance_id)
        return [type(event).__name__.removesuffix("Event") for event in history]


@asynccontextmanager
async def running_hub(
    app: df.DFApp,
    *,
    clock: Clock | None = None,
    concurrency: Concurrency | None = None,
    executor: WorkItemExecutor | None = None,
    directory: Path | None = None,
    **options: Any,
) -> AsyncIterator[RunningHub]:
    """The hub, stopped at the end. `executor` replaces the one that runs the app's functions.

    Without a `directory` its state is gone afterwards. `options` are those of `EmbeddedTaskHub`.
    """
    sdk_app = SdkApp(app)
    with TemporaryDirectory() as folder:
        hub = EmbeddedTaskHub(directory or Path(folder), clock, concurrency, **options)
        await hub.start(executor or DurableExecutor(sdk_app.functions, sdk_app))
        client = HubClient(hub.address)
        try:
            yield RunningHub(hub, sdk_app, client)
        finally:
            await client.close()
            # A test that fails may leave work that never ends, and a clock that never moves.
            async with asyncio.timeout(5):
                await hub.stop()
