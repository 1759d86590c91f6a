"""The app that the task hub's measurements run: it times its own orchestrations, through its durable client."""

import asyncio
import json
from collections.abc import Generator
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from durabletask import task
from durabletask.client import OrchestrationStatus

from bench.workloads import ANSWER, measure, nap

type Steps = Generator[task.Task[Any], Any, Any]

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.activity_trigger(input_name="number")
async def step(number: int) -> str:  # noqa: ARG001 - the binding names it
    return ANSWER


@app.activity_trigger(input_name="number")
async def sleep(number: int) -> str:
    await asyncio.sleep(nap(number))
    return ANSWER


@app.orchestration_trigger(context_name="ctx")
def chain(ctx: task.OrchestrationContext, steps: int) -> Steps:
    for number in range(steps):
        yield ctx.call_activity("step", input=number)


@app.orchestration_trigger(context_name="ctx")
def fan(ctx: task.OrchestrationContext, width: int) -> Steps:
    yield task.when_all([ctx.call_activity("step", input=number) for number in range(width)])


@app.orchestration_trigger(context_name="ctx")
def naps(ctx: task.OrchestrationContext, width: int) -> Steps:
    yield task.when_all([ctx.call_activity("sleep", input=number) for number in range(width)])


class _Client:
    """The engine as the app's durable client sees it."""

    def __init__(self, client: df.DurableFunctionsClient) -> None:
        self._client = client

    async def chain(self, steps: int) -> None:
        await self._run("chain", steps)

    async def fan(self, width: int) -> None:
        await self._run("fan", width)

    async def naps(self, width: int) -> None:
        await self._run("naps", width)

    async def _run(self, name: str, size: int) -> None:
        instance_id = await self._client.schedule_new_orchestration(name, input=size)
        state = await self._client.wait_for_orchestration_completion(instance_id, timeout=120)
        if state is None or state.runtime_status is not OrchestrationStatus.COMPLETED:
            raise RuntimeError(f"{name} of {size} did not complete: {state}")


@app.route("measure", methods=["POST"])
@app.durable_client_input(client_name="client")
async def measured(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:  # noqa: ARG001
    """Run every workload and answer with what they took."""
    return func.HttpResponse(json.dumps(await measure(_Client(client))), mimetype="application/json")
