"""An app with spans of its own in every kind of function, exported as OpenTelemetry's documentation has it."""

import os
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient
from durabletask import entities, task
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

type Steps = Generator[task.Task[Any], Any, Any]

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=1)))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("app")

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="start/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    with tracer.start_as_current_span("app start"):
        instance_id = await client.schedule_new_orchestration(req.route_params["name"], instance_id=req.params["id"])
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="ctx")
def journey(ctx: task.OrchestrationContext, _: Any) -> Steps:
    with tracer.start_as_current_span("app orchestrator"):
        pass
    yield ctx.call_activity("think", input="a")
    yield ctx.call_activity("think_in_thread", input="b")
    yield ctx.create_timer(timedelta(milliseconds=50))
    yield ctx.call_entity(entities.EntityInstanceId("tally", "one"), "add", 1)
    yield ctx.call_sub_orchestrator("ask", instance_id=f"{ctx.instance_id}-ask")
    return "there"


@app.entity_trigger(context_name="ctx", entity_name="tally")
class Tally(entities.DurableEntity):
    def add(self, amount: int) -> int:
        with tracer.start_as_current_span("app entity"):
            return amount


@app.orchestration_trigger(context_name="ctx")
def ask(ctx: task.OrchestrationContext, _: Any) -> Steps:
    yield ctx.call_activity("send", input=ctx.instance_id)
    answer = yield ctx.wait_for_external_event("answer")
    return answer


@app.orchestration_trigger(context_name="ctx")
def ask_later(ctx: task.OrchestrationContext, _: Any) -> Steps:
    yield ctx.call_activity("think", input="before")
    yield ctx.create_timer(timedelta(seconds=3))
    yield ctx.call_activity("think", input="after")


@app.activity_trigger(input_name="text")
async def think(text: str) -> str:
    with tracer.start_as_current_span("app activity"):
        return text


@app.activity_trigger(input_name="text")
def think_in_thread(text: str) -> str:
    with tracer.start_as_current_span("app activity in a thread"):
        return text


@app.activity_trigger(input_name="instance")
async def send(instance: str) -> None:
    carrier: dict[str, str] = {}
    with tracer.start_as_current_span("app send", kind=trace.SpanKind.PRODUCER):
        propagate.inject(carrier)
        message = ServiceBusMessage(instance, application_properties={"Diagnostic-Id": carrier.get("traceparent", "")})
        async with (
            ServiceBusClient.from_connection_string(os.environ["BUS"]) as client,
            client.get_queue_sender("questions") as sender,
        ):
            await sender.send_messages(message)


@app.service_bus_queue_trigger(arg_name="message", queue_name="questions", connection="BUS")
@app.durable_client_input(client_name="client")
async def answer(message: func.ServiceBusMessage, client: df.DurableFunctionsClient) -> None:
    with tracer.start_as_current_span("app answer"):
        await client.raise_orchestration_event(message.get_body().decode(), "answer", data=42)


@app.route(route="note", methods=["POST"])
@app.service_bus_queue_output(arg_name="note", queue_name="notes", connection="BUS")
async def take_note(req: func.HttpRequest, note: func.Out[str]) -> str:
    note.set("remember")
    return "noted"


@app.service_bus_queue_trigger(arg_name="message", queue_name="notes", connection="BUS")
async def remember(message: func.ServiceBusMessage) -> None:
    with tracer.start_as_current_span("app remember"):
        pass
