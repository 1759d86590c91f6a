"""The activities of orchestrators: what they may not do themselves, because it touches the bus or the store."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping
from typing import Protocol

import azure.durable_functions as df

from orchestrations.calls import (
    BeginRun,
    Begun,
    CallOff,
    Dispatch,
    Dispatched,
    PlanUndo,
    Publication,
    PublishedEvents,
    Recorded,
    Rejection,
    RunUpdate,
)
from orchestrations.door import check_request, roster
from orchestrations.durable import DurableOrchestrations
from orchestrations.requests import SequentialRequest
from orchestrations.resuming import reused
from orchestrations.starter import run_document
from orchestrations.undo_plan import plan_undo
from shared import names
from shared.breaker import agent_circuit, refusal
from shared.cards import AgentCard
from shared.circuit import Admitted, Refused
from shared.contracts import AgentTask, ErrorInfo, ReplyTo
from shared.ending import advance
from shared.errors import IllegalTransition, InvalidRequest, NotFound, TerminalError
from shared.messaging.sending import publish_traced, send_traced
from shared.resources import Resources
from shared.state.documents import RunDocument
from shared.status import RunStatus

log = logging.getLogger("muster.runs")


class NestedPatterns(Protocol):
    """The part of the durable client that stops what a run has begun."""

    async def terminate(self, instance_id: str) -> None:
        """End one with all that it started; nothing, if there is none or it is over."""
        ...


def orchestration_activities(agents: Mapping[str, AgentCard], resources: Resources) -> df.Blueprint:
    """A blueprint with the activities that patterns call."""
    blueprint = df.Blueprint()

    @blueprint.function_name(names.ACTIVITY_BEGIN_RUN)
    @blueprint.activity_trigger(input_name="begin", activity=names.ACTIVITY_BEGIN_RUN)
    async def begin_run(begin: object) -> object:
        begun = await begin_recorded(BeginRun.model_validate(begin), agents, resources)
        return begun.model_dump(mode="json")

    @blueprint.function_name(names.ACTIVITY_CALL_OFF)
    @blueprint.durable_client_input(client_name="client")
    @blueprint.activity_trigger(input_name="asked", activity=names.ACTIVITY_CALL_OFF)
    async def call_off(asked: object, client: df.DurableFunctionsClient) -> None:
        await call_off_steps(CallOff.model_validate(asked), DurableOrchestrations(client), resources)

    @blueprint.function_name(names.ACTIVITY_DISPATCH_AGENTS)
    @blueprint.activity_trigger(input_name="dispatch", activity=names.ACTIVITY_DISPATCH_AGENTS)
    async def dispatch_agents(dispatch: object) -> object:
        dispatched = await send_tasks(Dispatch.model_validate(dispatch), resources)
        return dispatched.model_dump(mode="json")

    @blueprint.function_name(names.ACTIVITY_PUBLISH_EVENTS)
    @blueprint.activity_trigger(input_name="publication", activity=names.ACTIVITY_PUBLISH_EVENTS)
    async def publish_events(publication: object) -> object:
        published = await send_events(Publication.model_validate(publication), resources)
        return published.model_dump(mode="json")

    @blueprint.function_name(names.ACTIVITY_PLAN_UNDO)
    @blueprint.activity_trigger(input_name="asked", activity=names.ACTIVITY_PLAN_UNDO)
    async def plan_undo_of(asked: object) -> object:
        plan = await plan_undo(PlanUndo.model_validate(asked), agents, resources)
        return plan.model_dump(mode="json")

    @blueprint.function_name(names.ACTIVITY_RECORD_RUN)
    @blueprint.activity_trigger(input_name="update", activity=names.ACTIVITY_RECORD_RUN)
    async def record_run(update: object) -> object:
        recorded = await record(RunUpdate.model_validate(update), resources)
        return recorded.model_dump(mode="json")

    return blueprint


async def begin_recorded(begin: BeginRun, agents: Mapping[str, AgentCard], resources: Resources) -> Begun:
    """Record that a run has begun, and say which agents it may ask.

    A run that was scheduled with the durable client alone gets its document here, and its request is checked here.
    Durable Functions would try again whatever was raised, so what no other try can mend is returned. Raises
    `StoreUnavailable`.
    """
    request = begin.request
    try:
        run = await _running(begin, resources)
    except IllegalTransition as error:
        return Begun(refused=ErrorInfo(type="RunOver", message=f"the run was over before it began: {error}"))
    except TerminalError as error:
        return Begun(refused=ErrorInfo(type=type(error).__name__, message=str(error)))
    known = roster(agents, resources.settings)
    try:
        check_request(request, known)
        taken = await reused(request, resources.store) if isinstance(request, SequentialRequest) else ()
    except InvalidRequest as error:
        return Begun(refused=ErrorInfo(type=type(error).__name__, message=str(error)))
    wanted = {name: known[name] for name in request.may_ask(known)}
    return Begun(agents=wanted, reused=taken, calls_off=True, traceparent=run.traceparent)


async def _running(begin: BeginRun, resources: Resources) -> RunDocument:
    store, now = resources.store, resources.clock.now()
    try:
        return await store.advance_run(begin.task_id, RunStatus.RUNNING, now=now)
    except NotFound:
        traceparent = resources.telemetry.traceparent
        await store.create_run(run_document(begin.task_id, begin.request, now=now, traceparent=traceparent))
        return await store.advance_run(begin.task_id, RunStatus.RUNNING, now=now)


async def call_off_steps(asked: CallOff, nested: NestedPatterns, resources: Resources) -> None:
    """Let a run go on without some steps, and stop the nested patterns among them.

    The store is told first: from then on nothing that they have begun is paid for, wherever it waits.
    Raises `StoreUnavailable` and `TaskHubUnavailable`; doing it again is safe.
    """
    await resources.store.call_off(asked.task_id, asked.steps, now=resources.clock.now())
    for path in asked.nested:
        await nested.terminate(names.nested_instance(asked.task_id, path))


async def record(update: RunUpdate, resources: Resources) -> Recorded:
    """Record how a run stands.

    Durable Functions would try again whatever was raised, so what no other try can mend is returned. A run that has
    ended otherwise, because it was cancelled meanwhile, keeps that end. Raises `StoreUnavailable`.
    """
    try:
        await advance(update.task_id, update.status, resources, result=update.result)
    except IllegalTransition as error:
        log.warning("run %s is not recorded as %s: %s", update.task_id, update.status, error)
    except TerminalError as error:
        return Recorded(refused=ErrorInfo(type=type(error).__name__, message=str(error)))
    return Recorded()


async def send_tasks(dispatch: Dispatch, resources: Resources) -> Dispatched:
    """Send the tasks of a fan-out, one batch for each queue, to all queues at once.

    An agent whose circuit is open has its tasks rejected, with the time to try again. A queue that refuses them for
    good rejects its tasks and holds up no other. A bus that does not answer raises `BusUnavailable`; sending all of
    them again is safe, because the queues know repeated ids.
    """
    by_queue: defaultdict[str, list[AgentTask]] = defaultdict(list)
    rejected: list[Rejection] = []
    probed: list[str] = []
    for task in tasks_of(dispatch):
        circuit = agent_circuit(task.agent)
        match await resources.circuits.admit(circuit):
            case Refused() as refused:
                rejected.append(Rejection(step_id=task.step_id, error=refusal(circuit, refused)))
            case Admitted(is_probe=is_probe):
                by_queue[names.agent_queue(task.agent)].append(task)
                probed += [circuit] if is_probe else []
    sending = (_send(queue, tasks, dispatch.traceparent, resources) for queue, tasks in by_queue.items())
    # Every queue is waited for, so that no send goes on after this has raised.
    for sent in await asyncio.gather(*sending, return_exceptions=True):
        if isinstance(sent, BaseException):
            await _give_up_probes(probed, resources)
            raise sent
        rejected += sent
    return Dispatched(rejected=tuple(rejected))


async def _give_up_probes(circuits: list[str], resources: Resources) -> None:
    """A probe that was perhaps not sent will perhaps not report, and calls would be refused until its time is over."""
    for circuit in circuits:
        await resources.circuits.failed(circuit, "the probe could not be sent")


async def _send(queue: str, tasks: list[AgentTask], traceparent: str | None, resources: Resources) -> list[Rejection]:
    try:
        await send_traced(queue, tasks, resources, parent=traceparent)
    except TerminalError as error:
        info = ErrorInfo(type=type(error).__name__, message=str(error))
        return [Rejection(step_id=task.step_id, error=info) for task in tasks]
    return []


async def send_events(publication: Publication, resources: Resources) -> PublishedEvents:
    """Put a run's events on the topic.

    A bus that does not answer raises `BusUnavailable`; publishing all of them again is safe, because the topic knows
    repeated ids.
    """
    try:
        await publish_traced(publication.events, resources, parent=publication.traceparent)
    except TerminalError as error:
        return PublishedEvents(refused=ErrorInfo(type=type(error).__name__, message=str(error)))
    return PublishedEvents()


def tasks_of(dispatch: Dispatch) -> list[AgentTask]:
    """The tasks that a dispatch asks for."""
    return [
        AgentTask(
            task_id=dispatch.task_id,
            step_id=step.step_id,
            agent=step.agent,
            input=dispatch.inputs[step.given],
            deadline=step.deadline,
            reply_to=ReplyTo(instance_id=dispatch.reply_to, event=step.reply_event),
            budget=step.budget,
            tenant=dispatch.tenant,
            session=dispatch.session,
        )
        for step in dispatch.steps
    ]
