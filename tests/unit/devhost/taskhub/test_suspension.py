"""Suspending and resuming, faster than the orchestration takes notice of it."""

import pytest
from durabletask.client import OrchestrationStatus

from tests.support.hub_app import make_app
from tests.support.running_hub import running_hub

pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")


async def test_what_was_asked_for_last_counts() -> None:
    async with running_hub(make_app()) as hub:
        instance_id = await hub.start("waiter")
        await hub.has_status(instance_id, OrchestrationStatus.RUNNING)
        engine = hub.hub.engine
        waiter = engine.context.instances.find(instance_id)
        assert waiter is not None
        for ask in (engine.suspend, engine.resume, engine.suspend):
            ask(waiter, None)
        await hub.client.raise_orchestration_event(instance_id, "go", data='"kept"')
        await hub.has_status(instance_id, OrchestrationStatus.SUSPENDED)
        for ask in (engine.resume, engine.suspend, engine.resume, engine.resume):
            ask(waiter, None)
        assert (await hub.finished(instance_id)).serialized_output == '"kept"'


async def test_resuming_one_that_runs_changes_nothing() -> None:
    async with running_hub(make_app()) as hub:
        instance_id = await hub.start("waiter")
        await hub.client.resume_orchestration(instance_id)
        await hub.client.raise_orchestration_event(instance_id, "go", data="1")
        assert (await hub.finished(instance_id)).runtime_status is OrchestrationStatus.COMPLETED
        assert "ExecutionResumed" not in await hub.event_types(instance_id)
