"""An engine on a file of its own, with an app behind it and a clock that moves when nothing else can happen."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df

from devhost.clock import ManualClock
from devhost.taskhub.concurrency import Concurrency
from devhost.taskhub.durable_executor import DurableExecutor
from devhost.taskhub.engine.crash_points import CrashPoints
from devhost.taskhub.engine.engine import Engine
from devhost.taskhub.engine.identifiers import Ids
from devhost.taskhub.engine.lifecycle import Beginning
from devhost.taskhub.hub import WorkItemExecutor
from tests.support.sdk_app import SdkApp

_PATIENCE = 1_000_000


class EngineGround:
    """What a test talks to. Its orchestrators run on the event loop, so that nothing depends on threads."""

    def __init__(
        self,
        path: Path,
        app: df.DFApp,
        *,
        clock: ManualClock | None = None,
        seed: int = 0,
        crash_points: CrashPoints | None = None,
        concurrency: Concurrency | None = None,
    ) -> None:
        self.clock = clock or ManualClock()
        self.engine = Engine(path, self.clock, concurrency, ids=Ids(seed), crash_points=crash_points)
        self._app = app

    def start(self, executor: WorkItemExecutor | None = None) -> None:
        """Take up what there is, and run the app's functions."""
        self.engine.start(executor or executor_of(self._app))

    async def begin(self, name: str, json_input: str | None = None, instance_id: str = "", **options: Any) -> str:
        """Start an orchestration; it is on disk when this returns."""
        instance = self.engine.begin(Beginning(name=name, instance_id=instance_id, input=json_input, **options))
        await self.engine.settled()
        return instance.id

    async def raise_event(self, instance_id: str, name: str, data: str | None = None) -> None:
        """Raise an event; it is on disk when this returns."""
        instance = self.engine.context.instances.find(instance_id)
        assert instance is not None, instance_id
        self.engine.raise_event(instance, name, data)
        await self.engine.settled()

    async def still(self) -> None:
        """Return once nothing can happen before the clock moves, or the engine has died."""
        for _ in range(_PATIENCE):
            if self.engine.idle or self.engine.context.commits.failed is not None:
                return
            await asyncio.sleep(0)
        raise AssertionError("the engine does not come to rest")

    async def run_dry(self) -> None:
        """Let everything happen that can happen by itself, however long it takes on the clock."""
        await self.still()
        while self.engine.context.commits.failed is None and (due := self.engine.next_due) is not None:
            self.clock.move_to(due)
            await self.still()

    def output(self, instance_id: str) -> str | None:
        """The JSON text that is on disk as the instance's output."""
        record = self.engine.context.journal.find(instance_id)
        assert record is not None, instance_id
        return self.engine.context.journal.output_text(record.key)

    def status(self, instance_id: str) -> int:
        """The status that is on disk."""
        record = self.engine.context.journal.find(instance_id)
        assert record is not None, instance_id
        return record.status

    def event_types(self, instance_id: str) -> list[str]:
        """The kinds of the events in the history that is on disk."""
        record = self.engine.context.journal.find(instance_id)
        assert record is not None, instance_id
        return [str(each.WhichOneof("eventType")) for each in self.engine.context.journal.history(record.key)]

    async def close(self) -> None:
        """Stop the engine; what still runs is cancelled."""
        await self.engine.stop(timedelta(0))


def executor_of(app: df.DFApp) -> DurableExecutor:
    """Runs the app's functions, orchestrators on the event loop."""
    sdk_app = SdkApp(app)
    return DurableExecutor(sdk_app.functions, sdk_app, callable_of=sdk_app.callable_of)
