"""Approvals: a person has a day, is reminded every eight hours, and then somebody else has another day."""

import json
import logging
from datetime import datetime, timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from durabletask import task

DAY, REMIND_EVERY = timedelta(hours=24), timedelta(hours=8)
CONNECTION = "Bus"
ledger: list[tuple[str, str]] = []

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)


@app.route("approvals", methods=["POST"])
@app.durable_client_input(client_name="client")
async def ask(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    instance_id = await client.schedule_new_orchestration("approval", input=req.get_json())
    return client.create_check_status_response(req, instance_id)


@app.route("approvals/{id}/{answer}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def answer(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    await client.raise_orchestration_event(req.route_params["id"], "answer", data=req.route_params["answer"])
    return func.HttpResponse(status_code=202)


@app.orchestration_trigger(context_name="context")
def approval(context: task.OrchestrationContext, request: dict[str, Any]) -> Any:
    # One wait for both days: an event goes to the one who waited first.
    answered = context.wait_for_external_event("answer")
    for person in (request["asked"], request["deputy"]):
        said = yield from ask_for_a_day(context, person, answered)
        if said is not None:
            return {"by": person, "answer": said}
    return {"by": None, "answer": "rejected"}


def ask_for_a_day(context: task.OrchestrationContext, person: str, answered: task.Task[str]) -> Any:
    ends = context.current_utc_datetime + DAY
    while context.current_utc_datetime < ends:
        yield context.call_activity("remind", input=person)
        timer = context.create_timer(min(ends, context.current_utc_datetime + REMIND_EVERY))
        if (yield task.when_any([answered, timer])) is answered:
            timer.cancel()
            return answered.get_result()
    return None


@app.activity_trigger(input_name="person")
async def remind(person: str) -> str:
    now = datetime.now().isoformat()  # noqa: DTZ005 - what many apps do
    ledger.append((now, person))
    logging.info("%s was reminded", person)
    return now


@app.service_bus_queue_trigger(arg_name="message", queue_name="letters", connection=CONNECTION)
@app.durable_client_input(client_name="client")
async def letter(message: func.ServiceBusMessage, client: df.DurableFunctionsClient) -> None:
    if message.content_type == "application/json":
        request = json.loads(message.get_body())
        await client.schedule_new_orchestration("approval", input=request, instance_id=message.message_id)
    ledger.append((datetime.now().isoformat(), message.get_body().decode()))  # noqa: DTZ005 - as above


@app.timer_trigger(schedule="0 0 6 * * *", arg_name="timer")
async def morning(timer: func.TimerRequest) -> None:
    ledger.append((datetime.now().isoformat(), "good morning"))  # noqa: DTZ005 - as above
