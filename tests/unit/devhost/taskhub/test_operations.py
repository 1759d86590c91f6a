"""Purging, restarting, rewinding and reading back orchestrations of the durable task hub."""

import json
from collections.abc import Awaitable, Callable, Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import grpc
import grpc.aio
import pytest
from durabletask import task
from durabletask.client import OrchestrationStatus
from durabletask.entities import EntityInstanceId
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.duration_pb2 import Duration

from devhost.clock import ManualClock
from tests.support.durable_hub import DurableHub, durable_hub
from tests.support.entity_app import make_entity_app
from tests.support.hub_population import populate

pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")

type Steps = Generator[task.Task[Any], Any, Any]


class Broken:
    """What an activity does until it is mended."""

    is_mended = False


def make_app(broken: Broken) -> df.DFApp:
    app = df.DFApp()

    @app.activity_trigger(input_name="text")
    async def mendable(text: str) -> str:
        if not broken.is_mended:
            raise ValueError(f"{text} is broken")
        return text.upper()

    @app.activity_trigger(input_name="text")
    async def fine(text: str) -> str:
        return text

    @app.orchestration_trigger(context_name="ctx")
    def work(ctx: task.OrchestrationContext, text: str) -> Steps:
        before = yield ctx.call_activity("fine", input=text)
        after = yield ctx.call_activity("mendable", input=before)
        return after

    @app.orchestration_trigger(context_name="ctx")
    def family(ctx: task.OrchestrationContext, names: list[str]) -> Steps:
        children: list[task.Task[Any]] = [
            ctx.call_sub_orchestrator("work", input=name, instance_id=f"child {name}") for name in names
        ]
        results = yield task.when_all(children)
        return results

    @app.orchestration_trigger(context_name="ctx")
    def beside(ctx: task.OrchestrationContext, _: None) -> Steps:
        timer = ctx.create_timer(timedelta(hours=1))
        yield ctx.call_activity("mendable", input="a")
        yield timer
        return "after an hour"

    @app.orchestration_trigger(context_name="ctx")
    def wait(ctx: task.OrchestrationContext, _: None) -> Steps:
        event = yield ctx.wait_for_external_event("go")
        return event

    @app.orchestration_trigger(context_name="ctx")
    def over(ctx: task.OrchestrationContext, _: None) -> Steps:
        yield ctx.call_sub_orchestrator("wait", instance_id="below")

    return app


def add_nested(app: df.DFApp) -> df.DFApp:
    @app.orchestration_trigger(context_name="ctx")
    def nested(ctx: task.OrchestrationContext, depth: int) -> Steps:
        if depth == 0:
            return (yield ctx.call_activity("mendable", input="the innermost"))
        return (yield ctx.call_sub_orchestrator("nested", input=depth - 1, instance_id=f"nested {depth - 1}"))

    return app


def mended() -> Broken:
    broken = Broken()
    broken.is_mended = True
    return broken


async def run(hub: DurableHub, name: str, given: Any = None, **options: Any) -> OrchestrationStatus:
    text = None if given is None else json.dumps(given)
    started = await hub.client.schedule_new_orchestration(name, input=text, **options)
    return (await hub.finished(started)).runtime_status


async def exists(hub: DurableHub, *instance_ids: str) -> list[bool]:
    return [await hub.client.get_orchestration_state(each) is not None for each in instance_ids]


async def rows(hub: DurableHub) -> dict[str, int]:
    """How many rows each table of the file has."""
    await hub.idle()
    connection = hub.hub.engine.context.commits.connection
    tables = ("instances", "inputs", "outputs", "history", "inbox")
    return {each: connection.execute(f"SELECT count(*) FROM {each}").fetchone()[0] for each in tables}


# -- purge -----------------------------------------------------------------------------------------------------------


async def test_a_purged_orchestration_leaves_nothing_behind(tmp_path: Path) -> None:
    async with durable_hub(make_app(mended()), tmp_path) as hub:
        await run(hub, "family", ["a", "b"], instance_id="one")
        purged = await hub.client.purge_orchestration("one")
        assert (purged.deleted_instance_count, purged.is_complete) == (3, True)
        assert set((await rows(hub)).values()) == {0}
    async with durable_hub(make_app(mended()), tmp_path) as hub:
        assert await exists(hub, "one", "child a") == [False, False]


