"""What entities of the durable task hub may rely on, seen through the SDK's client."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from durabletask import entities
from durabletask.entities import EntityInstanceId

from devhost.clock import ManualClock
from tests.support.durable_hub import DurableHub, durable_hub
from tests.support.entity_app import make_entity_app
from tests.support.eventually import eventually

# The SDK advises once in a process; an app's own tests would see the same.
pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")


async def state_of(hub: DurableHub, key: str) -> Any:
    entity = await hub.client.get_entity(EntityInstanceId("counter", key))
    return None if entity is None else json.loads(entity.get_state())


async def test_an_entity_takes_signals_and_calls_in_order(tmp_path: Path) -> None:
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        assert await hub.output("add_and_read", '"a"') == "12"
        entity = await hub.client.get_entity(entities.EntityInstanceId("COUNTER", "a"))
        assert entity is not None
        assert entity.get_state(int) == 12


async def test_a_failed_operation_reaches_its_caller_and_leaves_the_state_alone(tmp_path: Path) -> None:
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        output = json.loads(await hub.output("survive_failure", '"a"') or "")
        assert output[1] == 3
        assert "no such thing" in output[0]


async def test_an_entity_that_was_never_given_a_state_does_not_exist(tmp_path: Path) -> None:
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        await hub.client.signal_entity(EntityInstanceId("Counter", "never"), "fail")
        await hub.idle()
        assert hub.app.calls
        assert await state_of(hub, "never") is None


async def test_a_deleted_entity_does_not_exist_and_begins_anew(tmp_path: Path) -> None:
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        for operation, given, expected in [("add", 5, 5), ("delete", None, None), ("add", 2, 2)]:
            await hub.client.signal_entity(EntityInstanceId("Counter", "a"), operation, input=given)
            await hub.idle()
            assert await state_of(hub, "a") == expected


async def test_signals_that_wait_together_are_one_batch(tmp_path: Path) -> None:
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        hub.hub.engine.entities.batches.executor, executor = None, hub.hub.engine.entities.batches.executor
        for _ in range(20):
            await hub.client.signal_entity(EntityInstanceId("Counter", "a"), "add", input=1)
        hub.hub.engine.entities.batches.executor = executor
        hub.hub.engine.entities.batches.begin()
        await hub.idle()
        assert await state_of(hub, "a") == 20
        assert [reason for _, reason in hub.app.calls] == ["entity @counter@a, 20 operations"]


async def test_a_signal_for_later_is_delayed_by_the_hubs_clock_alone(tmp_path: Path) -> None:
    clock = ManualClock()
    async with durable_hub(make_entity_app(), tmp_path, clock=clock) as hub:
        due = clock.now() + timedelta(hours=1)
        await hub.client.signal_entity(EntityInstanceId("Counter", "a"), "add", input=1, signal_time=due)
        await hub.idle()
        assert await state_of(hub, "a") is None
        clock.move_to(due)
        await eventually(lambda: hub.app.calls)
        await hub.idle()
        assert await state_of(hub, "a") == 1


async def test_a_signal_for_later_survives_the_process(tmp_path: Path) -> None:
    clock = ManualClock()
    async with durable_hub(make_entity_app(), tmp_path, clock=clock) as hub:
        due = clock.now() + timedelta(hours=1)
        await hub.client.signal_entity(EntityInstanceId("Counter", "a"), "add", input=1, signal_time=due)
    clock.advance(timedelta(hours=2))
    async with durable_hub(make_entity_app(), tmp_path, clock=clock) as hub:
        await eventually(lambda: hub.app.calls)
        await hub.idle()
        assert await state_of(hub, "a") == 1


async def test_transfers_under_locks_neither_deadlock_nor_lose_anything(tmp_path: Path) -> None:
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        started = [await hub.client.schedule_new_orchestration("transfer", input="1") for _ in range(10)]
        left = [json.loads((await hub.finished(each)).serialized_output or "") for each in started]
        # Each saw what the one before it had left: nobody came in between.
        assert sorted(left) == list(range(-10, 0))
        assert (await state_of(hub, "from"), await state_of(hub, "to")) == (-10, 10)


async def locked(hub: DurableHub, key: str) -> str:
    """Start an orchestration that holds the counter's lock; its id."""
    holder = await hub.client.schedule_new_orchestration("hold", input=json.dumps(key))
    await hub.idle()
    assert (await hub.client.get_orchestration_state(holder)).serialized_custom_status == '"locked"'  # type: ignore[union-attr]
    return holder


async def test_calls_and_signals_wait_behind_a_lock(tmp_path: Path) -> None:
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        holder = await locked(hub, "a")
        await hub.client.signal_entity(EntityInstanceId("Counter", "a"), "add", input=1)
        reader = await hub.client.schedule_new_orchestration("read", input='"a"')
        await hub.idle()
        assert await state_of(hub, "a") is None
        await hub.client.raise_orchestration_event(holder, "go")
        assert (await hub.finished(reader)).serialized_output == "1"


async def test_what_waits_behind_a_lock_survives_the_process(tmp_path: Path) -> None:
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        holder = await locked(hub, "a")
        await hub.client.signal_entity(EntityInstanceId("Counter", "a"), "add", input=1)
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        await hub.idle()
        assert not hub.app.calls
        await hub.client.raise_orchestration_event(holder, "go")
        assert (await hub.finished(holder)).serialized_output == '"let go"'
        await hub.idle()
        assert await state_of(hub, "a") == 1


async def test_an_owner_that_is_terminated_lets_go_of_its_locks_and_of_those_it_waits_for(tmp_path: Path) -> None:
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        holder, waiter = await locked(hub, "a"), await hub.client.schedule_new_orchestration("hold", input='"a"')
        await hub.idle()
        await hub.client.terminate_orchestration(waiter)
        await hub.client.terminate_orchestration(holder)
        await hub.finished(holder)
        await hub.finished(waiter)
        assert await hub.output("read", '"a"') == "0"
