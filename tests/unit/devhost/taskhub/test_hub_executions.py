"""Time, and what separates one execution of an orchestration from the next; seen through the SDK's client."""

import asyncio
import json
import threading
from datetime import UTC, datetime, timedelta

import grpc
import grpc.aio
import pytest
from durabletask import task
from durabletask.client import OrchestrationStatus
from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.clock import ManualClock
from tests.support.eventually import eventually
from tests.support.hub_app import HOUR, Steps, make_app, move
from tests.support.running_hub import running_hub

# The SDK advises once in a process; an app's own tests would see the same.
pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")


async def test_a_timer_fires_when_the_clock_has_reached_it_and_not_before() -> None:
    clock = ManualClock()
    async with running_hub(make_app(), clock=clock) as hub:
        sleeping = await hub.start("sleeper", "24")
        await move(hub, clock, sleeping, "TimerCreated", 23 * HOUR)
        assert (await hub.output("chain", "2")) == "2"
        assert "TimerFired" not in await hub.event_types(sleeping)
        clock.advance(HOUR)
        state = await hub.finished(sleeping)
        assert json.loads(state.serialized_output or "") == "2026-01-02T00:00:00"


async def test_a_thousand_timers_cost_no_threads() -> None:
    app = make_app()

    @app.orchestration_trigger(context_name="ctx")
    def many(ctx: task.OrchestrationContext, _: None) -> Steps:
        yield task.when_all([ctx.create_timer(timedelta(seconds=1 + each)) for each in range(1000)])
        return "all"

    clock = ManualClock()
    async with running_hub(app, clock=clock) as hub:
        await hub.output("chain", "1")
        threads = threading.active_count()
        sleeping = await hub.start("many")
        await move(hub, clock, sleeping, "TimerCreated", HOUR)
        assert (await hub.finished(sleeping)).serialized_output == '"all"'
        assert threading.active_count() <= threads


async def test_history_and_state_carry_the_clocks_time() -> None:
    start = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    async with running_hub(make_app(), clock=ManualClock(start)) as hub:
        state = await hub.run("chain", "2")
        assert {state.created_at, state.last_updated_at} == {start.replace(tzinfo=None)}
        history = await hub.client.get_orchestration_history(state.instance_id)
        assert {event.timestamp for event in history} == {start}


async def test_a_scheduled_start_waits_for_its_time() -> None:
    clock = ManualClock()
    async with running_hub(make_app(), clock=clock) as hub:
        later = await hub.start("chain", "1", start_at=clock.now() + HOUR)
        assert await hub.output("chain", "1") == "1"
        state = await hub.client.get_orchestration_state(later)
        assert state is not None
        assert state.runtime_status is OrchestrationStatus.PENDING
        clock.advance(HOUR)
        assert (await hub.finished(later)).serialized_output == "1"


async def test_what_an_ended_execution_left_running_does_not_complete_the_next_ones_tasks() -> None:
    app = make_app()
    releases = [asyncio.Event(), asyncio.Event()]
    answered: list[int] = []

    @app.activity_trigger(input_name="turn")
    async def slow(turn: int) -> str:
        await releases[turn].wait()
        answered.append(turn)
        return f"answer {turn}"

    @app.orchestration_trigger(context_name="ctx")
    def again(ctx: task.OrchestrationContext, turn: int) -> Steps:
        answer: task.Task[str] = ctx.call_activity("slow", input=turn)
        timer = ctx.create_timer(timedelta(hours=2))
        if turn == 0:
            yield ctx.wait_for_external_event("next")
            ctx.continue_as_new(1)
            return None
        yield ctx.wait_for_external_event("finish")
        first = yield task.when_any([answer, timer])
        return "timer" if first is timer else answer.get_result()

    clock = ManualClock()
    async with running_hub(app, clock=clock) as hub:
        running = await hub.start("again", "0")
        await move(hub, clock, running, "TimerCreated", HOUR)
        await hub.client.raise_orchestration_event(running, "next")

        async def second_execution() -> bool:
            history = await hub.client.get_orchestration_history(running)
            return any(getattr(event, "input", None) == "1" for event in history)

        await eventually(second_execution)
        # The first execution's activity ends and its timer comes due; the second one's timer has an hour to go.
        releases[0].set()
        await eventually(lambda: answered)
        clock.advance(HOUR)
        assert await hub.output("chain", "2") == "2"
        await hub.client.raise_orchestration_event(running, "finish")
        releases[1].set()
        state = await hub.finished(running)
        assert state.serialized_output == '"answer 1"'
        assert "TimerFired" not in await hub.event_types(running)


