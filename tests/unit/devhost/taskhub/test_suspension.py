"""Suspending and resuming, faster than the orchestration takes notice of it."""

import asyncio

from durabletask.client import OrchestrationStatus

from tests.support.hub_app import make_app
from tests.support.running_hub import running_hub


async def test_what_was_asked_for_last_counts() -> None:
    async with running_hub(make_app()) as hub:
        instance_id = await hub.start("waiter")
        await hub.has_status(instance_id, OrchestrationStatus.RUNNING)
        suspend, resume = hub.client.suspend_orchestration, hub.client.resume_orchestration
        await asyncio.gather(*(call(instance_id) for call in (suspend, resume, suspend)))
        await hub.client.raise_orchestration_event(instance_id, "go", data='"kept"')
        await hub.has_status(instance_id, OrchestrationStatus.SUSPENDED)
        await asyncio.gather(*(call(instance_id) for call in (resume, suspend, resume, resume)))
        assert (await hub.finished(instance_id)).serialized_output == '"kept"'


async def test_resuming_one_that_runs_changes_nothing() -> None:
    async with running_hub(make_app()) as hub:
        instance_id = await hub.start("waiter")
        await hub.client.resume_orchestration(instance_id)
        await hub.client.raise_orchestration_event(instance_id, "go", data="1")
        assert (await hub.finished(instance_id)).runtime_status is OrchestrationStatus.COMPLETED
        assert "ExecutionResumed" not in await hub.event_types(instance_id)
