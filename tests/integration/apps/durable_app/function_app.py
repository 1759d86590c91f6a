"""A Durable Functions app that any host can run: one orchestrator for each thing such apps do."""

import asyncio
import json
import logging
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from durabletask import entities, task
from durabletask.client import OrchestrationStatus

type Steps = Generator[task.Task[Any], Any, Any]

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)


# -- HTTP ----------------------------------------------------------------------------------------------------------


@app.route(route="start/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Start any orchestrator with the request's JSON body."""
    body = req.get_body()
    instance_id = await client.schedule_new_orchestration(
        req.route_params["name"],
        input=json.loads(body) if body else None,
        instance_id=req.params.get("instance"),
    )
    logging.info("started %s", instance_id)
    return client.create_check_status_response(req, instance_id)


@app.route(route="run/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def run(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Start an orchestrator and answer with its output."""
    body = req.get_body()
    instance_id = await client.schedule_new_orchestration(
        req.route_params["name"], input=json.loads(body) if body else None
    )
    state = await client.wait_for_orchestration_completion(instance_id, timeout=30)
    if state is None or state.runtime_status is not OrchestrationStatus.COMPLETED:
        failure = state.failure_details if state else None
        return func.HttpResponse(failure.message if failure else "gone", status_code=500)
    return func.HttpResponse(state.serialized_output, mimetype="application/json")


@app.route(route="start-from-thread/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
def start_from_thread(req: func.HttpRequest, client: df.SyncDurableFunctionsClient) -> func.HttpResponse:
    """The same with the client that synchronous functions get."""
    instance_id = client.schedule_new_orchestration(req.route_params["name"])
    return client.create_check_status_response(req, instance_id)


@app.route(route="counter/{key}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def read_counter(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """The state of a counter entity."""
    entity = await client.get_entity(entities.EntityInstanceId("Counter", req.route_params["key"]))
    if entity is None:
        return func.HttpResponse(status_code=404)
    return func.HttpResponse(json.dumps(entity.get_state(int)), mimetype="application/json")


# -- Orchestrators ---------------------------------------------------------------------------------------------------


@app.orchestration_trigger(context_name="ctx")
def chain(ctx: task.OrchestrationContext, text: str) -> Steps:
    """Three activities, one after another, with a status for each."""
    for step in ("shout", "reverse", "shout"):
        ctx.set_custom_status({"step": step})
        text = yield ctx.call_activity(step, input=text)
    return text


@app.orchestration_trigger(context_name="context")  # type: ignore[arg-type]
def chain_v1(context: df.DurableOrchestrationContext) -> Steps:
    """The same in the style of the first version of the SDK."""
    text = context.get_input()
    text = yield context.call_activity("shout", text)
    text = yield context.call_activity("reverse", text)
    context.set_custom_status("done")
    return text


@app.orchestration_trigger(context_name="ctx", orchestration="FanOutFanIn")
def fan_out(ctx: task.OrchestrationContext, numbers: list[int]) -> Steps:
    """As many activities as numbers, at once."""
    squares = yield task.when_all([ctx.call_activity("square", input=number) for number in numbers])
    return sum(squares)


@app.orchestration_trigger(context_name="ctx")
def parent(ctx: task.OrchestrationContext, text: str) -> Steps:
    """Two sub-orchestrations at once, one of them under an id of its own choosing."""
    left: task.Task[str] = ctx.call_sub_orchestrator("chain", input=text)
    right: task.Task[str] = ctx.call_sub_orchestrator("chain_v1", input=text, instance_id=f"{ctx.instance_id}-right")
    both = yield task.when_all([left, right])
    return both


@app.orchestration_trigger(context_name="ctx")
def who_started_me(ctx: task.OrchestrationContext, _: None) -> str | None:
    """The parent's instance id."""
    return ctx.parent_instance_id


@app.orchestration_trigger(context_name="ctx")
def parent_of_who(ctx: task.OrchestrationContext, _: None) -> Steps:
    """Whether a sub-orchestration knows its parent."""
    named = yield ctx.call_sub_orchestrator("who_started_me")
    return named == ctx.instance_id


@app.orchestration_trigger(context_name="ctx")
def nap(ctx: task.OrchestrationContext, seconds: float) -> Steps:
    """A durable timer."""
    before = ctx.current_utc_datetime
    yield ctx.create_timer(before + timedelta(seconds=seconds))
    return (ctx.current_utc_datetime - before).total_seconds() >= seconds


@app.orchestration_trigger(context_name="ctx")
def approval(ctx: task.OrchestrationContext, seconds: float) -> Steps:
    """An external event raced with a timer."""
    ctx.set_custom_status("waiting")
    answer = ctx.wait_for_external_event("answer")
    timeout = ctx.create_timer(timedelta(seconds=seconds))
    first = yield task.when_any([answer, timeout])
    if first is timeout:
        return "timed out"
    timeout.cancel()
    return {"answer": answer.get_result()}


@app.orchestration_trigger(context_name="ctx")
def flaky(ctx: task.OrchestrationContext, failures: int) -> Steps:
    """An activity that fails `failures` times before it succeeds, at most three attempts."""
    policy = task.RetryPolicy(first_retry_interval=timedelta(milliseconds=50), max_number_of_attempts=3)
    counter = entities.EntityInstanceId("Counter", ctx.instance_id)
    result = yield ctx.call_activity("fail_until", input=f"{ctx.instance_id} {failures}", retry_policy=policy)
    yield ctx.call_entity(counter, "add", input=result)
    return result


@app.orchestration_trigger(context_name="ctx")
def failing(ctx: task.OrchestrationContext, _: None) -> Steps:
    """An activity that always fails, not caught."""
    yield ctx.call_activity("boom", input="bang")


@app.orchestration_trigger(context_name="ctx")
def catching(ctx: task.OrchestrationContext, _: None) -> Steps:
    """The same, caught."""
    try:
        yield ctx.call_activity("boom", input="bang")
    except task.TaskFailedError as failure:
        return [failure.details.error_type.rpartition(".")[2], failure.details.message]
    return "no failure"


@app.orchestration_trigger(context_name="ctx")
def misspelt(ctx: task.OrchestrationContext, _: None) -> Steps:
    """An activity that does not exist."""
    yield ctx.call_activity("shuot", input="x")


@app.orchestration_trigger(context_name="ctx")
def countdown(ctx: task.OrchestrationContext, number: int) -> Steps:
    """Continues as new until it reaches zero."""
    if number == 0:
        return "lift-off"
    yield ctx.call_activity("square", input=number)
    ctx.continue_as_new(number - 1)
    return None


@app.orchestration_trigger(context_name="context")  # type: ignore[arg-type]
def fetch(context: df.DurableOrchestrationContext) -> Steps:
    """A durable HTTP call, which the SDK makes in a sub-orchestration of its own."""
    response = yield context.call_http("GET", context.get_input())
    return response.status_code


@app.orchestration_trigger(context_name="ctx")
def transfer(ctx: task.OrchestrationContext, keys: list[str]) -> Steps:
    """Two entities changed under one lock."""
    source, target = (entities.EntityInstanceId("Counter", key) for key in keys)
    with (yield ctx.lock_entities([source, target])):
        yield ctx.call_entity(source, "add", input=-3)
        result = yield ctx.call_entity(target, "add", input=3)
    return result


@app.orchestration_trigger(context_name="ctx")
def counting(ctx: task.OrchestrationContext, key: str) -> Steps:
    """Signals an entity, calls it, and answers with its value."""
    counter = entities.EntityInstanceId("Counter", key)
    ctx.signal_entity(counter, "add", input=5)
    yield ctx.call_entity(counter, "add", input=7)
    value = yield ctx.call_entity(counter, "get")
    return value


# -- Entities ------------------------------------------------------------------------------------------------------


@app.entity_trigger(context_name="context", entity_name="Counter")  # type: ignore[arg-type]
def counter(context: df.DurableEntityContext) -> None:
    """A number that can be added to, read and reset."""
    value = context.get_state(lambda: 0)
    match context.operation_name:
        case "add":
            value += context.get_input()
        case "reset":
            value = 0
        case "get":
            pass
        case unknown:
            raise ValueError(f"a counter does not know '{unknown}'")
    context.set_state(value)
    context.set_result(value)


# -- Activities ------------------------------------------------------------------------------------------------------

ATTEMPTS: dict[str, int] = {}


@app.activity_trigger(input_name="text")
async def shout(text: str) -> str:
    """In capitals."""
    await asyncio.sleep(0)
    return text.upper()


@app.activity_trigger(input_name="text")
def reverse(text: str) -> str:
    """Backwards; a synchronous activity."""
    return text[::-1]


@app.activity_trigger(input_name="number")
def square(number: int) -> int:
    """The number times itself."""
    return number * number


@app.activity_trigger(input_name="job", activity="fail_until")
def fail_for_a_while(job: str) -> int:
    """Given "name n": fail the first n times for that name, then answer with the number of attempts."""
    name, failures = job.split()
    attempts = ATTEMPTS[name] = ATTEMPTS.get(name, 0) + 1
    if attempts <= int(failures):
        raise ConnectionError(f"attempt {attempts}")
    return attempts


@app.activity_trigger(input_name="text")
async def boom(text: str) -> str:
    """Always fail."""
    raise ValueError(text)
