"""The app that the Service Bus measurements run: it notes how long each message took to reach it."""

import json
import time

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
latencies_ns: list[int] = []


@app.service_bus_queue_trigger(arg_name="message", queue_name="ping", connection="ServiceBusConnection")
async def ping(message: func.ServiceBusMessage) -> None:
    latencies_ns.append(time.time_ns() - int(message.get_body()))


@app.route("latencies", methods=["GET"])
async def latencies(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding names it
    return func.HttpResponse(json.dumps(latencies_ns), mimetype="application/json")