async def test_a_purge_that_is_not_recursive_leaves_sub_orchestrations_alone(tmp_path: Path) -> None:
    async with durable_hub(make_app(mended()), tmp_path) as hub:
        await run(hub, "family", ["a"], instance_id="one")
        assert (await hub.client.purge_orchestration("one", recursive=False)).deleted_instance_count == 1
        assert await exists(hub, "one", "child a") == [False, True]


async def test_what_has_not_finished_is_never_purged(tmp_path: Path) -> None:
    async with durable_hub(make_app(mended()), tmp_path) as hub:
        await hub.client.schedule_new_orchestration("over", instance_id="above")
        await hub.idle()
        everything = await hub.client.purge_orchestrations_by(runtime_status=[OrchestrationStatus.RUNNING])
        assert everything.deleted_instance_count == 0
        assert (await hub.client.purge_orchestrations_by()).deleted_instance_count == 0
        assert (await hub.client.purge_orchestration("above")).deleted_instance_count == 0
        await hub.client.terminate_orchestration("above", recursive=False)
        await hub.finished("above")
        assert (await hub.client.purge_orchestration("above")).deleted_instance_count == 1
        assert await exists(hub, "above", "below") == [False, True]


async def test_a_filter_purges_what_was_created_in_a_time_and_ended_in_a_way(tmp_path: Path) -> None:
    broken, clock = Broken(), ManualClock()
    async with durable_hub(make_app(broken), tmp_path, clock=clock) as hub:
        for name in ("old", "new"):
            broken.is_mended = False
            await run(hub, "work", "x", instance_id=f"{name} failed")
            broken.is_mended = True
            await run(hub, "work", "x", instance_id=f"{name} completed")
            clock.advance(timedelta(hours=1))
        half = clock.now() - timedelta(hours=1)
        failed = [OrchestrationStatus.FAILED]
        purged = await hub.client.purge_orchestrations_by(created_time_to=half, runtime_status=failed)
        assert purged.deleted_instance_count == 1
        left = ["old completed", "new failed", "new completed"]
        assert await exists(hub, "old failed", *left) == [False, True, True, True]
        assert (await hub.client.purge_orchestrations_by(created_time_from=half)).deleted_instance_count == 2
        assert await exists(hub, *left) == [True, False, False]


async def test_a_filter_purges_more_than_one_go_holds(tmp_path: Path) -> None:
    async with durable_hub(df.DFApp(), tmp_path) as hub:
        populate(hub.hub.engine, 1, 501)
        purged = await hub.client.purge_orchestrations_by()
        assert (purged.deleted_instance_count, purged.is_complete) == (300, True)
        assert (await rows(hub))["instances"] == 200


async def test_a_purge_whose_time_is_over_says_that_it_is_not_complete(tmp_path: Path) -> None:
    async with durable_hub(df.DFApp(), tmp_path) as hub:
        populate(hub.hub.engine, 1, 11)
        wanted = pb.PurgeInstanceFilter(timeout=Duration(seconds=0))
        answer = await hub.client._pages.PurgeInstances(pb.PurgeInstancesRequest(purgeInstanceFilter=wanted))
        assert (answer.deletedInstanceCount, answer.isComplete.value) == (0, False)


async def test_a_batch_of_ids_is_purged_as_far_as_it_has_finished(tmp_path: Path) -> None:
    async with durable_hub(df.DFApp(), tmp_path) as hub:
        populate(hub.hub.engine, 1, 6)
        batch = pb.InstanceBatch(instanceIds=["i000001", "i000002", "nobody", "i000002", "i000005"])
        answer = await hub.client._pages.PurgeInstances(pb.PurgeInstancesRequest(instanceBatch=batch))
        assert answer.deletedInstanceCount == 2


