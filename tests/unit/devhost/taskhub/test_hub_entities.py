"""What entities may rely on, seen through the SDK's client."""

import json

import azure.durable_functions as df
import pytest
from durabletask import entities, task

from tests.support.eventually import eventually
from tests.support.hub_app import Steps, make_app
from tests.support.running_hub import running_hub

# The SDK advises once in a process; an app's own tests would see the same.
pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")


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
