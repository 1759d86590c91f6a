"""Runs work items with the SDK's own code in this process, the orchestrators as the local host runs them."""

import asyncio
from typing import Any

from azure.durable_functions.worker import DurableFunctionsWorker
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.serialization import JsonDataConverter
from durabletask.worker import VersioningOptions

from devhost.taskhub.hub import Turn
from devhost.taskhub.turns import Turns
from devhost.worker.stock import StockOrchestrator
from tests.support.conformance.catalog import Functions
from tests.support.conformance.reference import register


class _Answers:
    """Stands where a worker keeps the stub it answers through."""

    def __init__(self) -> None:
        self.answer: Any = None

    def _take(self, answer: Any) -> None:
        self.answer = answer

    CompleteOrchestratorTask = CompleteActivityTask = CompleteEntityTask = _take


class StockExecutor:
    """A `WorkItemExecutor` over a worker that is never started. Payloads are the JSON of the plain SDK."""

    def __init__(self, functions: Functions, turns: Turns, versioning: VersioningOptions | None = None) -> None:
        self._turns = turns
        self._worker = DurableFunctionsWorker()
        self._worker._data_converter = JsonDataConverter()
        # The worker registers an orchestrator itself when it runs it first.
        register(Functions({}, functions.activities, functions.entities), self._worker, versioning)
        self._orchestrators = {
            name: StockOrchestrator(function, self._worker) for name, function in functions.orchestrators.items()
        }

    async def orchestrator(self, turn: Turn) -> pb.OrchestratorResponse:
        """Run one turn, on the event loop. A name that nobody registered fails as the SDK has it."""
        found = self._orchestrators.get(turn.started().name)
        if found is not None:
            return self._turns.run(found, turn)
        answers = _Answers()
        self._worker._execute_orchestrator(turn.request(), answers, "")
        assert isinstance(answers.answer, pb.OrchestratorResponse)
        return answers.answer

    async def activity(self, request: pb.ActivityRequest) -> pb.ActivityResponse:
        """Run one activity, in a thread: the programs' activities may block."""
        answers = _Answers()
        await asyncio.to_thread(self._worker._execute_activity, request, answers, "")
        assert isinstance(answers.answer, pb.ActivityResponse)
        return answers.answer

    async def entity(self, request: pb.EntityBatchRequest) -> pb.EntityBatchResult:
        """Run a batch of operations, on the event loop."""
        answers = _Answers()
        self._worker._execute_entity_batch(request, answers, "")
        assert isinstance(answers.answer, pb.EntityBatchResult)
        return answers.answer

    def forget(self, instance_id: str, execution_id: str) -> None:
        """Drop what is kept of an execution between its turns."""
        self._turns.forget(instance_id, execution_id)
