"""One execution of an orchestration, and the spans of what it does."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import tracing as sdk

from devhost.broker.instants import to_datetime
from devhost.taskhub.engine.events import instant
from devhost.taskhub.engine.instance import Instance
from devhost.telemetry.histories import answers, asked_for, began, unanswered, why
from devhost.telemetry.operations import call_span_id, operation_attributes, operation_name
from devhost.telemetry.spans import Attributes, Kind, Span
from devhost.telemetry.trace_context import TraceContext, derived_span_id

ACTIVITY: Final = "activity"
_EXECUTION_ID: Final = "durabletask.task.execution_id"
_STATUS: Final = {
    pb.ORCHESTRATION_STATUS_COMPLETED: "Completed",
    pb.ORCHESTRATION_STATUS_FAILED: "Failed",
    pb.ORCHESTRATION_STATUS_TERMINATED: "Terminated",
    pb.ORCHESTRATION_STATUS_CANCELED: "Canceled",
    pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW: "ContinuedAsNew",
}


def task_attributes(kind: str, name: str, version: str | None) -> Attributes:
    """What every span about an orchestration or a task says, as the Durable extension has it."""
    versioned = {sdk.ATTR_TASK_VERSION: version} if version else {}
    return {sdk.ATTR_TASK_TYPE: kind, sdk.ATTR_TASK_NAME: name, **versioned}


class Execution:
    """What an execution of `instance`, which is part of the trace of `parent`, has to tell."""

    def __init__(self, instance: Instance, parent: TraceContext) -> None:
        self._instance = instance
        self._parent = parent
        self._context = parent.with_span(derived_span_id("orchestration", instance.id, instance.execution_id))
        self._ids = {sdk.ATTR_TASK_INSTANCE_ID: instance.id, _EXECUTION_ID: instance.execution_id}

    def answered(self, taken_in: Iterable[pb.HistoryEvent]) -> Iterator[Span]:
        """The tasks, calls and timers whose end the turn took in."""
        came = {key: event for event in taken_in if (key := answers(event)) is not None}
        for key, asked in asked_for(self._instance.history, came):
            answer = came[key]
            if asked.HasField("timerCreated"):
                yield self._timer(asked, answer)
            else:
                yield from self._task(asked, instant(answer.timestamp), why(answer))

    def asked(self, actions: Iterable[pb.OrchestratorAction], now: int) -> Iterator[Span]:
        """The events and signals that the turn sends; the tasks that it asks for are given their trace contexts."""
        for action in actions:
            if action.HasField("scheduleTask"):
                action.scheduleTask.parentTraceContext.CopyFrom(self._new_task(action.id).message())
            elif action.HasField("createSubOrchestration"):
                action.createSubOrchestration.parentTraceContext.CopyFrom(self._new_task(action.id).message())
            elif action.HasField("sendEvent"):
                yield self._event(action.id, action.sendEvent, now)
            elif action.sendEntityMessage.HasField("entityOperationSignaled"):
                signal = action.sendEntityMessage.entityOperationSignaled
                yield self._operation(signal, Kind.PRODUCER, now, now)

    def left_open(
        self, taken_in: Sequence[pb.HistoryEvent], actions: Iterable[pb.OrchestratorAction], now: int
    ) -> Iterator[Span]:
        """The tasks that nobody waits for any more: what runs them has them for its parent."""
        for event in unanswered(chain(self._instance.history, taken_in)):
            yield from self._task(event, now, None)
        for action in actions:
            if action.HasField("scheduleTask"):
                task = action.scheduleTask
                yield from self._client(ACTIVITY, action.id, task, now, now, None)
            elif action.HasField("createSubOrchestration"):
                child = action.createSubOrchestration
                yield from self._client(sdk.TASK_TYPE_ORCHESTRATION, action.id, child, now, now, None)
            elif action.sendEntityMessage.HasField("entityOperationCalled"):
                yield self._operation(action.sendEntityMessage.entityOperationCalled, Kind.CLIENT, now, now)

    def ended(self, taken_in: Sequence[pb.HistoryEvent], end: pb.CompleteOrchestrationAction, now: int) -> Span:
        """The execution itself."""
        name, version = self._instance.name, self._instance.version
        failed = end.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED
        status = _STATUS.get(end.orchestrationStatus, "")
        return Span(
            sdk.create_span_name(sdk.TASK_TYPE_ORCHESTRATION, name, version),
            Kind.SERVER,
            self._context.span_id,
            self._parent,
            began(chain(self._instance.history, taken_in), now),
            now,
            {**task_attributes(sdk.TASK_TYPE_ORCHESTRATION, name, version), **self._ids, sdk.ATTR_TASK_STATUS: status},
            (end.failureDetails.errorType or status) if failed else None,
        )

    def _new_task(self, number: int) -> TraceContext:
        return self._context.with_span(self._span_id("task", number, len(self._instance.history)))

    def _span_id(self, kind: str, number: int, since: int) -> int:
        """`since` tells apart what bears the same number: each attempt at an activity has that of the first."""
        return derived_span_id(kind, self._instance.id, self._instance.execution_id, number, since)

    def _task(self, asked: pb.HistoryEvent, ended: int, error: str | None) -> Iterator[Span]:
        since = instant(asked.timestamp)
        if asked.HasField("taskScheduled"):
            return self._client(ACTIVITY, asked.eventId, asked.taskScheduled, since, ended, error)
        if asked.HasField("entityOperationCalled"):
            return iter([self._operation(asked.entityOperationCalled, Kind.CLIENT, since, ended, error)])
        child = asked.subOrchestrationInstanceCreated
        return self._client(sdk.TASK_TYPE_ORCHESTRATION, asked.eventId, child, since, ended, error)

    def _client(
        self,
        kind: str,
        number: int,
        asked: pb.TaskScheduledEvent
        | pb.SubOrchestrationInstanceCreatedEvent
        | pb.ScheduleTaskAction
        | pb.CreateSubOrchestrationAction,
        since: int,
        ended: int,
        error: str | None,
    ) -> Iterator[Span]:
        # Where it comes from a history that began without spans, it names a span that is not this execution's to emit.
        own = TraceContext.of(asked.parentTraceContext)
        if own is None or own.span_id == self._parent.span_id:
            return
        version = asked.version.value
        attributes = {**task_attributes(kind, asked.name, version), **self._ids, sdk.ATTR_TASK_TASK_ID: number}
        name = sdk.create_span_name(kind, asked.name, version)
        yield Span(name, Kind.CLIENT, own.span_id, self._context, since, ended, attributes, error)

    def _operation(
        self,
        asked: pb.EntityOperationCalledEvent | pb.EntityOperationSignaledEvent,
        kind: Kind,
        since: int,
        ended: int,
        error: str | None = None,
    ) -> Span:
        entity, span_id = asked.targetInstanceId.value, call_span_id(asked.requestId)
        attributes = {
            **operation_attributes(entity, asked.operation),
            **self._ids,
            sdk.ATTR_EVENT_TARGET_INSTANCE_ID: entity,
        }
        name = operation_name(entity, asked.operation)
        return Span(name, kind, span_id, self._context, since, ended, attributes, error)

    def _timer(self, asked: pb.HistoryEvent, fired: pb.HistoryEvent) -> Span:
        fire_at = to_datetime(instant(asked.timerCreated.fireAt)).isoformat()
        attributes = {
            **task_attributes(sdk.TASK_TYPE_TIMER, self._instance.name, None),
            **self._ids,
            sdk.ATTR_TASK_TASK_ID: asked.eventId,
            sdk.ATTR_FIRE_AT: fire_at,
        }
        since, ended = instant(asked.timestamp), instant(fired.timestamp)
        name = sdk.create_timer_span_name(self._instance.name)
        span_id = self._span_id("timer", asked.eventId, since)
        return Span(name, Kind.INTERNAL, span_id, self._context, since, ended, attributes)

    def _event(self, number: int, sent: pb.SendEventAction, now: int) -> Span:
        attributes = {
            **task_attributes(sdk.TASK_TYPE_EVENT, sent.name, None),
            **self._ids,
            sdk.ATTR_EVENT_TARGET_INSTANCE_ID: sent.instance.instanceId,
        }
        name = sdk.create_span_name(sdk.SPAN_TYPE_ORCHESTRATION_EVENT, sent.name)
        span_id = self._span_id("event", number, len(self._instance.history))
        return Span(name, Kind.PRODUCER, span_id, self._context, now, now, attributes)