async def test_an_activity_that_ends_after_its_orchestration_does_not_run_it_again() -> None:
    app = make_app()
    release = asyncio.Event()
    ended: list[str] = []

    @app.activity_trigger(input_name="nothing")
    async def slow(nothing: None) -> None:
        await release.wait()
        ended.append("slow")

    @app.orchestration_trigger(context_name="ctx")
    def impatient(ctx: task.OrchestrationContext, _: None) -> Steps:
        yield task.when_any([ctx.call_activity("slow"), ctx.call_activity("add_one", input=1)])
        return "done"

    async with running_hub(app, clock=ManualClock()) as hub:
        state = await hub.run("impatient")
        before = await hub.event_types(state.instance_id)
        release.set()
        await eventually(lambda: ended)
        assert await hub.output("chain", "1") == "1"
        assert await hub.event_types(state.instance_id) == before
        assert before[-1] == "ExecutionCompleted"


async def test_continue_as_new_goes_on_with_the_new_input_under_the_same_id() -> None:
    app = make_app()

    @app.orchestration_trigger(context_name="ctx")
    def countdown(ctx: task.OrchestrationContext, number: int) -> Steps:
        if number:
            yield ctx.call_activity("add_one", input=number)
            ctx.continue_as_new(number - 1)
            return None
        return ctx.instance_id

    async with running_hub(app) as hub:
        assert await hub.output("countdown", "5", instance_id="down") == '"down"'


async def test_an_id_may_be_used_again_once_its_orchestration_has_finished_and_not_before() -> None:
    async with running_hub(make_app()) as hub:
        await hub.run("chain", "1", instance_id="same")
        assert (await hub.output("chain", "2", instance_id="same")) == "2"
        await hub.start("waiter", instance_id="busy")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await hub.start("chain", "1", instance_id="busy")
        assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS


async def test_a_policy_of_no_reuse_is_kept() -> None:
    async with running_hub(make_app()) as hub:
        await hub.run("chain", "1", instance_id="same")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await hub.start("chain", "1", instance_id="same", reuse_id_policy=pb.OrchestrationIdReusePolicy())
        assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS


async def test_a_restarted_orchestration_runs_again_with_its_input() -> None:
    async with running_hub(make_app()) as hub:
        first = await hub.run("chain", "4")
        second = await hub.client.restart_orchestration(first.instance_id, restart_with_new_instance_id=True)
        assert second != first.instance_id
        assert (await hub.finished(second)).serialized_output == "4"


async def test_a_purged_orchestration_is_gone_and_its_timers_with_it() -> None:
    app = make_app()

    @app.orchestration_trigger(context_name="ctx")
    def leaves_a_timer(ctx: task.OrchestrationContext, _: None) -> Steps:
        ctx.create_timer(timedelta(hours=1))
        yield ctx.call_activity("add_one", input=1)
        return "left"

    clock = ManualClock()
    async with running_hub(app, clock=clock) as hub:
        state = await hub.run("leaves_a_timer", instance_id="purged")
        assert state.serialized_output == '"left"'
        assert (await hub.client.purge_orchestration("purged")).deleted_instance_count == 1
        assert await hub.client.get_orchestration_state("purged") is None
        waiting = await hub.start("waiter", instance_id="purged")
        clock.advance(2 * HOUR)
        await hub.client.raise_orchestration_event(waiting, "go", data="1")
        assert (await hub.finished(waiting)).serialized_output == "1"
        assert "TimerFired" not in await hub.event_types(waiting)
