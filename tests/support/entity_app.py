"""An app with a counter as its entity, and orchestrators that use it in every way."""

from collections.abc import Generator
from typing import Any

import azure.durable_functions as df
from durabletask import task
from durabletask.entities import EntityInstanceId

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
