"""The app in one process: its own runner, consumers, activities and doors, over the process's view of the world."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import JsonValue

from agents import delivery as agent_delivery
from agents.activities import run_activity
from agents.catalog import Catalog
from agents.delivery import QueueConsumer
from agents.last_words import tell_who_waits
from agents.poison import is_last
from agents.runner import AgentRunner
from agents.subscriptions import EventConsumer
from devhost.broker.model import Delivery
from orchestrations.activities import begin_recorded, call_off_steps, record, send_events, send_tasks
from orchestrations.calls import BeginRun, CallOff, Dispatch, PlanUndo, Publication, RunUpdate
from orchestrations.cancelling import cancel
from orchestrations.nodes import PatternRequest
from orchestrations.starter import start_run
from orchestrations.undo_plan import plan_undo
from shared import names
from shared.artifacts.store import ArtifactStore
from shared.breaker import CircuitBreaker
from shared.contracts import AgentResult, AgentTask, ReplyTo
from shared.errors import InvalidMessage, TaskHubUnavailable
from shared.llm.breaking import CircuitedModel
from shared.llm.guard import GuardedModel
from shared.llm.model import ModelClient
from shared.memory.sqlite import SqliteMemory
from shared.messaging.bus import MessageBus
from shared.resources import Resources
from shared.settings import Settings
from shared.state.documents import RunDocument
from shared.state.sqlite import SqliteState
from shared.state.store import StateStore
from tests.support.fault_plans.hub import Hub
from tests.support.fault_plans.namespace import Namespace, agent_of
from tests.support.fault_plans.observed import Told
from tests.support.fault_plans.plan import Kind
from tests.support.fault_plans.ports import (
    Circuits,
    Model,
    NoArtifacts,
    ProcessBus,
    ProcessCircuits,
    ProcessModel,
    ProcessStore,
)
from tests.support.fault_plans.process import Process

_SETTINGS = Settings()


@dataclass(frozen=True, slots=True)
class Parts:
    """What the app is put together from. A test of the checker passes in one with a fault of its own.

    With `settles_first` the host completes a message before it is handled.
    """

    store: Callable[[StateStore], StateStore] = lambda store: store
    model: Callable[[ModelClient], ModelClient] = lambda model: model
    bus: Callable[[MessageBus], MessageBus] = lambda bus: bus
    runner: type[AgentRunner] = AgentRunner
    consumer: type[QueueConsumer] = QueueConsumer
    settles_first: bool = False


SOUND = Parts()
"""The app as it is."""


@dataclass(frozen=True, slots=True)
class Outside:
    """The world outside the processes, one for all of them."""

    catalog: Catalog
    store: SqliteState
    namespace: Namespace
    circuits: Circuits
    model: Model


class App:
    """One process of the app."""

    def __init__(self, outside: Outside, hub: Callable[[], Hub], process: Process, parts: Parts) -> None:
        self.process = process
        self._catalog = outside.catalog
        self._hub = hub
        circuits = CircuitBreaker(ProcessCircuits(outside.circuits, process), process.clock)
        model = CircuitedModel(
            parts.model(ProcessModel(outside.model, process)), circuits, process.clock, lambda: "model.planned"
        )
        self._resources = Resources(
            settings=_SETTINGS,
            store=parts.store(cast(StateStore, ProcessStore(outside.store, process))),
            bus=parts.bus(cast(MessageBus, ProcessBus(outside.namespace, process))),
            artifacts=cast(ArtifactStore, NoArtifacts()),
            model=GuardedModel(model, process.clock),
            memory=SqliteMemory(Path(":memory:")),
            clock=process.clock,
            circuits=circuits,
        )
        self._runner = parts.runner(outside.catalog, self._resources, chance=lambda: 0.5)
        self._consumer = parts.consumer(self._runner, self._resources, chance=lambda: 0.5)
        self._events = EventConsumer(self._consumer)

    # -- what hosts and clients call --------------------------------------------------------------------------------

    async def start(self, request: PatternRequest, key: str) -> RunDocument:
        """Start a run, as a client does that repeats itself under one key."""
        return await start_run(
            request,
            agents=self._catalog.cards,
            orchestrations=self,
            resources=self._resources,
            idempotency_key=key,
        )

    async def cancel(self, task_id: str) -> None:
        """Cancel a run, as a person does."""
        await cancel(task_id, orchestrations=self, resources=self._resources)

    async def consume(self, queue: str, delivery: Delivery, owner: str) -> None:
        """Handle a delivery; what it raises gives the message back."""
        agent, body = agent_of(queue), delivery.message.content
        handed = agent_delivery.Delivery(
            owner, self._reply, delivery.enqueued_time, is_last=is_last(delivery.delivery_count)
        )
        if "/" in queue:
            await self._events.consume(self._catalog.cards[agent], body, handed)
            return
        try:
            await self._consumer.consume(agent, body, handed)
        except InvalidMessage:
            await tell_who_waits(agent, body, self._reply)
            raise

    async def activity(self, name: str, given: Any, owner: str) -> JsonValue:
        """Run an activity of the app."""
        resources = self._resources
        match name:
            case names.ACTIVITY_BEGIN_RUN:
                begun = await begin_recorded(BeginRun.model_validate(given), self._catalog.cards, resources)
                return _json(begun)
            case names.ACTIVITY_CALL_OFF:
                await call_off_steps(CallOff.model_validate(given), self, resources)
                return None
            case names.ACTIVITY_DISPATCH_AGENTS:
                return _json(await send_tasks(Dispatch.model_validate(given), resources))
            case names.ACTIVITY_PUBLISH_EVENTS:
                return _json(await send_events(Publication.model_validate(given), resources))
            case names.ACTIVITY_PLAN_UNDO:
                return _json(await plan_undo(PlanUndo.model_validate(given), self._catalog.cards, resources))
            case names.ACTIVITY_RECORD_RUN:
                return _json(await record(RunUpdate.model_validate(given), resources))
            case _:
                return await self._agent(AgentTask.model_validate(given), owner)

    async def _agent(self, task: AgentTask, owner: str) -> JsonValue:
        now = self._resources.clock.now()
        result = await run_activity(task, self._runner, self._resources.circuits, owner=owner, now=now)
        if result.retry_after_seconds is None:
            self._tell(task.step_id, result)
        return _json(result)

    # -- the task hub as this process reaches it ----------------------------------------------------------------------

    async def exists(self, instance_id: str) -> bool:
        """Whether there is such an orchestration; see `Orchestrations`."""
        await self.process.alive()
        return await self._hub().exists(instance_id)

    async def schedule(self, orchestrator: str, instance_id: str, given: JsonValue) -> None:
        """Schedule one; see `Orchestrations`."""
        await self.process.reach(
            "schedule", lambda: self._hub().schedule(orchestrator, instance_id, given), _no_task_hub
        )

    async def terminate(self, instance_id: str) -> None:
        """End one; see `Stopping`."""
        await self.process.reach("terminate", lambda: self._hub().terminate(instance_id), _no_task_hub)

    async def _reply(self, to: ReplyTo, result: AgentResult) -> None:
        await self.process.alive()
        fault = self.process.injector.next("reply")
        if fault is not None:
            await self.process.before(fault, _no_task_hub)
        if fault is None or fault.kind is not Kind.SWALLOWED:
            await self._hub().raise_event(to.instance_id, to.event, result.model_dump(mode="json"))
            self._tell(to.event.removeprefix(names.reply_event("")), result)
        if fault is not None:
            await self.process.after(fault, _no_task_hub)

    def _tell(self, step: str, result: AgentResult) -> None:
        self.process.notebook.note(Told, step, result.status, result.error.type if result.error else None)


def _json(answer: Any) -> JsonValue:
    dumped: JsonValue = answer.model_dump(mode="json")
    return dumped


def _no_task_hub() -> TaskHubUnavailable:
    return TaskHubUnavailable("the task hub did not answer")
