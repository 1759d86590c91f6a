"""The activities of orchestrators: what they may not do themselves, because it touches the bus or the store."""

from collections import defaultdict

import azure.durable_functions as df

from orchestrations.calls import Dispatch, Dispatched, Rejection, RunUpdate
from shared import names
from shared.contracts import AgentInput, AgentTask, ErrorInfo
from shared.errors import TerminalError
from shared.messaging.bus import OutgoingMessage
from shared.resources import Resources

MAX_INLINE_BYTES = 48 * 1024
JSON_CONTENT = "application/json"


def orchestration_activities(resources: Resources) -> df.Blueprint:
    """A blueprint with the activities that patterns call."""
    blueprint = df.Blueprint()

    @blueprint.function_name(names.ACTIVITY_DISPATCH_AGENTS)
    @blueprint.activity_trigger(input_name="dispatch", activity=names.ACTIVITY_DISPATCH_AGENTS)
    async def dispatch_agents(dispatch: object) -> object:
        dispatched = await send_tasks(Dispatch.model_validate(dispatch), resources)
        return dispatched.model_dump(mode="json")

    @blueprint.function_name(names.ACTIVITY_RECORD_RUN)
    @blueprint.activity_trigger(input_name="update", activity=names.ACTIVITY_RECORD_RUN)
    async def record_run(update: object) -> None:
        moved = RunUpdate.model_validate(update)
        await resources.store.advance_run(moved.task_id, moved.status, now=resources.clock.now(), result=moved.result)

    return blueprint


async def send_tasks(dispatch: Dispatch, resources: Resources) -> Dispatched:
    """Send the tasks of a fan-out, one batch for each queue.

    A queue that refuses them for good rejects its tasks and holds up no other. A bus that does not answer raises
    `BusUnavailable`; sending all of them again is safe, because the queues know repeated ids.
    """
    by_queue: defaultdict[str, list[AgentTask]] = defaultdict(list)
    for task in dispatch.tasks:
        by_queue[names.agent_queue(task.agent)].append(task)
    rejected: list[Rejection] = []
    for queue, tasks in by_queue.items():
        try:
            await resources.bus.send(queue, [await _message(task, resources) for task in tasks])
        except TerminalError as error:
            info = ErrorInfo(type=type(error).__name__, message=str(error))
            rejected += [Rejection(step_id=task.step_id, error=info) for task in tasks]
    return Dispatched(rejected=tuple(rejected))


async def _message(task: AgentTask, resources: Resources) -> OutgoingMessage:
    body = task.model_dump_json().encode()
    if len(body) > MAX_INLINE_BYTES and isinstance(task.input, AgentInput):
        reference = await resources.artifacts.put(task.input.model_dump_json().encode(), JSON_CONTENT)
        body = task.model_copy(update={"input": reference}).model_dump_json().encode()
    return OutgoingMessage(
        body=body, message_id=task.message_id, correlation_id=task.task_id, traceparent=task.traceparent
    )
