"""Sub-orchestrations and rewinding, seen through the SDK's client."""

import asyncio

import pytest
from durabletask import task
from durabletask.client import OrchestrationStatus

from devhost.clock import ManualClock
from tests.support.eventually import eventually
from tests.support.hub_app import HOUR, Steps, make_app, move
from tests.support.running_hub import running_hub

# The SDK advises once in a process; an app's own tests would see the same.
pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")


async def test_a_sub_orchestration_may_take_any_time() -> None:
    clock = ManualClock()
    async with running_hub(make_app(), clock=clock) as hub:
        running = await hub.start("parent", '["sleeper", 24]')
        child = f"{running}-child"
        await hub.has_status(child, OrchestrationStatus.RUNNING)
        await move(hub, clock, child, "TimerCreated", 24 * HOUR)
        assert (await hub.finished(running)).serialized_output == '"2026-01-02T00:00:00"'


async def test_a_failed_sub_orchestration_fails_its_parent_with_its_own_error() -> None:
    app = make_app()

    @app.orchestration_trigger(context_name="ctx")
    def broken(ctx: task.OrchestrationContext, _: None) -> Steps:
        yield ctx.call_activity("add_one", input=1)
        raise LookupError("nothing there")

    @app.orchestration_trigger(context_name="ctx")
    def catching(ctx: task.OrchestrationContext, _: None) -> Steps:
        try:
            yield ctx.call_sub_orchestrator("broken")
        except task.TaskFailedError as failure:
            return [failure.details.error_type, failure.details.message]

    async with running_hub(app) as hub:
        assert await hub.output("catching") == '["builtins.LookupError", "nothing there"]'


async def test_termination_reaches_sub_orchestrations_and_names_its_reason() -> None:
    async with running_hub(make_app()) as hub:
        running = await hub.start("parent", '["waiter", null]')
        await hub.has_status(f"{running}-child", OrchestrationStatus.RUNNING)
        await hub.client.terminate_orchestration(running, output='"enough"')
        for instance_id in (running, f"{running}-child"):
            state = await hub.finished(instance_id)
            assert state.runtime_status is OrchestrationStatus.TERMINATED
            assert state.serialized_output == '"enough"'


async def test_a_terminated_sub_orchestration_fails_the_parent_that_waits_for_it() -> None:
    async with running_hub(make_app()) as hub:
        running = await hub.start("parent", '["waiter", null]')
        await hub.has_status(f"{running}-child", OrchestrationStatus.RUNNING)
        await hub.client.terminate_orchestration(f"{running}-child", output='"enough"')
        state = await hub.finished(running)
        assert state.runtime_status is OrchestrationStatus.FAILED
        assert state.failure_details is not None
        assert "was terminated" in state.failure_details.message


async def test_a_sub_orchestration_knows_its_parent() -> None:
    app = make_app()

    @app.orchestration_trigger(context_name="ctx")
    def child(ctx: task.OrchestrationContext, _: None) -> str | None:
        return ctx.parent_instance_id

    async with running_hub(app) as hub:
        assert await hub.output("parent", '["child", null]', instance_id="mother") == '"mother"'
        assert await hub.output("child", instance_id="orphan") is None


async def test_a_sub_orchestration_knows_its_parent_also_after_it_continued_as_new() -> None:
    app = make_app()

    @app.orchestration_trigger(context_name="ctx")
    def child(ctx: task.OrchestrationContext, turn: int) -> Steps:
        yield ctx.call_activity("add_one", input=turn)
        if turn == 0:
            ctx.continue_as_new(1)
            return None
        return ctx.parent_instance_id

    async with running_hub(app) as hub:
        assert await hub.output("parent", '["child", 0]', instance_id="mother") == '"mother"'


async def test_a_rewound_fan_out_runs_the_failed_activity_again_and_no_other() -> None:
    app = make_app()
    release = asyncio.Event()
    runs: list[int] = []

    @app.activity_trigger(input_name="number")
    async def work(number: int) -> int:
        runs.append(number)
        if number == 0 and runs.count(0) == 1:
            raise OSError("not yet")
        if number:
            await release.wait()
        return number

    @app.orchestration_trigger(context_name="ctx")
    def fan_work(ctx: task.OrchestrationContext, _: None) -> Steps:
        tasks: list[task.Task[int]] = [ctx.call_activity("work", input=each) for each in range(3)]
        first = yield tasks[0]
        second = yield tasks[1]
        third = yield tasks[2]
        return [first, second, third]

    async with running_hub(app, clock=ManualClock()) as hub:
        failed = await hub.run("fan_work")
        assert failed.runtime_status is OrchestrationStatus.FAILED
        # Two activities are still running when the orchestration fails, and their results come while it is failed.
        release.set()

        async def results_kept() -> bool:
            return (await hub.event_types(failed.instance_id)).count("TaskCompleted") == 2

        await eventually(results_kept)
        await hub.client.rewind_orchestration(failed.instance_id, reason="fixed")
        state = await hub.has_status(failed.instance_id, OrchestrationStatus.COMPLETED)
        assert state.serialized_output == "[0, 1, 2]"
        assert sorted(runs) == [0, 0, 1, 2]


async def test_a_rewound_parent_rewinds_the_sub_orchestration_that_failed() -> None:
    app = make_app()
    attempts: list[int] = []

    @app.activity_trigger(input_name="number")
    async def second_time(number: int) -> int:
        attempts.append(number)
        if len(attempts) == 1:
            raise OSError("not yet")
        return number

    @app.orchestration_trigger(context_name="ctx")
    def child(ctx: task.OrchestrationContext, number: int) -> Steps:
        result = yield ctx.call_activity("second_time", input=number)
        return result

    async with running_hub(app) as hub:
        failed = await hub.run("parent", '["child", 8]')
        assert failed.runtime_status is OrchestrationStatus.FAILED
        await hub.client.rewind_orchestration(failed.instance_id)
        assert (await hub.finished(failed.instance_id)).serialized_output == "8"


async def test_a_parent_rewound_onto_a_terminated_sub_orchestration_does_not_wait_for_it() -> None:
    async with running_hub(make_app()) as hub:
        running = await hub.start("parent", '["waiter", null]')
        await hub.has_status(f"{running}-child", OrchestrationStatus.RUNNING)
        await hub.client.terminate_orchestration(f"{running}-child")
        await hub.finished(running)
        await hub.client.rewind_orchestration(running)

        async def failed_again() -> bool:
            kinds = await hub.event_types(running)
            return "ExecutionRewound" in kinds and kinds[-1] == "ExecutionCompleted"

        await eventually(failed_again)
