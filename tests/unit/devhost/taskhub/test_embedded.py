"""How the hub hands out work, starts and stops; seen through the SDK's client."""

import asyncio
import contextlib
import json
import logging
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from durabletask import task
from durabletask.client import OrchestrationStatus
from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.clock import ManualClock
from devhost.errors import StartError
from devhost.taskhub.concurrency import Concurrency
from devhost.taskhub.embedded import EmbeddedTaskHub
from devhost.taskhub.engine.activities import RERUN_AFTER
from devhost.taskhub.hub import Turn
from tests.support.eventually import eventually
from tests.support.hub_app import Steps, make_app
from tests.support.running_hub import running_hub

# The SDK advises once in a process; an app's own tests would see the same.
pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")


async def test_a_chain_of_activities_hands_each_result_to_the_next() -> None:
    async with running_hub(make_app()) as hub:
        assert await hub.output("chain", "10") == "10"


async def test_a_fan_out_ends_with_every_result_without_any_poll_or_clock_to_wake_it() -> None:
    async with running_hub(make_app(), clock=ManualClock()) as hub:
        assert await hub.output("fan", "60") == str(sum(range(1, 61)))


async def test_many_orchestrations_at_once_all_finish() -> None:
    async with running_hub(make_app(), clock=ManualClock()) as hub:
        outputs = await asyncio.gather(*(hub.output("chain", "3") for _ in range(50)))
        assert outputs == ["3"] * 50


