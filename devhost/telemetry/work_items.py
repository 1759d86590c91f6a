"""The spans of what runs for a task hub, the parents of whatever the app's code does in it.

`activity:NAME` and `entity:NAME:OPERATION`, both server.
"""

import secrets

from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import tracing as sdk

from devhost.broker.instants import to_instant
from devhost.clock import Clock
from devhost.taskhub.engine.events import instant
from devhost.taskhub.hub import Turn, WorkItemExecutor
from devhost.telemetry.executions import ACTIVITY, task_attributes
from devhost.telemetry.operations import operation_attributes, operation_name
from devhost.telemetry.spans import Attributes, Kind, Span, Spans
from devhost.telemetry.trace_context import TraceContext


class TracedExecutor:
    """A `WorkItemExecutor` over another. An activity that is run again after a crash has a span for each time."""

    def __init__(self, inner: WorkItemExecutor, spans: Spans, clock: Clock) -> None:
        self._inner = inner
        self._spans = spans
        self._clock = clock

    async def orchestrator(self, turn: Turn) -> pb.OrchestratorResponse:
        """Run a turn. It is part of an execution's span, which the engine tells of when the execution ends."""
        return await self._inner.orchestrator(turn)

    async def activity(self, request: pb.ActivityRequest) -> pb.ActivityResponse:
        """Run an activity within a span; one that is part of no trace has none."""
        parent = TraceContext.of(request.parentTraceContext)
        if parent is None:
            return await self._inner.activity(request)
        name = sdk.create_span_name(ACTIVITY, request.name, request.version.value)
        span = self._spans.begin(name, Kind.SERVER, parent=parent.traceparent, attributes=_of_activity(request))
        own = TraceContext.parsed(span.traceparent, parent.state) or parent
        request.parentTraceContext.CopyFrom(own.message())
        error: str | None = "not run"
        try:
            response = await self._inner.activity(request)
            error = response.failureDetails.errorType or "failed" if response.HasField("failureDetails") else None
        finally:
            span.end(error=error)
        return response

    async def entity(self, request: pb.EntityBatchRequest) -> pb.EntityBatchResult:
        """Run operations of an entity, each within a span; one that is part of no trace has none."""
        traced = [(number, TraceContext.of(each.traceContext)) for number, each in enumerate(request.operations)]
        parents = {number: parent for number, parent in traced if parent is not None}
        if not parents:
            return await self._inner.entity(request)
        # Not derived from anything: what is run again after a crash is another span.
        own = {number: parent.with_span(secrets.randbits(64) or 1) for number, parent in parents.items()}
        for number, context in own.items():
            request.operations[number].traceContext.CopyFrom(context.message())
        began = to_instant(self._clock.now())
        result = await self._inner.entity(request)
        ended = to_instant(self._clock.now())
        for number, outcome in enumerate(result.results):
            if number in own:
                error, times = _outcome(outcome, began, ended)
                span_id, parent = own[number].span_id, parents[number]
                operation = request.operations[number].operation
                name, about = operation_name(request.instanceId, operation), _of_operation(request, operation)
                self._spans.record(Span(name, Kind.SERVER, span_id, parent, *times, about, error))
        return result

    def forget(self, instance_id: str, execution_id: str) -> None:
        """Drop what is kept of an execution."""
        self._inner.forget(instance_id, execution_id)


def _outcome(outcome: pb.OperationResult, began: int, ended: int) -> tuple[str | None, tuple[int, int]]:
    """Why an operation failed, and when it ran: what the SDK says of that, or else as long as its batch."""
    failed = outcome.HasField("failure")
    details = outcome.failure if failed else outcome.success
    error = (outcome.failure.failureDetails.errorType or "failed") if failed else None
    if not (details.HasField("startTimeUtc") and details.HasField("endTimeUtc")):
        return error, (began, ended)
    return error, (instant(details.startTimeUtc), instant(details.endTimeUtc))


def _of_operation(request: pb.EntityBatchRequest, operation: str) -> Attributes:
    return {**operation_attributes(request.instanceId, operation), sdk.ATTR_TASK_INSTANCE_ID: request.instanceId}


def _of_activity(request: pb.ActivityRequest) -> Attributes:
    return {
        **task_attributes(ACTIVITY, request.name, request.version.value),
        sdk.ATTR_TASK_INSTANCE_ID: request.orchestrationInstance.instanceId,
        sdk.ATTR_TASK_TASK_ID: request.taskId,
    }
