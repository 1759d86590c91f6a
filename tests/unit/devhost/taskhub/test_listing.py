"""Listings of the durable task hub: what they show, how they page, and what a page costs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import grpc
import grpc.aio
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from tests.support.durable_hub import DurableHub, durable_hub
from tests.support.hub_population import populate, populate_entities, sqlite_cost

FINISHED = [pb.ORCHESTRATION_STATUS_COMPLETED, pb.ORCHESTRATION_STATUS_FAILED, pb.ORCHESTRATION_STATUS_TERMINATED]
FAILED_OR_SUSPENDED = [pb.ORCHESTRATION_STATUS_FAILED, pb.ORCHESTRATION_STATUS_SUSPENDED]
type Ids = Callable[..., Awaitable[tuple[list[str], str]]]


@asynccontextmanager
async def populated(directory: Path, count: int) -> AsyncIterator[DurableHub]:
    async with durable_hub(df.DFApp(), directory) as hub:
        populate(hub.hub.engine, 1, count + 1)
        populate_entities(hub.hub.engine, 1, count + 1)
        yield hub


async def instances(hub: DurableHub, token: str = "", size: int = 0, **query: Any) -> tuple[list[str], str]:
    asked = pb.InstanceQuery(maxInstanceCount=size, continuationToken=StringValue(value=token), **query)
    answer = await hub.client._pages.QueryInstances(pb.QueryInstancesRequest(query=asked))
    return [each.instanceId for each in answer.orchestrationState], answer.continuationToken.value


async def finished(hub: DurableHub, token: str = "", size: int = 0, **query: Any) -> tuple[list[str], str]:
    asked = pb.ListInstanceIdsRequest(pageSize=size, lastInstanceKey=StringValue(value=token), **query)
    answer = await hub.client._pages.ListInstanceIds(asked)
    return list(answer.instanceIds), answer.lastInstanceKey.value


async def entities(hub: DurableHub, token: str = "", size: int = 0, **query: Any) -> tuple[list[str], str]:
    asked = pb.EntityQuery(
        pageSize=Int32Value(value=size), continuationToken=StringValue(value=token), includeState=True, **query
    )
    answer = await hub.client._pages.QueryEntities(pb.QueryEntitiesRequest(query=asked))
    return [each.instanceId for each in answer.entities], answer.continuationToken.value


async def all_pages(listing: Ids, hub: DurableHub, size: int, **query: Any) -> list[str]:
    found, token = await listing(hub, size=size, **query)
    while token:
        page, token = await listing(hub, token, size=size, **query)
        found += page
    return found


def second(number: int) -> Timestamp:
    """When `populate` has the instance of this number created."""
    return Timestamp(seconds=number)


def named(*numbers: int) -> list[str]:
    return [f"i{number:06}" for number in numbers]


@pytest.mark.parametrize("size", [1, 3, 7, 100])
async def test_pages_of_any_length_show_each_orchestration_once_in_the_order_of_creation(
    tmp_path: Path, size: int
) -> None:
    async with populated(tmp_path, 20) as hub:
        assert await all_pages(instances, hub, size) == named(*range(1, 21))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"runtimeStatus": [pb.ORCHESTRATION_STATUS_RUNNING]}, [1, 6, 11, 16]),
        ({"runtimeStatus": [pb.ORCHESTRATION_STATUS_FAILED]}, [2, 7, 12, 17]),
        ({"runtimeStatus": FINISHED}, [2, 3, 5, 7, 8, 10, 12, 13, 15, 17, 18, 20]),
        ({"runtimeStatus": FAILED_OR_SUSPENDED}, [2, 4, 7, 9, 12, 14, 17, 19]),
        ({"runtimeStatus": [pb.ORCHESTRATION_STATUS_CANCELED]}, []),
        ({"createdTimeFrom": second(18)}, [18, 19, 20]),
        ({"createdTimeTo": second(3)}, [1, 2]),
        ({"createdTimeFrom": second(4), "createdTimeTo": second(6)}, [4, 5]),
        ({"createdTimeFrom": second(6), "createdTimeTo": second(4)}, []),
        ({"instanceIdPrefix": StringValue(value="i00001")}, list(range(10, 20))),
        ({"instanceIdPrefix": StringValue(value="I")}, []),
        ({"instanceIdPrefix": StringValue(value="i00001"), "runtimeStatus": FINISHED}, [10, 12, 13, 15, 17, 18]),
        ({"instanceIdPrefix": StringValue(value="i00001"), "createdTimeFrom": second(18)}, [18, 19]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [2, 100])
async def test_filters_leave_out_the_others(
    tmp_path: Path, query: dict[str, Any], expected: list[int], size: int
) -> None:
    async with populated(tmp_path, 20) as hub:
        assert await all_pages(instances, hub, size, **query) == named(*expected)


@pytest.mark.parametrize("size", [2, 100])
async def test_finished_ones_are_listed_in_the_order_in_which_they_finished(tmp_path: Path, size: int) -> None:
    async with populated(tmp_path, 20) as hub:
        assert await all_pages(finished, hub, size) == named(2, 3, 5, 7, 8, 10, 12, 13, 15, 17, 18, 20)
        failed = {"runtimeStatus": [pb.ORCHESTRATION_STATUS_FAILED]}
        assert await all_pages(finished, hub, size, **failed) == named(2, 7, 12, 17)
        between = {"completedTimeFrom": second(7), "completedTimeTo": second(12)}
        assert await all_pages(finished, hub, size, **between) == named(7, 8, 10)


@pytest.mark.parametrize("size", [3, 100])
async def test_entities_are_listed_in_the_order_of_their_ids(tmp_path: Path, size: int) -> None:
    async with populated(tmp_path, 20) as hub:
        everything = [f"@counter@k{number:06}" for number in range(1, 21)]
        assert await all_pages(entities, hub, size) == everything
        prefix = {"instanceIdStartsWith": StringValue(value="@COUNTER@k00001")}
        assert await all_pages(entities, hub, size, **prefix) == everything[9:19]
        late = {"lastModifiedFrom": Timestamp(nanos=19_000)}
        assert await all_pages(entities, hub, size, **late) == everything[18:]


@pytest.mark.parametrize("listing", [instances, finished])
async def test_a_page_goes_on_where_the_last_one_ended_while_others_come_and_go(tmp_path: Path, listing: Ids) -> None:
    async with populated(tmp_path, 20) as hub:
        first, token = await listing(hub, size=4)
        await hub.client.purge_orchestration(first[1])
        await hub.client.purge_orchestration("i000018")
        populate(hub.hub.engine, 21, 24)
        rest: list[str] = []
        while token:
            page, token = await listing(hub, token, size=4)
            rest += page
        numbers = [int(each[1:]) for each in [*first, *rest]]
        expected = [each for each in range(1, 24) if each != 18 and (listing is instances or each % 5 not in (1, 4))]
        assert numbers == expected


async def test_a_token_is_good_after_a_restart(tmp_path: Path) -> None:
    async with populated(tmp_path, 20) as hub:
        tokens = [(await listing(hub, size=12))[1] for listing in (instances, entities)]
    async with durable_hub(df.DFApp(), tmp_path) as hub:
        assert await instances(hub, tokens[0]) == (named(*range(13, 21)), "")
        assert len((await entities(hub, tokens[1]))[0]) == 8


@pytest.mark.parametrize("listing", [instances, finished, entities])
@pytest.mark.parametrize("token", ["0", "5", "i000003", "\x00", "é", "AAAAAAAAAAA", "a" * 5000])
async def test_a_forged_token_is_refused(tmp_path: Path, listing: Ids, token: str) -> None:
    async with populated(tmp_path, 2) as hub:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await listing(hub, token)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "not one that this task hub gave out" in str(refused.value.details())


async def test_a_token_of_another_listing_is_refused(tmp_path: Path) -> None:
    async with populated(tmp_path, 20) as hub:
        _, token = await instances(hub, size=4)
        for listing, query in [
            (entities, {}),
            (finished, {}),
            (instances, {"instanceIdPrefix": StringValue(value="i")}),
        ]:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await listing(hub, token, **query)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("listing", [instances, finished, entities])
async def test_a_page_cannot_be_shorter_than_nothing(tmp_path: Path, listing: Ids) -> None:
    async with populated(tmp_path, 2) as hub:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await listing(hub, size=-1)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_times_out_of_every_calendar_are_no_trouble(tmp_path: Path) -> None:
    async with populated(tmp_path, 3) as hub:
        always = {"createdTimeFrom": Timestamp(seconds=-(2**62)), "createdTimeTo": Timestamp(seconds=2**62)}
        assert await instances(hub, **always) == (named(1, 2, 3), "")


async def test_a_page_of_large_payloads_ends_before_it_is_too_large_for_a_client(tmp_path: Path) -> None:
    async with populated(tmp_path, 0) as hub:
        for _ in range(6):
            await hub.client.schedule_new_orchestration("nobody", input='"' + "x" * 1_000_000 + '"')
        async with asyncio.timeout(10):
            while not hub.hub.engine.idle:
                await asyncio.sleep(0)
        page, token = await instances(hub, fetchInputsAndOutputs=True)
        assert 0 < len(page) < 6
        assert len(await all_pages(instances, hub, 0, fetchInputsAndOutputs=True)) == 6
        assert token
        assert len((await instances(hub))[0]) == 6


@pytest.mark.parametrize(
    ("listing", "query"),
    [
        (instances, {}),
        (instances, {"runtimeStatus": [pb.ORCHESTRATION_STATUS_FAILED]}),
        (instances, {"runtimeStatus": [pb.ORCHESTRATION_STATUS_RUNNING]}),
        (instances, {"runtimeStatus": FINISHED, "createdTimeFrom": second(150)}),
        (instances, {"createdTimeFrom": second(150)}),
        (instances, {"instanceIdPrefix": StringValue(value="i0001")}),
        (finished, {}),
        (finished, {"completedTimeFrom": second(150)}),
        (entities, {}),
        (entities, {"instanceIdStartsWith": StringValue(value="@counter@k0001")}),
    ],
)
async def test_a_page_costs_what_it_holds_however_much_the_hub_keeps(
    tmp_path: Path, listing: Ids, query: dict[str, Any]
) -> None:
    async with populated(tmp_path, 300) as hub:
        connection = hub.hub.engine.context.commits.connection
        _, token = await listing(hub, size=10, **query)
        with sqlite_cost(connection) as small:
            before = await listing(hub, token, size=10, **query)
        populate(hub.hub.engine, 301, 30_000)
        populate_entities(hub.hub.engine, 301, 30_000)
        with sqlite_cost(connection) as large:
            after = await listing(hub, token, size=10, **query)
        assert after[0] == before[0]
        assert large.tens <= small.tens * 1.2 + 10
