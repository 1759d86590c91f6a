"""An app with a counter as its entity, and orchestrators that use it in every way."""

from collections.abc import Generator
from typing import Any

import azure.durable_functions as df
from durabletask import task
from durabletask.entities import EntityContext, EntityInstanceId

type Steps = Generator[task.Task[Any], Any, Any]


def make_entity_app() -> df.DFApp:
    app = df.DFApp()

    @app.entity_trigger(context_name="context", entity_name="Counter")  # type: ignore[arg-type]
    def counter(context: df.DurableEntityContext) -> None:
        value = context.get_state(lambda: 0)
        match context.operation_name:
            case "add":
                value += context.get_input()
            case "fail":
                context.set_state(-1)
                raise ValueError("no such thing")
            case "delete":
                context.set_state(None)
                return
        context.set_state(value)
        context.set_result(value)

    @app.entity_trigger(context_name="context", entity_name="Relay")
    def relay(context: EntityContext, number: int) -> None:
        context.set_state(context.get_state(int, 0) + 1)
        context.signal_entity(EntityInstanceId("counter", "total"), "add", input=100)
        context.schedule_new_orchestration("add_a_thousand", instance_id=f"by relay {number}")

    _add_orchestrators(app)
    return app


def _add_orchestrators(app: df.DFApp) -> None:
    @app.orchestration_trigger(context_name="ctx")
    def add_and_read(ctx: task.OrchestrationContext, key: str) -> Steps:
        counter_id = EntityInstanceId("counter", key)
        ctx.signal_entity(counter_id, "add", input=5)
        total = yield ctx.call_entity(counter_id, "add", input=7)
        return total

    @app.orchestration_trigger(context_name="ctx")
    def survive_failure(ctx: task.OrchestrationContext, key: str) -> Steps:
        counter_id = EntityInstanceId("Counter", key)
        yield ctx.call_entity(counter_id, "add", input=3)
        try:
            yield ctx.call_entity(counter_id, "fail")
        except task.TaskFailedError as failure:
            value = yield ctx.call_entity(counter_id, "read")
            return [failure.details.message, value]

    @app.orchestration_trigger(context_name="ctx")
    def transfer(ctx: task.OrchestrationContext, amount: int) -> Steps:
        source, target = EntityInstanceId("counter", "from"), EntityInstanceId("counter", "to")
        with (yield ctx.lock_entities([target, source])):
            yield ctx.call_entity(source, "add", input=-amount)
            yield ctx.call_entity(target, "add", input=amount)
            left = yield ctx.call_entity(source, "read")
        return left

    @app.orchestration_trigger(context_name="ctx")
    def hold(ctx: task.OrchestrationContext, key: str) -> Steps:
        with (yield ctx.lock_entities([EntityInstanceId("counter", key)])):
            ctx.set_custom_status("locked")
            yield ctx.wait_for_external_event("go")
        return "let go"

    @app.orchestration_trigger(context_name="ctx")
    def read(ctx: task.OrchestrationContext, key: str) -> Steps:
        value = yield ctx.call_entity(EntityInstanceId("counter", key), "read")
        return value

    @app.orchestration_trigger(context_name="ctx")
    def add_a_thousand(ctx: task.OrchestrationContext, _: None) -> Steps:
        yield ctx.call_entity(EntityInstanceId("counter", "total"), "add", input=1000)

    @app.orchestration_trigger(context_name="ctx")
    def everything(ctx: task.OrchestrationContext, number: int) -> Steps:
        total, relay = EntityInstanceId("counter", "total"), EntityInstanceId("relay", "it")
        ctx.signal_entity(total, "add", input=1)
        yield ctx.call_entity(total, "add", input=10)
        ctx.signal_entity(relay, "forward", input=number)
        left = yield ctx.call_sub_orchestrator("transfer", input=1)
        return left
