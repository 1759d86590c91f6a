"""A small Durable app for the tests of the task hub, and a way to move its clock."""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
from durabletask import task

from devhost.clock import ManualClock
from tests.support.eventually import eventually
from tests.support.running_hub import RunningHub

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
