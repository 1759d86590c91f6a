"""An agent's task as a message. A large input travels by reference, so that every copy of it fits into its queue."""

from datetime import datetime

from shared.artifacts.store import ArtifactStore
from shared.contracts import AgentInput, AgentTask
from shared.messaging.bus import OutgoingMessage

MAX_INLINE_BYTES = 48 * 1024
JSON_CONTENT = "application/json"


async def task_message(
    task: AgentTask, artifacts: ArtifactStore, *, message_id: str | None = None, enqueue_at: datetime | None = None
) -> OutgoingMessage:
    """The message that carries `task`, under its own MessageId unless another is given.

    Above `MAX_INLINE_BYTES` the input is stored as an artifact first. Raises `StoreUnavailable`.
    """
    body = task.model_dump_json().encode()
    if len(body) > MAX_INLINE_BYTES and isinstance(task.input, AgentInput):
        reference = await artifacts.put(task.input.model_dump_json().encode(), JSON_CONTENT, run=task.task_id)
        body = task.model_copy(update={"input": reference}).model_dump_json().encode()
    return OutgoingMessage(
        body=body,
        message_id=message_id or task.message_id,
        correlation_id=task.task_id,
        enqueue_at=enqueue_at,
        traceparent=task.traceparent,
    )
