"""The spans of what runs for a task hub: `activity:NAME` (server), the parent of whatever the activity's code does."""

from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import tracing as sdk

from devhost.taskhub.hub import Turn, WorkItemExecutor
from devhost.telemetry.executions import ACTIVITY, task_attributes
from devhost.telemetry.spans import Attributes, Kind, Spans
from devhost.telemetry.trace_context import TraceContext


class TracedExecutor:
    """A `WorkItemExecutor` over another. An activity that is run again after a crash has a span for each time."""

    def __init__(self, inner: WorkItemExecutor, spans: Spans) -> None:
        self._inner = inner
        self._spans = spans

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
        """Run operations of an entity. The protocol carries no trace context to them."""
        return await self._inner.entity(request)

    def forget(self, instance_id: str, execution_id: str) -> None:
        """Drop what is kept of an execution."""
        self._inner.forget(instance_id, execution_id)


def _of_activity(request: pb.ActivityRequest) -> Attributes:
    return {
        **task_attributes(ACTIVITY, request.name, request.version.value),
        sdk.ATTR_TASK_INSTANCE_ID: request.orchestrationInstance.instanceId,
        sdk.ATTR_TASK_TASK_ID: request.taskId,
    }
