"""Sending tasks and events with the context of the span that sends them, so that what they lead to joins its trace."""

from collections.abc import Awaitable, Callable, Sequence

from shared import names
from shared.contracts import AgentTask
from shared.events import Event
from shared.messaging.events import event_message
from shared.messaging.tasks import task_message
from shared.resources import Resources
from shared.telemetry import names as tracing
from shared.telemetry.attributes import (
    AGENT,
    MESSAGE_ID,
    MESSAGING_DESTINATION,
    MESSAGING_OPERATION,
    MESSAGING_SYSTEM,
    STEP_ID,
    TASK_ID,
)
from shared.telemetry.telemetry import Attributes, Span


async def send_traced(queue: str, tasks: Sequence[AgentTask], resources: Resources, *, parent: str | None) -> None:
    """Send these tasks to `queue`, each from a span of its own; `parent` is its run's.

    Raises what `MessageBus.send` and `task_message` do.
    """

    async def send(spans: Sequence[Span]) -> None:
        traced = [_with_context(task, span) for task, span in zip(tasks, spans, strict=True)]
        await resources.bus.send(queue, [await task_message(task, resources.artifacts) for task in traced])

    about = [
        {
            TASK_ID: task.task_id,
            STEP_ID: task.step_id,
            AGENT: task.agent,
            MESSAGE_ID: task.message_id,
        }
        for task in tasks
    ]
    await _within_spans(queue, about, send, resources, parent)


async def publish_traced(events: Sequence[Event], resources: Resources, *, parent: str | None) -> None:
    """Put these events on the topic, each from a span of its own; `parent` is their run's.

    Raises what `MessageBus.publish` and `event_message` do.
    """

    async def publish(spans: Sequence[Span]) -> None:
        messages = [
            await event_message(event, resources.artifacts, traceparent=span.traceparent)
            for event, span in zip(events, spans, strict=True)
        ]
        await resources.bus.publish(names.EVENTS_TOPIC, messages)

    about = [{TASK_ID: each.rootid, MESSAGE_ID: names.event_message_id(each.rootid, each.id)} for each in events]
    await _within_spans(names.EVENTS_TOPIC, about, publish, resources, parent)


async def _within_spans(
    destination: str,
    about: Sequence[Attributes],
    send: Callable[[Sequence[Span]], Awaitable[None]],
    resources: Resources,
    parent: str | None,
) -> None:
    common = {
        MESSAGING_SYSTEM: "servicebus",
        MESSAGING_DESTINATION: destination,
        MESSAGING_OPERATION: "send",
    }
    begin = resources.telemetry.begin
    spans = [begin(tracing.SEND, destination, parent=parent, attributes={**common, **each}) for each in about]
    try:
        await send(spans)
    except BaseException as error:
        for span in spans:
            span.failed(error)
        raise
    finally:
        for span in spans:
            span.end()


def _with_context(task: AgentTask, span: Span) -> AgentTask:
    context = span.traceparent
    return task if context is None else task.model_copy(update={"traceparent": context})
