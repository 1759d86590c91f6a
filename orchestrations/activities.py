"""The activities of orchestrators: what they may not do themselves, because it touches the bus or the store."""

from collections import defaultdict

import azure.durable_functions as df

from orchestrations.calls import Dispatch, Dispatched, Rejection, RunUpdate
from shared import names
from shared.contracts import AgentTask, ErrorInfo
from shared.errors import TerminalError
from shared.messaging.tasks import task_message
from shared.resources import Resources


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
            await resources.bus.send(queue, [await task_message(task, resources.artifacts) for task in tasks])
        except TerminalError as error:
            info = ErrorInfo(type=type(error).__name__, message=str(error))
            rejected += [Rejection(step_id=task.step_id, error=info) for task in tasks]
    return Dispatched(rejected=tuple(rejected))
