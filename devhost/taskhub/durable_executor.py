"""Runs work items as functions of the app: orchestrators, activities and entities, each through `Invoke`.

The wire, as the Durable extension and `azure-functions-durable` 2 have it: an orchestrator and an entity take a base64
protobuf request as their trigger's value and return a base64 protobuf response; an activity takes JSON text and returns
it. A failure of the app, an unknown name among them, is always part of the response, so that nothing waits for it.
"""

import base64
import binascii
import json
import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from azure_functions_runtime.bindings.datumdef import Datum
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.message import DecodeError, Message
from google.protobuf.wrappers_pb2 import StringValue

from devhost.taskhub.hub import Turn
from devhost.taskhub.stored_payloads import StoredPayloads
from devhost.taskhub.turns import ReplayedTurns, Turns
from devhost.worker.model import FunctionMetadata, InvocationError, InvocationResult, Invoke
from devhost.worker.stock import StockOrchestrator, stock_orchestrator

_log = logging.getLogger(__name__)

# The trigger's type, and the property of its binding that renames the function.
_ORCHESTRATOR: Final = ("orchestrationTrigger", "orchestration")
_ACTIVITY: Final = ("activityTrigger", "activity")
_ENTITY: Final = ("entityTrigger", "entityName")


LONG_TURN_SECONDS: Final = 1.0


class FunctionNames:
    """The functions of one trigger type by their Durable names, which compare without regard to case."""

    def __init__(self, functions: Iterable[FunctionMetadata], trigger_type: str, name_property: str) -> None:
        self._functions: dict[str, FunctionMetadata] = {}
        self.names: tuple[str, ...] = ()
        for function in functions:
            if function.trigger.type == trigger_type:
                name = str(function.trigger.properties.get(name_property) or function.name)
                self._functions[name.lower()] = function
                self.names += (name,)

    def find(self, name: str) -> FunctionMetadata | None:
        """The function called `name`, or None."""
        return self._functions.get(name.lower())


type CallableOf = Callable[[FunctionMetadata], Callable[..., Any] | None]


class DurableExecutor:
    """A `WorkItemExecutor` for the functions of one app.

    `callable_of` gives what the worker calls for a function: an orchestrator that it shows to be the stock SDK's own is
    run by `turns`, on the event loop. Every other function, and every orchestrator without it, goes through `invoke`.
    `stopwatch` tells seconds that really pass, to notice an orchestrator that holds up the host.
    """

    def __init__(
        self,
        functions: Iterable[FunctionMetadata],
        invoke: Invoke,
        *,
        callable_of: CallableOf | None = None,
        turns: Turns | None = None,
        stopwatch: Callable[[], float] = time.perf_counter,
    ) -> None:
        functions = tuple(functions)
        self._invoke = invoke
        self._turns = turns or ReplayedTurns()
        self._payloads = StoredPayloads()
        self._stopwatch = stopwatch
        self._orchestrators = FunctionNames(functions, *_ORCHESTRATOR)
        self._activities = FunctionNames(functions, *_ACTIVITY)
        self._entities = FunctionNames(functions, *_ENTITY)
        self._stock = _stock_orchestrators(functions, callable_of) if callable_of is not None else {}

    @property
    def orchestrators(self) -> tuple[str, ...]:
        """The names of the app's orchestrators, in the order of its functions."""
        return self._orchestrators.names

    async def orchestrator(self, turn: Turn) -> pb.OrchestratorResponse:
        """Run one turn of an orchestrator over its history."""
        started = turn.started()
        function = self._orchestrators.find(started.name)
        if function is None:
            return _failed_orchestration(turn, _unknown("orchestrator", started.name, self._orchestrators.names))
        stock = self._stock.get(function.name)
        if stock is not None and not self._payloads.concern(turn):
            response = await self._with_payloads_kept(turn, self._run(stock, started.name, turn))
        else:
            response = await self._invoked_turn(function, started, turn)
        _report(started.name, turn, response)
        return response

    def _run(self, stock: StockOrchestrator, name: str, turn: Turn) -> pb.OrchestratorResponse:
        began = self._stopwatch()
        response = self._turns.run(stock, turn)
        sys.stdout.flush()
        seconds = self._stopwatch() - began
        if seconds > LONG_TURN_SECONDS:
            events = len(turn.past_events) + len(turn.new_events)
            _log.warning(
                "%s (orchestration %s): a turn over %d events took %.1f s, and everything else had to wait for it: an"
                " orchestrator must not block",
                *(name, turn.instance_id, events, seconds),
            )
        return response

    async def _with_payloads_kept(self, turn: Turn, response: pb.OrchestratorResponse) -> pb.OrchestratorResponse:
        try:
            await self._payloads.keep(response)
        except Exception as failure:
            _log.exception("what the orchestration '%s' asks for could not be kept", turn.instance_id)
            return _failed_orchestration(turn, helpers.new_failure_details(failure))
        return response

    async def _invoked_turn(
        self, function: FunctionMetadata, started: pb.ExecutionStartedEvent, turn: Turn
    ) -> pb.OrchestratorResponse:
        result = await self._invoke(
            function,
            _encoded(turn.request()),
            trace_parent=started.parentTraceContext.traceParent,
            reason=f"orchestration {turn.instance_id}, {len(turn.new_events)} new events",
        )
        response = pb.OrchestratorResponse()
        failure = _decode_into(response, function, result)
        if failure is not None:
            return _failed_orchestration(turn, failure)
        response.instanceId = turn.instance_id
        return response

    async def activity(self, request: pb.ActivityRequest) -> pb.ActivityResponse:
        """Run one activity. Its input and its result are JSON text; no input is JSON's null."""
        response = await self._activity(request)
        response.instanceId = request.orchestrationInstance.instanceId
        response.taskId = request.taskId
        return response

    async def _activity(self, request: pb.ActivityRequest) -> pb.ActivityResponse:
        function = self._activities.find(request.name)
        if function is None:
            return pb.ActivityResponse(failureDetails=_unknown("activity", request.name, self._activities.names))
        result = await self._invoke(
            function,
            Datum(request.input.value or "null", "json"),
            trace_parent=request.parentTraceContext.traceParent,
            reason=f"task {request.taskId} of {request.orchestrationInstance.instanceId}",
        )
        if result.error is not None:
            return pb.ActivityResponse(failureDetails=_failure(result.error))
        return pb.ActivityResponse(result=_json_text(result.return_value))

    async def entity(self, request: pb.EntityBatchRequest) -> pb.EntityBatchResult:
        """Run a batch of operations of one entity."""
        name = request.instanceId.removeprefix("@").partition("@")[0]
        function = self._entities.find(name)
        if function is None:
            return _failed_batch(request, _unknown("entity", name, self._entities.names))
        result = await self._invoke(
            function,
            _encoded(request),
            reason=f"entity {request.instanceId}, {len(request.operations)} operations",
        )
        response = pb.EntityBatchResult()
        failure = _decode_into(response, function, result)
        return response if failure is None else _failed_batch(request, failure)

    def forget(self, instance_id: str, execution_id: str) -> None:
        """Drop what is kept of an execution between its turns."""
        self._turns.forget(instance_id, execution_id)
        self._payloads.forget(instance_id, execution_id)


