"""What clients may ask of the hub and of an orchestration, seen through the SDK's client."""

import asyncio

import grpc
import grpc.aio
import pytest
from durabletask.client import OrchestrationStatus

from tests.support.hub_app import make_app
from tests.support.running_hub import running_hub

# The SDK advises once in a process; an app's own tests would see the same.
pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")


async def test_any_number_of_clients_can_wait_while_work_goes_on() -> None:
    async with running_hub(make_app()) as hub:
        waiting = await hub.start("waiter")
        waits = [asyncio.create_task(hub.finished(waiting)) for _ in range(200)]
        assert await hub.output("chain", "3") == "3"
        await hub.client.raise_orchestration_event(waiting, "go", data='"now"')
        assert {(await wait).serialized_output for wait in waits} == {'"now"'}


async def test_a_wait_that_runs_out_of_time_says_so_and_leaves_the_orchestration_alone() -> None:
    async with running_hub(make_app()) as hub:
        waiting = await hub.start("waiter")
        with pytest.raises(TimeoutError):
            await hub.client.wait_for_orchestration_completion(waiting, timeout=0.05)
        await hub.client.raise_orchestration_event(waiting, "go", data="1")
        assert (await hub.finished(waiting)).serialized_output == "1"


async def test_an_orchestration_can_be_waited_for_before_it_exists() -> None:
    async with running_hub(make_app()) as hub:
        wait = asyncio.create_task(hub.finished("later"))
        assert await hub.output("chain", "1") == "1"
        await hub.start("chain", "2", instance_id="later")
        assert (await wait).serialized_output == "2"


async def test_waiting_for_the_start_of_an_orchestration_ends_when_its_first_turn_has_run() -> None:
    async with running_hub(make_app()) as hub:
        waiting = await hub.start("waiter")
        state = await hub.client.wait_for_orchestration_start(waiting, timeout=10)
        assert state is not None
        assert state.runtime_status is OrchestrationStatus.RUNNING


async def test_a_suspended_orchestration_takes_its_events_when_it_is_resumed() -> None:
    async with running_hub(make_app()) as hub:
        waiting = await hub.start("waiter")
        await hub.has_status(waiting, OrchestrationStatus.RUNNING)
        await hub.client.suspend_orchestration(waiting)
        await hub.has_status(waiting, OrchestrationStatus.SUSPENDED)
        await hub.client.raise_orchestration_event(waiting, "go", data="7")
        assert await hub.output("chain", "1") == "1"
        await hub.has_status(waiting, OrchestrationStatus.SUSPENDED)
        await hub.client.resume_orchestration(waiting)
        assert (await hub.finished(waiting)).serialized_output == "7"


async def test_an_event_that_comes_before_anyone_waits_for_it_is_kept() -> None:
    async with running_hub(make_app()) as hub:
        waiting = await hub.start("waiter")
        await hub.client.raise_orchestration_event(waiting, "GO", data='"early"')
        assert (await hub.finished(waiting)).serialized_output == '"early"'


@pytest.mark.parametrize(
    ("finished", "code"), [(False, grpc.StatusCode.NOT_FOUND), (True, grpc.StatusCode.FAILED_PRECONDITION)]
)
async def test_control_of_an_unknown_or_finished_orchestration_is_refused(
    finished: bool, code: grpc.StatusCode
) -> None:
    async with running_hub(make_app()) as hub:
        instance_id = (await hub.run("chain", "1")).instance_id if finished else "unknown"
        for call in (
            hub.client.raise_orchestration_event(instance_id, "go"),
            hub.client.terminate_orchestration(instance_id),
            hub.client.suspend_orchestration(instance_id),
            hub.client.resume_orchestration(instance_id),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            assert refused.value.code() is code