async def test_a_purge_of_nothing_in_particular_is_refused(tmp_path: Path) -> None:
    async with durable_hub(df.DFApp(), tmp_path) as hub:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await hub.client._pages.PurgeInstances(pb.PurgeInstancesRequest(recursive=True))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_entity_at_rest_can_be_purged(tmp_path: Path) -> None:
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        counter = EntityInstanceId("counter", "a")
        await hub.client.signal_entity(counter, "add", input=1)
        await hub.idle()
        assert (await hub.client.purge_orchestration("@counter@a")).deleted_instance_count == 0
        request = pb.PurgeInstancesRequest(instanceId="@Counter@a")
        assert (await hub.client._pages.PurgeInstances(request)).deletedInstanceCount == 1
        assert await hub.client.get_entity(counter) is None
        assert (await hub.client._pages.PurgeInstances(request)).deletedInstanceCount == 0


# -- restart ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("new_id", [True, False])
async def test_a_restarted_orchestration_runs_again_with_its_input_and_tags(tmp_path: Path, new_id: bool) -> None:
    async with durable_hub(make_app(mended()), tmp_path) as hub:
        await run(hub, "work", "x", instance_id="one", tags={"team": "red"}, version="1.5")
        again = await hub.client.restart_orchestration("one", restart_with_new_instance_id=new_id)
        assert (again != "one") is new_id
        assert (await hub.finished(again)).serialized_output == '"X"'
        request = pb.GetInstanceRequest(instanceId=again, getInputsAndOutputs=True)
        state = (await hub.client._pages.GetInstance(request)).orchestrationState
        assert (dict(state.tags), state.version.value, state.input.value) == ({"team": "red"}, "1.5", '"x"')
        assert await exists(hub, "one") == [True]


# -- rewind ----------------------------------------------------------------------------------------------------------


async def test_a_rewound_orchestration_does_again_only_what_failed(tmp_path: Path) -> None:
    broken = Broken()
    async with durable_hub(make_app(broken), tmp_path) as hub:
        assert await run(hub, "work", "x", instance_id="one") is OrchestrationStatus.FAILED
        broken.is_mended = True
        await hub.client.rewind_orchestration("one", reason="mended")
        state = await hub.finished("one")
        assert (state.runtime_status, state.serialized_output) == (OrchestrationStatus.COMPLETED, '"X"')
        assert state.failure_details is None
        assert [name for name, _ in hub.app.calls].count("fine") == 1
        history = await hub.client.get_orchestration_history("one")
        assert [each.reason for each in history if type(each).__name__ == "ExecutionRewoundEvent"] == ["mended"]  # type: ignore[attr-defined]


async def test_a_rewind_survives_the_process(tmp_path: Path) -> None:
    broken = Broken()
    async with durable_hub(make_app(broken), tmp_path) as hub:
        await run(hub, "family", ["a", "b"], instance_id="one")
        hub.hub.engine.turns.executor = None
        await hub.client.rewind_orchestration("one")
    broken.is_mended = True
    async with durable_hub(make_app(broken), tmp_path) as hub:
        assert (await hub.finished("one")).serialized_output == '["A", "B"]'


async def test_rewinding_reaches_failed_sub_orchestrations_and_starts_purged_ones_anew(tmp_path: Path) -> None:
    broken = Broken()
    async with durable_hub(make_app(broken), tmp_path) as hub:
        await run(hub, "family", ["a", "b"], instance_id="one")
        await hub.finished("child a")
        await hub.finished("child b")
        await hub.client.purge_orchestration("child b")
        broken.is_mended = True
        await hub.client.rewind_orchestration("one")
        assert (await hub.finished("one")).serialized_output == '["A", "B"]'
        assert [(await hub.finished(f"child {each}")).serialized_output for each in "ab"] == ['"A"', '"B"']


async def test_a_failure_comes_up_through_150_sub_orchestrations_and_a_rewind_goes_down(tmp_path: Path) -> None:
    broken = Broken()
    async with durable_hub(add_nested(make_app(broken)), tmp_path) as hub:
        assert await run(hub, "nested", 150, instance_id="one") is OrchestrationStatus.FAILED
        failure = (await hub.finished("one")).failure_details
        levels = [failure]
        while levels[-1] is not None and levels[-1].inner_failure is not None:
            levels.append(levels[-1].inner_failure)
        assert levels[-1] is not None
        assert (levels[-1].message, len(levels) < 30) == ("the innermost is broken", True)
        broken.is_mended = True
        await hub.client.rewind_orchestration("one")
        assert (await hub.finished("one")).serialized_output == '"THE INNERMOST"'


