"""The spans of orchestrations, as the Durable extension emits them with its tracing V2.

- `create_orchestration:NAME` (producer): a client's start, the parent of what it started.
- `orchestration:NAME` (server): an execution, from its first turn to its end. Emitted once, when it ends.
- `activity:NAME` and `orchestration:NAME` (client): an orchestrator's wait for a task, from the event that asked for it
  to the event that answered. What runs the task has it for its parent.
- `orchestration:NAME:timer` (internal): a timer, from when it was set to when it fired.
- `orchestration_event:NAME` (producer): an event that an orchestrator sends.
- `entity:NAME:OPERATION` (client, producer): an orchestrator's call of an entity, until it was answered; its signal.

Source: `TraceHelper.cs` and `Schema.cs` in `DurableTask.Core/Tracing`, and the SDK's copy of their names in
`durabletask.internal.tracing`.

An execution's span id is derived from the execution's own id, and a task's is in the event that asked for it. So both
outlive the process: what ended before a crash already points at the span that is emitted after it.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Final

from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import tracing as sdk

from devhost.taskhub.engine.instance import Instance
from devhost.taskhub.engine.tracing import Creation, TraceOf
from devhost.telemetry.executions import Execution, task_attributes
from devhost.telemetry.operations import call_span_id
from devhost.telemetry.spans import Kind, OpenSpan, Span, Spans
from devhost.telemetry.trace_context import TraceContext

_log = logging.getLogger(__name__)


class OrchestrationSpans:
    """A `Tracing` that makes spans of what it is told."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans

    def creation(self, name: str, version: str | None, parent: pb.TraceContext | None) -> Creation:
        """A client asks for an orchestration; see `Tracing`."""
        above = TraceContext.of(parent) if parent is not None else None
        span = self._spans.begin(
            sdk.create_span_name(sdk.SPAN_TYPE_CREATE_ORCHESTRATION, name, version),
            Kind.PRODUCER,
            parent=above.traceparent if above is not None else "",
            attributes=task_attributes(sdk.TASK_TYPE_ORCHESTRATION, name, version),
        )
        return _Creation(span, above.state if above is not None else "")

    def turn(
        self, instance: Instance, taken_in: Sequence[pb.HistoryEvent], response: pb.OrchestratorResponse, now: int
    ) -> Callable[[], None]:
        """A turn came to `response`; see `Tracing`. An execution that is part of no trace has no spans.

        What goes wrong here is logged and costs a run some of its spans, never a turn.
        """
        try:
            spans = self._of_turn(instance, taken_in, response, now)
        except Exception:
            _log.exception("a turn of '%s' has no spans", instance.id)
            return _nothing
        return partial(self._tell, spans)

    def operations(
        self, request: pb.EntityBatchRequest, messages: Sequence[pb.HistoryEvent], trace_of: TraceOf
    ) -> None:
        """Operations are about to run; see `Tracing`. Those of signals and of calls without a trace are left alone."""
        try:
            for operation, message in zip(request.operations, messages, strict=True):
                called = message.entityOperationCalled
                caller = trace_of(called.parentInstanceId.value) if message.HasField("entityOperationCalled") else None
                context = TraceContext.of(caller) if caller is not None else None
                if context is not None:
                    own = context.with_span(call_span_id(called.requestId))
                    operation.traceContext.CopyFrom(own.message())
        except Exception:
            _log.exception("operations of '%s' have no spans", request.instanceId)

    def _tell(self, spans: Iterable[Span]) -> None:
        try:
            for span in spans:
                self._spans.record(span)
        except Exception:
            _log.exception("spans are lost")

    @staticmethod
    def _of_turn(
        instance: Instance, taken_in: Sequence[pb.HistoryEvent], response: pb.OrchestratorResponse, now: int
    ) -> Sequence[Span]:
        started = _started(instance, taken_in)
        parent = TraceContext.of(started.parentTraceContext)
        if parent is None:
            return ()
        execution = Execution(instance, parent)
        spans = [*execution.answered(taken_in), *execution.asked(response.actions, now)]
        end = next((each.completeOrchestration for each in response.actions if _completes(each)), None)
        if end is not None:
            spans += execution.left_open(taken_in, response.actions, now)
            spans.append(execution.ended(taken_in, end, now))
        return spans


class _Creation:
    def __init__(self, span: OpenSpan, state: str) -> None:
        self._span = span
        context = TraceContext.parsed(span.traceparent, state)
        self.trace_context = context.message() if context is not None else pb.TraceContext()

    def done(self, instance_id: str) -> None:
        self._span.end(attributes={sdk.ATTR_TASK_INSTANCE_ID: instance_id})

    def refused(self, why: str) -> None:
        self._span.end(error=why)


def _nothing() -> None:
    pass


def _started(instance: Instance, taken_in: Iterable[pb.HistoryEvent]) -> pb.ExecutionStartedEvent:
    events = chain(instance.history, taken_in)
    return next((each.executionStarted for each in events if each.HasField("executionStarted")), _NOT_STARTED)


_NOT_STARTED: Final = pb.ExecutionStartedEvent()


def _completes(action: pb.OrchestratorAction) -> bool:
    return bool(action.HasField("completeOrchestration"))
