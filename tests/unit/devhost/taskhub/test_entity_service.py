"""Reading, listing and cleaning the entities of the durable task hub."""

import json
from datetime import timedelta
from pathlib import Path

import grpc
import grpc.aio
import pytest
from durabletask.entities import EntityInstanceId
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

from devhost.clock import ManualClock
from tests.support.durable_hub import DurableHub, durable_hub
from tests.support.entity_app import make_entity_app

pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")


def counter(key: str) -> EntityInstanceId:
    return EntityInstanceId("counter", key)


async def send(hub: DurableHub, key: str, operation: str, given: int | None = None) -> None:
    await hub.client.signal_entity(counter(key), operation, input=given)
    await hub.idle()


async def metadata(hub: DurableHub, key: str) -> pb.EntityMetadata:
    request = pb.GetEntityRequest(instanceId=f"@Counter@{key}", includeState=True)
    answer = await hub.client._pages.GetEntity(request)
    assert answer.exists
    return answer.entity  # type: ignore[no-any-return]


async def listed(hub: DurableHub, **query: object) -> list[pb.EntityMetadata]:
    request = pb.QueryEntitiesRequest(query=pb.EntityQuery(**query))  # type: ignore[arg-type]
    return list((await hub.client._pages.QueryEntities(request)).entities)


async def clean(hub: DurableHub, **what: object) -> tuple[int, int]:
    answer = await hub.client._pages.CleanEntityStorage(pb.CleanEntityStorageRequest(**what))  # type: ignore[arg-type]
    assert not answer.HasField("continuationToken")
    return answer.emptyEntitiesRemoved, answer.orphanedLocksReleased


async def hold(hub: DurableHub, key: str) -> str:
    """An orchestration that has locked the counter; its id."""
    holder = await hub.client.schedule_new_orchestration("hold", input=json.dumps(key))
    await hub.idle()
    return holder


async def test_an_entity_tells_its_state_and_when_it_last_did_something(tmp_path: Path) -> None:
    clock = ManualClock()
    async with durable_hub(make_entity_app(), tmp_path, clock=clock) as hub:
        await send(hub, "a", "add", 1)
        clock.advance(timedelta(hours=1))
        await send(hub, "a", "add", 1)
        entity = await metadata(hub, "a")
        assert (entity.instanceId, entity.serializedState.value, entity.backlogQueueSize) == ("@counter@a", "2", 0)
        assert entity.lastModifiedTime.ToDatetime() == clock.now().replace(tzinfo=None)
        assert not entity.HasField("lockedBy")


async def test_the_state_is_left_out_when_nobody_asks_for_it(tmp_path: Path) -> None:
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        await send(hub, "a", "add", 1)
        answer = await hub.client._pages.GetEntity(pb.GetEntityRequest(instanceId="@counter@a"))
        assert answer.exists
        assert not answer.entity.HasField("serializedState")
        assert not (await listed(hub))[0].HasField("serializedState")


async def test_a_locked_entity_names_its_owner_and_counts_what_waits(tmp_path: Path) -> None:
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        await send(hub, "a", "add", 1)
        holder = await hold(hub, "a")
        await send(hub, "a", "add", 1)
        await send(hub, "a", "add", 1)
        entity = await metadata(hub, "a")
        assert (entity.lockedBy.value, entity.backlogQueueSize) == (holder, 2)


async def test_entities_without_a_state_are_listed_only_when_asked_for(tmp_path: Path) -> None:
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        await send(hub, "real", "add", 1)
        await send(hub, "deleted", "delete")
        await hold(hub, "locked")
        assert [each.instanceId for each in await listed(hub)] == ["@counter@real"]
        everything = [each.instanceId for each in await listed(hub, includeTransient=True)]
        assert everything == ["@counter@deleted", "@counter@locked", "@counter@real"]


async def test_cleaning_forgets_what_is_empty_and_nothing_else(tmp_path: Path) -> None:
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        await send(hub, "real", "add", 1)
        for number in range(5):
            await send(hub, f"deleted {number}", "delete")
        await hold(hub, "locked")
        await send(hub, "locked", "add", 1)
        assert await clean(hub, releaseOrphanedLocks=True) == (0, 0)
        assert await clean(hub, removeEmptyEntities=True) == (5, 0)
        assert await clean(hub, removeEmptyEntities=True) == (0, 0)
        everything = [each.instanceId for each in await listed(hub, includeTransient=True)]
        assert everything == ["@counter@locked", "@counter@real"]


async def test_a_forgotten_entity_begins_anew(tmp_path: Path) -> None:
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        await send(hub, "a", "delete")
        await clean(hub, removeEmptyEntities=True)
        await send(hub, "a", "add", 3)
        assert (await metadata(hub, "a")).serializedState.value == "3"


async def test_cleaning_releases_a_lock_whose_owner_is_gone(tmp_path: Path) -> None:
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        await send(hub, "a", "add", 1)
        # No orchestration leaves a lock behind here; a file that was repaired by hand may have one.
        connection = hub.hub.engine.context.commits.connection
        connection.execute("UPDATE entities SET owner='gone', section='its own'")
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        await send(hub, "a", "add", 1)
        assert (await metadata(hub, "a")).serializedState.value == "1"
        assert await clean(hub, releaseOrphanedLocks=True) == (0, 1)
        await hub.idle()
        assert (await metadata(hub, "a")).serializedState.value == "2"


async def test_the_lock_of_an_orchestration_that_goes_on_is_left_alone(tmp_path: Path) -> None:
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        holder = await hold(hub, "a")
        await hub.client.suspend_orchestration(holder)
        await hub.idle()
        assert await clean(hub, releaseOrphanedLocks=True, removeEmptyEntities=True) == (0, 0)


async def test_many_empty_entities_are_forgotten_in_several_calls(tmp_path: Path) -> None:
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        connection = hub.hub.engine.context.commits.connection
        connection.execute("BEGIN")
        rows = [(f"@counter@k{number}",) for number in range(2500)]
        connection.executemany("INSERT INTO entities(entity_id,modified_at) VALUES(?,0)", rows)
        connection.execute("COMMIT")
        cleaned = await hub.client.clean_entity_storage(remove_empty_entities=True)
        assert cleaned.empty_entities_removed == 2500


@pytest.mark.parametrize("identity", ["", "counter", "@counter", "@@a", "@a@", "@a@b@c"])
async def test_what_is_no_entitys_id_is_refused(tmp_path: Path, identity: str) -> None:
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        pages = hub.client._pages
        for call in (
            pages.GetEntity(pb.GetEntityRequest(instanceId=identity)),
            pages.SignalEntity(pb.SignalEntityRequest(instanceId=identity, name="add")),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("token", ["0", "x" * 50, "é"])
async def test_a_forged_token_cleans_nothing(tmp_path: Path, token: str) -> None:
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        await send(hub, "a", "delete")
        request = pb.CleanEntityStorageRequest(removeEmptyEntities=True, continuationToken=StringValue(value=token))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await hub.client._pages.CleanEntityStorage(request)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert len(await listed(hub, includeTransient=True)) == 1