async def test_a_timer_that_was_under_way_is_set_again(tmp_path: Path) -> None:
    broken, clock = Broken(), ManualClock()
    async with durable_hub(make_app(broken), tmp_path, clock=clock) as hub:
        assert await run(hub, "beside", instance_id="one") is OrchestrationStatus.FAILED
        broken.is_mended = True
        await hub.client.rewind_orchestration("one")
        await hub.idle()
        clock.advance(timedelta(hours=2))
        assert (await hub.finished("one")).serialized_output == '"after an hour"'


async def test_one_may_fail_and_be_rewound_as_often_as_it_takes(tmp_path: Path) -> None:
    broken = Broken()
    async with durable_hub(make_app(broken), tmp_path) as hub:
        await run(hub, "family", ["a"], instance_id="one")
        for _ in range(3):
            await hub.client.rewind_orchestration("one")
            assert (await hub.finished("one")).runtime_status is OrchestrationStatus.FAILED
        broken.is_mended = True
        await hub.client.rewind_orchestration("one")
        assert (await hub.finished("one")).serialized_output == '["A"]'


# -- what cannot be done ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("instance_id", ["nobody", "", "é", "x" * 5000, "' OR 1=1 --"])
@pytest.mark.parametrize("operation", ["restart", "rewind", "history"])
async def test_nothing_is_done_to_what_does_not_exist(tmp_path: Path, operation: str, instance_id: str) -> None:
    async with durable_hub(df.DFApp(), tmp_path) as hub:
        calls: dict[str, Callable[[str], Awaitable[Any]]] = {
            "restart": hub.client.restart_orchestration,
            "rewind": hub.client.rewind_orchestration,
            "history": hub.client.get_orchestration_history,
        }
        with pytest.raises((grpc.aio.AioRpcError, ValueError)) as refused:
            await calls[operation](instance_id)
        error = refused.value
        assert isinstance(error, ValueError) or error.code() is grpc.StatusCode.NOT_FOUND


async def test_only_a_finished_one_is_restarted_and_only_a_failed_one_rewound(tmp_path: Path) -> None:
    async with durable_hub(make_app(mended()), tmp_path) as hub:
        await hub.client.schedule_new_orchestration("wait", instance_id="waits")
        await run(hub, "work", "x", instance_id="completed")
        for refuse in (
            hub.client.restart_orchestration("waits"),
            hub.client.rewind_orchestration("waits"),
            hub.client.rewind_orchestration("completed"),
        ):
            with pytest.raises((grpc.aio.AioRpcError, ValueError)) as refused:
                await refuse
            error = refused.value
            assert isinstance(error, ValueError) or error.code() is grpc.StatusCode.FAILED_PRECONDITION


# -- history ---------------------------------------------------------------------------------------------------------


async def chunks_of(hub: DurableHub, instance_id: str) -> list[pb.HistoryChunk]:
    stream = hub.client._pages.StreamInstanceHistory(pb.StreamInstanceHistoryRequest(instanceId=instance_id))
    return [chunk async for chunk in stream]


async def test_a_long_history_comes_in_chunks_and_whole(tmp_path: Path) -> None:
    async with durable_hub(make_app(mended()), tmp_path) as hub:
        await run(hub, "family", [str(number) for number in range(60)], instance_id="long")
        sizes = [len(chunk.events) for chunk in await chunks_of(hub, "long")]
        assert len(sizes) > 1
        assert max(sizes) <= 100
        assert sum(sizes) == len(await hub.client.get_orchestration_history("long"))


async def test_chunks_of_large_payloads_fit_what_a_client_takes_in(tmp_path: Path) -> None:
    async with durable_hub(make_app(mended()), tmp_path) as hub:
        await run(hub, "work", "x" * 900_000, instance_id="large")
        sizes = [chunk.ByteSize() for chunk in await chunks_of(hub, "large")]
        assert sum(sizes) > 4_000_000
        assert max(sizes) < 2_000_000
