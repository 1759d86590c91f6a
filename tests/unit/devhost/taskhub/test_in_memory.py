"""What orchestrations may rely on, seen through the SDK's client; time is moved by hand."""

import asyncio
import json
import logging
import threading
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.durable_functions as df
import grpc
import grpc.aio
import pytest
from durabletask import entities, task
from durabletask.client import OrchestrationStatus
from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.clock import ManualClock
from devhost.taskhub.in_memory import RERUN_AFTER, Concurrency, InMemoryTaskHub
from tests.support.eventually import eventually
from tests.support.running_hub import RunningHub, running_hub

# The SDK advises once in a process; an app's own tests would see the same.
pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")

type Steps = Generator[task.Task[Any], Any, Any]
HOUR = timedelta(hours=1)


def make_app() -> df.DFApp:
    """Orchestrators and activities common to most tests."""
    app = df.DFApp()

    @app.activity_trigger(input_name="number")
    async def add_one(number: int) -> int:
        return number + 1

    @app.orchestration_trigger(context_name="ctx")
    def chain(ctx: task.OrchestrationContext, steps: int) -> Steps:
        number = 0
        for _ in range(steps):
            number = yield ctx.call_activity("add_one", input=number)
        return number

    @app.orchestration_trigger(context_name="ctx")
    def fan(ctx: task.OrchestrationContext, width: int) -> Steps:
        results = yield task.when_all([ctx.call_activity("add_one", input=each) for each in range(width)])
        return sum(results)

    @app.orchestration_trigger(context_name="ctx")
    def sleeper(ctx: task.OrchestrationContext, hours: int) -> Steps:
        yield ctx.create_timer(timedelta(hours=hours))
        return ctx.current_utc_datetime.isoformat()

    @app.orchestration_trigger(context_name="ctx")
    def waiter(ctx: task.OrchestrationContext, _: None) -> Steps:
        first = yield ctx.wait_for_external_event("go")
        return first

    @app.orchestration_trigger(context_name="ctx")
    def parent(ctx: task.OrchestrationContext, child: list[Any]) -> Steps:
        result = yield ctx.call_sub_orchestrator(child[0], input=child[1], instance_id=f"{ctx.instance_id}-child")
        return result

    return app


async def move(hub: RunningHub, clock: ManualClock, instance_id: str, event: str, by: timedelta) -> None:
    """Move the clock once the history has an event of that kind, so that the timer it moves past is surely set."""

    async def recorded() -> bool:
        return event in await hub.event_types(instance_id)

    await eventually(recorded)
    clock.advance(by)


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


async def test_waiting_for_the_start_of_an_orchestration_ends_when_its_first_turn_has_run() -> None:
    async with running_hub(make_app()) as hub:
        waiting = await hub.start("waiter")
        state = await hub.client.wait_for_orchestration_start(waiting, timeout=10)
        assert state is not None
        assert state.runtime_status is OrchestrationStatus.RUNNING


# -- Time ------------------------------------------------------------------------------------------------------------


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


# -- Executions ------------------------------------------------------------------------------------------------------


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


# -- Sub-orchestrations ----------------------------------------------------------------------------------------------


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


# -- Control ---------------------------------------------------------------------------------------------------------


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


async def test_a_restarted_orchestration_runs_again_with_its_input() -> None:
    async with running_hub(make_app()) as hub:
        first = await hub.run("chain", "4")
        second = await hub.client.restart_orchestration(first.instance_id, restart_with_new_instance_id=True)
        assert second != first.instance_id
        assert (await hub.finished(second)).serialized_output == "4"


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


# -- Entities --------------------------------------------------------------------------------------------------------


def make_entity_app() -> df.DFApp:
    app = make_app()

    @app.entity_trigger(context_name="context", entity_name="Counter")  # type: ignore[arg-type]
    def counter(context: df.DurableEntityContext) -> None:
        value = context.get_state(lambda: 0)
        if context.operation_name == "add":
            value += context.get_input()
        if context.operation_name == "fail":
            raise ValueError("no such thing")
        context.set_state(value)
        context.set_result(value)

    @app.orchestration_trigger(context_name="ctx")
    def add_and_read(ctx: task.OrchestrationContext, key: str) -> Steps:
        counter_id = entities.EntityInstanceId("counter", key)
        ctx.signal_entity(counter_id, "add", input=5)
        total = yield ctx.call_entity(counter_id, "add", input=7)
        return total

    @app.orchestration_trigger(context_name="ctx")
    def survive_failure(ctx: task.OrchestrationContext, key: str) -> Steps:
        counter_id = entities.EntityInstanceId("Counter", key)
        yield ctx.call_entity(counter_id, "add", input=3)
        try:
            yield ctx.call_entity(counter_id, "fail")
        except task.TaskFailedError as failure:
            value = yield ctx.call_entity(counter_id, "read")
            return [failure.details.message, value]

    return app


async def test_an_entity_takes_signals_and_calls_in_order() -> None:
    async with running_hub(make_entity_app()) as hub:
        assert await hub.output("add_and_read", '"a"') == "12"
        entity = await hub.client.get_entity(entities.EntityInstanceId("COUNTER", "a"))
        assert entity is not None
        assert entity.get_state(int) == 12


async def test_a_failed_operation_reaches_its_caller_and_leaves_the_state_alone() -> None:
    async with running_hub(make_entity_app()) as hub:
        output = json.loads(await hub.output("survive_failure", '"a"') or "")
        assert output[1] == 3
        assert "no such thing" in output[0]


async def test_an_entity_that_was_never_given_a_state_does_not_exist() -> None:
    async with running_hub(make_entity_app()) as hub:
        counter = entities.EntityInstanceId("Counter", "never")
        await hub.client.signal_entity(counter, "fail")
        await eventually(lambda: [name for name, _ in hub.app.calls if name == "counter"])
        assert await hub.output("chain", "1") == "1"
        assert await hub.client.get_entity(counter) is None


# -- Life ------------------------------------------------------------------------------------------------------------


class FailsOnce:
    """An executor whose first orchestrator turn cannot be run."""

    def __init__(self) -> None:
        self.turns = 0

    async def orchestrator(self, request: pb.OrchestratorRequest) -> pb.OrchestratorResponse:
        self.turns += 1
        if self.turns == 1:
            raise ConnectionError("no worker")
        done = pb.CompleteOrchestrationAction(orchestrationStatus=pb.ORCHESTRATION_STATUS_COMPLETED)
        return pb.OrchestratorResponse(actions=[pb.OrchestratorAction(id=1, completeOrchestration=done)])

    async def activity(self, request: pb.ActivityRequest) -> pb.ActivityResponse:
        raise AssertionError(request)

    async def entity(self, request: pb.EntityBatchRequest) -> pb.EntityBatchResult:
        raise AssertionError(request)


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


async def test_the_hub_says_at_start_that_it_is_not_durable(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="devhost.taskhub.in_memory"):
        async with running_hub(make_app()):
            pass
    assert "orchestrations are kept in memory: runs in flight end with this process" in caplog.text


async def test_there_is_no_address_before_the_start() -> None:
    hub = InMemoryTaskHub()
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
