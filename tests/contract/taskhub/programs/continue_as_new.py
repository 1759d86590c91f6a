"""Orchestrations that go on as new ones, with and without the events they have not looked at."""

from typing import Any

from durabletask import task

from tests.contract.taskhub.programs.common import Steps, echo
from tests.contract.taskhub.programs.sub_orchestrations import counting_down
from tests.contract.taskhub.programs.timers import SOON
from tests.support.conformance.catalog import orchestrator, program
from tests.support.conformance.observation import Order
from tests.support.conformance.run import Run


@program()
async def countdown(run: Run) -> None:
    await run.go(counting_down, 4)


@orchestrator
def twenty_lives(ctx: task.OrchestrationContext, number: int) -> Any:
    if number < 20:
        ctx.continue_as_new(number + 1)
        return None
    return number


@program()
async def twenty_generations_without_a_step(run: Run) -> None:
    await run.go(twenty_lives, 1)


@orchestrator
def collecting(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    seen, keep = asked
    ctx.set_custom_status(f"life {len(seen)}")
    yield ctx.wait_for_external_event("next")
    if len(seen) == 2:
        return seen
    value = yield ctx.wait_for_external_event("value")
    ctx.continue_as_new([[*seen, value], keep], save_events=keep)


@program()
async def events_are_carried_over(run: Run) -> None:
    await run.start(collecting, [[], True])
    await run.says("life 0")
    for number in range(2):
        await run.client.raise_orchestration_event(run.id(), "value", data=number)
        await run.recorded("eventRaised", times=number + 1)
    for life in range(3):
        await run.says(f"life {life}")
        await run.client.raise_orchestration_event(run.id(), "next")
    await run.finished()


@program()
async def events_are_left_behind(run: Run) -> None:
    await run.start(collecting, [[], False])
    await run.says("life 0")
    for number in range(2):
        await run.client.raise_orchestration_event(run.id(), "value", data=number)
        await run.recorded("eventRaised", times=number + 1)
    await run.client.raise_orchestration_event(run.id(), "next")
    await run.says("life 1")
    await run.client.raise_orchestration_event(run.id(), "next")
    await run.recorded("eventRaised")
    await run.client.raise_orchestration_event(run.id(), "value", data="raised again")
    await run.says("life 2")
    await run.client.raise_orchestration_event(run.id(), "next")
    await run.finished()


@orchestrator
def heartbeat(ctx: task.OrchestrationContext, beats: int) -> Steps:
    ctx.set_custom_status({"beats": beats})
    if beats == 3:
        return "done"
    yield ctx.create_timer(SOON)
    ctx.continue_as_new(beats + 1)


@program()
async def eternal_orchestration_with_a_timer(run: Run) -> None:
    await run.go(heartbeat, 0)


@orchestrator
def upgrading(ctx: task.OrchestrationContext, _: Any) -> Steps:
    version = ctx.version
    yield ctx.call_activity(echo, input=version)
    if version == "2.0":
        return version
    ctx.continue_as_new(None, new_version="2.0")


@program()
async def continuing_as_a_new_version(run: Run) -> None:
    await run.go(upgrading, version="1.0")


@orchestrator
def leaving_a_timer_behind(ctx: task.OrchestrationContext, life: int) -> Steps:
    if life == 0:
        timer = ctx.create_timer(SOON)
        yield ctx.call_activity(echo, input=0)
        assert not timer.is_complete
        ctx.continue_as_new(1)
        return None
    yield ctx.create_timer(SOON * 4)
    result = yield ctx.call_activity(echo, input="the old timer is nothing to me")
    return result


@program(order=Order.RACING)
async def timer_of_an_earlier_life(run: Run) -> None:
    await run.go(leaving_a_timer_behind, 0)


@orchestrator
def tagged_lives(ctx: task.OrchestrationContext, life: int) -> Steps:
    yield ctx.call_activity(echo, input=life)
    if life == 0:
        ctx.continue_as_new(1)
        return None
    return life


@program()
async def tags_in_a_later_life(run: Run) -> None:
    await run.go(tagged_lives, 0, tags={"team": "content"})


@orchestrator
def failing_in_a_later_life(ctx: task.OrchestrationContext, life: int) -> Steps:
    yield ctx.call_activity(echo, input=life)
    if life == 0:
        ctx.continue_as_new(1)
        return None
    raise ValueError("the second life")


@program()
async def failure_in_a_later_life(run: Run) -> None:
    await run.go(failing_in_a_later_life, 0)


@orchestrator
def waiting_in_every_life(ctx: task.OrchestrationContext, life: int) -> Steps:
    ctx.set_custom_status(f"life {life}")
    name = yield ctx.wait_for_external_event("go")
    if name == "end":
        return life
    ctx.continue_as_new(life + 1)


@program()
async def event_for_a_later_life(run: Run) -> None:
    await run.start(waiting_in_every_life, 0)
    for life in range(3):
        await run.says(f"life {life}")
        await run.client.raise_orchestration_event(run.id(), "go", data="end" if life == 2 else "on")
    await run.finished()


@program()
async def terminating_a_later_life(run: Run) -> None:
    await run.start(waiting_in_every_life, 0)
    await run.says("life 0")
    await run.client.raise_orchestration_event(run.id(), "go", data="on")
    await run.says("life 1")
    await run.client.terminate_orchestration(run.id(), output="enough")
    await run.finished()