def _stock_orchestrators(
    functions: Iterable[FunctionMetadata], callable_of: CallableOf
) -> Mapping[str, StockOrchestrator]:
    """By the names of their functions; an orchestrator with more bindings than its trigger is not among them."""
    found = {}
    for function in functions:
        if function.trigger.type == "orchestrationTrigger" and len(function.bindings) == 1:
            registered = callable_of(function)
            stock = stock_orchestrator(registered) if registered is not None else None
            if stock is not None:
                found[function.name] = stock
    return found


def _report(name: str, turn: Turn, response: pb.OrchestratorResponse) -> None:
    """A line where an orchestration begins, and one where it ends."""
    if not turn.past_events:
        _log.info("%s (orchestration %s): started", name, turn.instance_id)
    if not response.actions or not response.actions[-1].HasField("completeOrchestration"):
        return
    end = response.actions[-1].completeOrchestration
    if end.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED:
        failure = end.failureDetails
        text = f"{failure.errorType}: {failure.errorMessage}"
        _log.error("%s (orchestration %s): FAILED: %s", name, turn.instance_id, text)
        return
    status = pb.OrchestrationStatus.Name(end.orchestrationStatus).removeprefix("ORCHESTRATION_STATUS_")
    _log.info("%s (orchestration %s): %s", name, turn.instance_id, status.lower().replace("_", " "))


def _encoded(request: Message) -> Datum:
    return Datum(base64.b64encode(request.SerializeToString()).decode("ascii"), "string")


def _decode_into(
    response: Message, function: FunctionMetadata, result: InvocationResult
) -> pb.TaskFailureDetails | None:
    if result.error is not None:
        return _failure(result.error)
    value = result.return_value.value if result.return_value is not None else None
    try:
        response.ParseFromString(base64.b64decode(value or "", validate=True))
    except (binascii.Error, DecodeError, TypeError, ValueError):
        value = None
    if not value:
        message = f"the function '{function.name}' did not return a Durable Task response: is it decorated as one?"
        return pb.TaskFailureDetails(errorType="InvalidResponse", errorMessage=message, isNonRetriable=True)
    return None


def _failure(error: InvocationError) -> pb.TaskFailureDetails:
    # A failure without a message is taken for a success by some readers of the protocol.
    return pb.TaskFailureDetails(
        errorType=error.type,
        errorMessage=error.message or error.type,
        stackTrace=StringValue(value=error.traceback),
    )


def _unknown(kind: str, name: str, known: tuple[str, ...]) -> pb.TaskFailureDetails:
    registered = ", ".join(sorted(known)) or "none"
    message = f"the app has no {kind} named '{name}'; registered: {registered}"
    _log.error("%s", message)
    return pb.TaskFailureDetails(errorType="FunctionNotFound", errorMessage=message, isNonRetriable=True)


def _failed_orchestration(turn: Turn, failure: pb.TaskFailureDetails) -> pb.OrchestratorResponse:
    status = pb.ORCHESTRATION_STATUS_FAILED
    action = helpers.new_complete_orchestration_action(-1, status, None, failure)
    return pb.OrchestratorResponse(instanceId=turn.instance_id, actions=[action])


def _failed_batch(request: pb.EntityBatchRequest, failure: pb.TaskFailureDetails) -> pb.EntityBatchResult:
    """Every operation failed, the state stays as it was."""
    failed = pb.OperationResult(failure=pb.OperationResultFailure(failureDetails=failure))
    state = request.entityState if request.HasField("entityState") else None
    return pb.EntityBatchResult(results=[failed] * len(request.operations), entityState=state)


def _json_text(value: Datum | None) -> StringValue | None:
    if value is None or value.value is None:
        return None
    if value.type == "json":
        return StringValue(value=value.value)
    return StringValue(value=_as_json(value.value))


def _as_json(value: Any) -> str:
    """Text that is JSON already stays as it is, as the Durable extension has it; anything else becomes JSON."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    if not isinstance(text, str):
        return json.dumps(text, default=str)
    try:
        json.loads(text)
    except ValueError:
        return json.dumps(text)
    return text
