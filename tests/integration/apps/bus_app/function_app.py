"""An app of Service Bus triggers only. Each function writes a line of what it saw to the file `SEEN` names."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any, List  # noqa: UP035

import azure.functions as func

app = func.FunctionApp()


def note(function: str, message: func.ServiceBusMessage, **more: Any) -> None:
    """Append one line; a line is one write, so that calls do not mix and a kill leaves whole lines."""
    line = {
        "function": function,
        "body": message.get_body().decode(errors="backslashreplace"),
        "delivery": message.delivery_count,
        "id": message.message_id,
        "session": message.session_id,
        "properties": message.application_properties,
        "at": time.time(),
        **more,
    }
    with Path(os.environ["SEEN"]).open("ab", buffering=0) as seen:
        seen.write(json.dumps(line).encode() + b"\n")


@app.service_bus_queue_trigger(arg_name="message", queue_name="%PLAIN%", connection="Bus")
async def plain(message: func.ServiceBusMessage) -> None:
    note(
        "plain",
        message,
        subject=message.subject,
        correlation=message.correlation_id,
        content_type=message.content_type,
        reply_to=message.reply_to,
        sequence_number=message.sequence_number,
        lock_token=message.lock_token,
        enqueued=str(message.enqueued_time_utc),
    )


@app.service_bus_queue_trigger(arg_name="message", queue_name="failing", connection="Bus")
async def failing(message: func.ServiceBusMessage) -> None:
    note("failing", message)
    raise ValueError("never works")


@app.service_bus_queue_trigger(arg_name="message", queue_name="failing/$deadletterqueue", connection="Bus")
async def buried(message: func.ServiceBusMessage) -> None:
    note("buried", message)


@app.service_bus_queue_trigger(arg_name="message", queue_name="slow", connection="Bus")
async def slow(message: func.ServiceBusMessage) -> None:
    note("slow", message, step="begin")
    await asyncio.sleep(float(message.get_body()))
    note("slow", message, step="end")


@app.service_bus_queue_trigger(arg_name="message", queue_name="narrow", connection="Bus")
def narrow(message: func.ServiceBusMessage) -> None:
    note("narrow", message, step="begin")
    time.sleep(0.1)
    note("narrow", message, step="end")


@app.service_bus_queue_trigger(arg_name="message", queue_name="kept", connection="Bus")
async def kept(message: func.ServiceBusMessage) -> None:
    note("kept", message, step="begin")
    while Path(os.environ["HOLD"]).exists():
        await asyncio.sleep(0.02)
    note("kept", message, step="end")


@app.service_bus_topic_trigger(arg_name="message", topic_name="events", subscription_name="audit", connection="Bus")
async def audit(message: func.ServiceBusMessage) -> None:
    note("audit", message)
    if message.get_body() == b"refused":
        raise ValueError("refused")


@app.service_bus_topic_trigger(
    arg_name="message", topic_name="events", subscription_name="audit/$deadletterqueue", connection="Bus"
)
async def unaudited(message: func.ServiceBusMessage) -> None:
    note("unaudited", message)


@app.service_bus_queue_trigger(arg_name="message", queue_name="ordered", connection="Bus", is_sessions_enabled=True)
async def ordered(message: func.ServiceBusMessage) -> None:
    note("ordered", message)
    await asyncio.sleep(0.01)


@app.service_bus_queue_trigger(
    arg_name="messages",
    queue_name="batched",
    connection="Bus",
    cardinality=func.Cardinality.MANY,
)
async def batched(messages: List[func.ServiceBusMessage]) -> None:  # noqa: UP006
    # The worker refuses the built-in `list` here.
    for message in messages:
        note("batched", message, size=len(messages))
