"""The task hub of a plan: the local host's own engine in memory, with the app's orchestrators in the SDK's executor.

Whoever runs an activity is chosen anew each time, and one whose process ends is run again, as in Azure.
"""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from azure.durable_functions.worker import DurableFunctionsWorker
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue
from pydantic import JsonValue

from devhost.taskhub.engine.engine import Engine
from devhost.taskhub.engine.identifiers import Ids
from devhost.taskhub.engine.lifecycle import AlreadyExists, Beginning
from devhost.taskhub.hub import Turn
from devhost.taskhub.turns import ReplayedTurns, StickyTurns, Turns
from devhost.worker.stock import StockOrchestrator
from orchestrations.compensation import cancel_run
from orchestrations.registry import PATTERNS
from shared import names
from tests.support.fault_plans.plan import FaultPlan, Injector, Kind
from tests.support.fault_plans.virtual_time import VirtualClock

type RunActivity = Callable[[str, Any], Awaitable[Any]]


@cache
def _orchestrators() -> dict[str, StockOrchestrator]:
    worker = DurableFunctionsWorker()
    made = {names.orchestrator(pattern.name): pattern.orchestrator for pattern in PATTERNS.values()}
    made[names.ORCHESTRATOR_CANCEL_RUN] = cancel_run
    return {name: StockOrchestrator(function, worker) for name, function in made.items()}


class PlanExecutor:
    """A `WorkItemExecutor` for the app's orchestrators, and for activities that `run_activity` runs."""

    def __init__(self, turns: Turns, injector: Injector, run_activity: RunActivity) -> None:
        self._turns = turns
        self._injector = injector
        self._run_activity = run_activity

    async def orchestrator(self, turn: Turn) -> pb.OrchestratorResponse:
        """Run one turn; one that is lost is run again."""
        fault = self._injector.next("turn")
        if fault is not None and fault.kind is Kind.REFUSED:
            raise TurnLost("before it was run")
        response = self._turns.run(_orchestrators()[turn.started().name], turn)
        if fault is not None and fault.kind is Kind.ANSWER_LOST:
            raise TurnLost("after it was run")
        return response

    async def activity(self, request: pb.ActivityRequest) -> pb.ActivityResponse:
        """Run one activity; what it raises is its failure, unless its process ended."""
        response = pb.ActivityResponse(instanceId=request.orchestrationInstance.instanceId, taskId=request.taskId)
        result = await self._run_activity(request.name, json.loads(request.input.value or "null"))
        if isinstance(result, Exception):
            details = pb.TaskFailureDetails(errorType=type(result).__name__, errorMessage=str(result) or "failed")
            response.failureDetails.CopyFrom(details)
        else:
            response.result.CopyFrom(StringValue(value=json.dumps(result)))
        return response

    async def entity(self, request: pb.EntityBatchRequest) -> pb.EntityBatchResult:
        """There are none."""
        raise NotImplementedError

    def forget(self, instance_id: str, execution_id: str) -> None:
        """Drop what is kept of an execution."""
        self._turns.forget(instance_id, execution_id)


class TurnLost(Exception):
    """The host that ran a turn could not hand in what came of it."""


class Hub:
    """The engine, as durable clients see it: what they ask for is on disk when they are answered."""

    def __init__(self, plan: FaultPlan, injector: Injector, run_activity: RunActivity) -> None:
        self.engine = Engine(Path(":memory:"), VirtualClock(), ids=Ids(plan.seed))
        turns: Turns = StickyTurns(check_every=7) if plan.sticky else ReplayedTurns()
        self.engine.start(PlanExecutor(turns, injector, run_activity))

    async def exists(self, instance_id: str) -> bool:
        """Whether there is such an orchestration."""
        return self.engine.context.instances.find(instance_id) is not None

    async def schedule(self, orchestrator: str, instance_id: str, given: JsonValue) -> None:
        """Begin an orchestration, unless there is one with this id."""
        try:
            self.engine.begin(Beginning(name=orchestrator, instance_id=instance_id, input=json.dumps(given)))
        except AlreadyExists:
            return
        await self.engine.settled()

    async def terminate(self, instance_id: str) -> None:
        """End one with all that it started."""
        instance = self.engine.context.instances.find(instance_id)
        if instance is not None and not instance.finished:
            self.engine.terminate(instance, None, recursive=True)
            await self.engine.settled()

    async def raise_event(self, instance_id: str, name: str, data: JsonValue) -> None:
        """Raise an event on an orchestration; nobody waits on one that is over."""
        instance = self.engine.context.instances.find(instance_id)
        if instance is not None and not instance.finished:
            self.engine.raise_event(instance, name, json.dumps(data))
            await self.engine.settled()

    async def finished(self, instance_id: str) -> None:
        """Return once an orchestration has ended."""
        await self.engine.context.instances.wait(instance_id, finished=True)

    def status(self, instance_id: str) -> str | None:
        """How an orchestration stands."""
        record = self.engine.context.journal.find(instance_id)
        if record is None:
            return None
        return str(pb.OrchestrationStatus.Name(record.status)).removeprefix("ORCHESTRATION_STATUS_").lower()

    def output(self, instance_id: str) -> Any:
        """What an orchestration returned."""
        record = self.engine.context.journal.find(instance_id)
        text = self.engine.context.journal.output_text(record.key) if record is not None else None
        return json.loads(text) if text else None

    async def close(self) -> None:
        """Stop; what still runs is cancelled."""
        await self.engine.stop(timedelta(0))