async def test_no_more_activities_run_at_once_than_allowed_and_as_many_as_allowed_do() -> None:
    app = make_app()
    running, most = 0, 0
    three_run = asyncio.Event()

    @app.activity_trigger(input_name="number")
    async def counted(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 3:
            three_run.set()
        await three_run.wait()
        await asyncio.sleep(0)
        running -= 1
        return number

    @app.orchestration_trigger(context_name="ctx")
    def fan_counted(ctx: task.OrchestrationContext, width: int) -> Steps:
        results = yield task.when_all([ctx.call_activity("counted", input=each) for each in range(width)])
        return len(results)

    async with running_hub(app, concurrency=Concurrency(activities=3)) as hub:
        assert await hub.output("fan_counted", "12") == "12"
    assert most == 3


@pytest.mark.parametrize("limit", [0, -1])
@pytest.mark.parametrize("kind", ["orchestrators", "activities", "entities"])
def test_a_limit_below_one_is_refused_by_name(kind: str, limit: int) -> None:
    with pytest.raises(ValueError, match=kind):
        Concurrency(**{kind: limit})


class FailsOnce:
    """An executor whose first orchestrator turn cannot be run."""

    def __init__(self) -> None:
        self.turns = 0

    async def orchestrator(self, turn: Turn) -> pb.OrchestratorResponse:
        self.turns += 1
        if self.turns == 1:
            raise ConnectionError("no worker")
        done = pb.CompleteOrchestrationAction(orchestrationStatus=pb.ORCHESTRATION_STATUS_COMPLETED)
        actions = [pb.OrchestratorAction(id=1, completeOrchestration=done)]
        return pb.OrchestratorResponse(instanceId=turn.instance_id, actions=actions)

    async def activity(self, request: pb.ActivityRequest) -> pb.ActivityResponse:
        raise AssertionError(request)

    async def entity(self, request: pb.EntityBatchRequest) -> pb.EntityBatchResult:
        raise AssertionError(request)

    def forget(self, instance_id: str, execution_id: str) -> None:
        """Nothing is kept."""


async def test_a_work_item_that_could_not_be_run_is_run_again_later() -> None:
    clock, executor = ManualClock(), FailsOnce()
    async with running_hub(make_app(), clock=clock, executor=executor) as hub:
        running = await hub.start("chain", "1")
        await eventually(lambda: executor.turns)
        for _ in range(5):
            assert (await hub.has_status(running, OrchestrationStatus.PENDING)).instance_id == running
        assert executor.turns == 1
        clock.advance(RERUN_AFTER)
        assert (await hub.finished(running)).runtime_status is OrchestrationStatus.COMPLETED


class ActivityFailsOnce(FailsOnce):
    """An executor whose first activity cannot be run, and whose orchestrators wait for one activity."""

    def __init__(self) -> None:
        super().__init__()
        self.activities = 0

    async def orchestrator(self, turn: Turn) -> pb.OrchestratorResponse:
        self.turns += 1
        if any(each.HasField("taskCompleted") for each in turn.events()):
            return await super().orchestrator(turn)
        scheduled = pb.OrchestratorAction(id=1, scheduleTask=pb.ScheduleTaskAction(name="echo"))
        return pb.OrchestratorResponse(instanceId=turn.instance_id, actions=[scheduled])

    async def activity(self, request: pb.ActivityRequest) -> pb.ActivityResponse:
        self.activities += 1
        if self.activities == 1:
            raise ConnectionError("no worker")
        return pb.ActivityResponse(instanceId=request.orchestrationInstance.instanceId, taskId=request.taskId)


async def test_an_activity_that_could_not_be_run_is_run_again_later_and_the_hub_goes_on() -> None:
    clock, executor = ManualClock(), ActivityFailsOnce()
    async with running_hub(make_app(), clock=clock, executor=executor) as hub:
        running = await hub.start("chain", "1")
        await eventually(lambda: executor.activities)
        for _ in range(5):
            await hub.has_status(running, OrchestrationStatus.RUNNING)
        assert executor.activities == 1
        clock.advance(RERUN_AFTER)
        assert (await hub.finished(running)).runtime_status is OrchestrationStatus.COMPLETED


async def test_stopping_lets_a_running_activity_finish() -> None:
    app = make_app()
    started, release, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @app.activity_trigger(input_name="nothing")
    async def slow(nothing: None) -> None:
        started.set()
        await release.wait()
        ended.set()

    @app.orchestration_trigger(context_name="ctx")
    def one(ctx: task.OrchestrationContext, _: None) -> Steps:
        yield ctx.call_activity("slow")

    async with running_hub(app, clock=ManualClock()) as hub:
        await hub.start("one")
        await started.wait()
        stopping = asyncio.create_task(hub.hub.stop())
        await asyncio.sleep(0)
        assert not stopping.done()
        release.set()
        await stopping
        assert ended.is_set()


async def test_stopping_cancels_what_still_runs_when_its_time_is_up(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()
    started = asyncio.Event()

    @app.activity_trigger(input_name="nothing")
    async def endless(nothing: None) -> None:
        started.set()
        await asyncio.Event().wait()

    @app.orchestration_trigger(context_name="ctx")
    def one(ctx: task.OrchestrationContext, _: None) -> Steps:
        yield ctx.call_activity("endless")

    clock = ManualClock()
    async with running_hub(app, clock=clock) as hub:
        await hub.start("one")
        await started.wait()
        stopping = asyncio.create_task(hub.hub.stop())
        await asyncio.sleep(0)
        clock.advance(timedelta(seconds=30))
        await stopping
    assert "1 work items were still running" in caplog.text


async def test_a_stopped_hub_leaves_no_tasks_behind_even_with_timers_set_and_clients_waiting() -> None:
    before = asyncio.all_tasks()
    async with running_hub(make_app(), clock=ManualClock()) as hub:
        await hub.start("sleeper", "24")
        waiting = asyncio.create_task(hub.finished(await hub.start("waiter")))
        await hub.output("chain", "1")
        await hub.hub.stop()
        with pytest.raises(grpc.aio.AioRpcError, match="the task hub stops"):
            await waiting
    await eventually(lambda: asyncio.all_tasks() == before)


async def test_the_hub_goes_on_after_a_restart_and_says_with_what(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="devhost.taskhub")
    clock = ManualClock()
    async with running_hub(make_app(), clock=clock, directory=tmp_path) as hub:
        sleeping, waiting = await hub.start("sleeper", "24"), await hub.start("waiter")
        await eventually(lambda: hub.hub.engine.idle)
    assert "nothing was under way" in caplog.text
    async with running_hub(make_app(), clock=clock, directory=tmp_path) as hub:
        assert "2 orchestrations under way: 0 activities to run again, 1 timer set, 0 events to take in" in caplog.text
        await hub.client.raise_orchestration_event(waiting, "go", data='"now"')
        clock.advance(timedelta(hours=24))
        assert (await hub.finished(waiting)).serialized_output == '"now"'
        assert (await hub.finished(sleeping)).runtime_status is OrchestrationStatus.COMPLETED


@pytest.mark.parametrize(
    "damage",
    [
        "INSERT INTO inbox(id,key,event) VALUES(99,1,x'ffff')",
        "UPDATE history SET events=x'ffff'",
        "UPDATE instances SET tags='{'",
        "DROP TABLE entities",
        "DROP TABLE inbox",
        "DROP TABLE secrets",
    ],
)
async def test_a_file_whose_content_is_damaged_is_refused_in_words_and_let_go(tmp_path: Path, damage: str) -> None:
    async with running_hub(make_app(), directory=tmp_path) as hub:
        await hub.start("waiter")
        await eventually(lambda: hub.hub.engine.idle)
    with contextlib.closing(sqlite3.connect(tmp_path / "hub.sqlite")) as file:
        file.execute(damage)
        file.commit()
    with pytest.raises(StartError, match=r"hub.sqlite is damaged: .*move it away"):
        async with running_hub(make_app(), directory=tmp_path):
            pass
    with contextlib.closing(sqlite3.connect(tmp_path / "hub.sqlite", timeout=0)) as file:
        file.execute("BEGIN EXCLUSIVE")


async def test_there_is_no_address_before_the_start(tmp_path: Path) -> None:
    hub = EmbeddedTaskHub(tmp_path)
    with pytest.raises(RuntimeError, match="started"):
        _ = hub.address
    await hub.stop()


async def test_a_payload_of_several_megabytes_passes() -> None:
    app = make_app()

    @app.orchestration_trigger(context_name="ctx")
    def length(ctx: task.OrchestrationContext, text: str) -> list[Any]:
        return [len(text), text]

    async with running_hub(app) as hub:
        output = await hub.output("length", json.dumps("x" * 9_000_000))
        assert output is not None
        assert len(output) > 9_000_000
