"""The spans of orchestrations, as the Durable extension emits them with its tracing V2.

- `create_orchestration:NAME` (producer): a client's start, the parent of what it started.
- `orchestration:NAME` (server): an execution, from its first turn to its end. Emitted once, when it ends.
- `activity:NAME` and `orchestration:NAME` (client): an orchestrator's wait for a task, from the event that asked for it
  to the event that answered. What runs the task has it for its parent.
- `orchestration:NAME:timer` (internal): a timer, from when it was set to when it fired.
- `orchestration_event:NAME` (producer): an event that an orchestrator sends.

Source: `TraceHelper.cs` and `Schema.cs` in `DurableTask.Core/Tracing`, and the SDK's copy of their names in
`durabletask.internal.tracing`.

An execution's span id is derived from the execution's own id, and a task's is in the event that asked for it. So both
outlive the process: what ended before a crash already points at the span that is emitted after it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import tracing as sdk

from devhost.broker.instants import to_datetime
from devhost.taskhub.engine.events import instant
from devhost.taskhub.engine.instance import Instance
from devhost.taskhub.engine.tracing import Creation
from devhost.telemetry.spans import Attributes, Kind, OpenSpan, Span, Spans
from devhost.telemetry.trace_context import TraceContext, derived_span_id

_ACTIVITY: Final = "activity"
_EXECUTION_ID: Final = "durabletask.task.execution_id"
# The field of an event that answers a task with the number of the event that asked for it, by the kind of event.
_ANSWERS: Final = {
    "taskCompleted": "taskScheduledId",
    "taskFailed": "taskScheduledId",
    "subOrchestrationInstanceCompleted": "taskScheduledId",
    "subOrchestrationInstanceFailed": "taskScheduledId",
    "timerFired": "timerId",
}
_TASKS: Final = frozenset({"taskScheduled", "subOrchestrationInstanceCreated"})
_STATUS: Final = {
    pb.ORCHESTRATION_STATUS_COMPLETED: "Completed",
    pb.ORCHESTRATION_STATUS_FAILED: "Failed",
    pb.ORCHESTRATION_STATUS_TERMINATED: "Terminated",
    pb.ORCHESTRATION_STATUS_CANCELED: "Canceled",
    pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW: "ContinuedAsNew",
}


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
            attributes=_task(sdk.TASK_TYPE_ORCHESTRATION, name, version),
        )
        return _Creation(span, above.state if above is not None else "")

    def turn(
        self, instance: Instance, taken_in: Sequence[pb.HistoryEvent], response: pb.OrchestratorResponse, now: int
    ) -> Callable[[], None]:
        """A turn came to `response`; see `Tracing`. An execution that is part of no trace has no spans."""
        started = _started(instance, taken_in)
        parent = TraceContext.of(started.parentTraceContext)
        if parent is None:
            return _nothing
        execution = _Execution(instance, parent)
        spans = [*execution.answered(taken_in), *execution.asked(response.actions, now)]
        end = next((each.completeOrchestration for each in response.actions if _completes(each)), None)
        if end is not None:
            spans += execution.left_open(taken_in, response.actions, now)
            spans.append(execution.ended(taken_in, end, now))

        def tell() -> None:
            for span in spans:
                self._spans.record(span)

        return tell


class _Creation:
    def __init__(self, span: OpenSpan, state: str) -> None:
        self._span = span
        context = TraceContext.parsed(span.traceparent, state)
        self.trace_context = context.message() if context is not None else pb.TraceContext()

    def done(self, instance_id: str) -> None:
        self._span.end(attributes={sdk.ATTR_TASK_INSTANCE_ID: instance_id})

    def refused(self, why: str) -> None:
        self._span.end(error=why)


class _Execution:
    """One execution of an instance, and the spans of what it does."""

    def __init__(self, instance: Instance, parent: TraceContext) -> None:
        self._instance = instance
        self._parent = parent
        self._context = parent.with_span(derived_span_id("orchestration", instance.id, instance.execution_id))
        self._ids = {sdk.ATTR_TASK_INSTANCE_ID: instance.id, _EXECUTION_ID: instance.execution_id}

    def answered(self, taken_in: Iterable[pb.HistoryEvent]) -> Iterator[Span]:
        """The tasks and timers whose end the turn took in."""
        answers = {number: event for event in taken_in if (number := _answered(event)) is not None}
        for asked in _asked_for(self._instance.history, set(answers)):
            answer = answers[asked.eventId]
            if asked.HasField("timerCreated"):
                yield self._timer(asked, answer)
            else:
                yield from self._task(asked, instant(answer.timestamp), _why(answer))

    def asked(self, actions: Iterable[pb.OrchestratorAction], now: int) -> Iterator[Span]:
        """The events that the turn sends; the tasks that it asks for are given their trace contexts."""
        for action in actions:
            if action.HasField("scheduleTask"):
                action.scheduleTask.parentTraceContext.CopyFrom(self._new_task(action.id).message())
            elif action.HasField("createSubOrchestration"):
                action.createSubOrchestration.parentTraceContext.CopyFrom(self._new_task(action.id).message())
            elif action.HasField("sendEvent"):
                yield self._event(action.id, action.sendEvent, now)

    def left_open(
        self, taken_in: Sequence[pb.HistoryEvent], actions: Iterable[pb.OrchestratorAction], now: int
    ) -> Iterator[Span]:
        """The tasks that nobody waits for any more: what runs them has them for its parent."""
        waiting: dict[int, pb.HistoryEvent] = {}
        for event in chain(self._instance.history, taken_in):
            if event.WhichOneof("eventType") in _TASKS:
                waiting[event.eventId] = event
            elif event.HasField("executionRewound"):
                # What it had left open was told of when it failed.
                waiting = {}
            elif (number := _answered(event)) is not None:
                waiting.pop(number, None)
        for event in waiting.values():
            yield from self._task(event, now, None)
        for action in actions:
            if action.HasField("scheduleTask"):
                task = action.scheduleTask
                yield from self._client(_ACTIVITY, action.id, task, now, now, None)
            elif action.HasField("createSubOrchestration"):
                child = action.createSubOrchestration
                yield from self._client(sdk.TASK_TYPE_ORCHESTRATION, action.id, child, now, now, None)

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
            _began(chain(self._instance.history, taken_in), now),
            now,
            {**_task(sdk.TASK_TYPE_ORCHESTRATION, name, version), **self._ids, sdk.ATTR_TASK_STATUS: status},
            (end.failureDetails.errorType or status) if failed else None,
        )

    def _new_task(self, number: int) -> TraceContext:
        return self._context.with_span(self._span_id("task", number, len(self._instance.history)))

    def _span_id(self, kind: str, number: int, since: int) -> int:
        """`since` tells apart what bears the same number: each attempt at an activity has that of the first."""
        return derived_span_id(kind, self._instance.id, self._instance.execution_id, number, since)

    def _task(self, asked: pb.HistoryEvent, ended: int, error: str | None) -> Iterator[Span]:
        began = instant(asked.timestamp)
        if asked.HasField("taskScheduled"):
            return self._client(_ACTIVITY, asked.eventId, asked.taskScheduled, began, ended, error)
        child = asked.subOrchestrationInstanceCreated
        return self._client(sdk.TASK_TYPE_ORCHESTRATION, asked.eventId, child, began, ended, error)

    def _client(
        self,
        kind: str,
        number: int,
        asked: pb.TaskScheduledEvent
        | pb.SubOrchestrationInstanceCreatedEvent
        | pb.ScheduleTaskAction
        | pb.CreateSubOrchestrationAction,
        began: int,
        ended: int,
        error: str | None,
    ) -> Iterator[Span]:
        # Where it comes from a history that began without spans, it names a span that is not this execution's to emit.
        own = TraceContext.of(asked.parentTraceContext)
        if own is None or own.span_id == self._parent.span_id:
            return
        version = asked.version.value
        attributes = {**_task(kind, asked.name, version), **self._ids, sdk.ATTR_TASK_TASK_ID: number}
        name = sdk.create_span_name(kind, asked.name, version)
        yield Span(name, Kind.CLIENT, own.span_id, self._context, began, ended, attributes, error)

    def _timer(self, asked: pb.HistoryEvent, fired: pb.HistoryEvent) -> Span:
        fire_at = to_datetime(instant(asked.timerCreated.fireAt)).isoformat()
        attributes = {
            **_task(sdk.TASK_TYPE_TIMER, self._instance.name, None),
            **self._ids,
            sdk.ATTR_TASK_TASK_ID: asked.eventId,
            sdk.ATTR_FIRE_AT: fire_at,
        }
        began, ended = instant(asked.timestamp), instant(fired.timestamp)
        name = sdk.create_timer_span_name(self._instance.name)
        span_id = self._span_id("timer", asked.eventId, began)
        return Span(name, Kind.INTERNAL, span_id, self._context, began, ended, attributes)

    def _event(self, number: int, sent: pb.SendEventAction, now: int) -> Span:
        attributes = {
            **_task(sdk.TASK_TYPE_EVENT, sent.name, None),
            **self._ids,
            sdk.ATTR_EVENT_TARGET_INSTANCE_ID: sent.instance.instanceId,
        }
        name = sdk.create_span_name(sdk.SPAN_TYPE_ORCHESTRATION_EVENT, sent.name)
        span_id = self._span_id("event", number, len(self._instance.history))
        return Span(name, Kind.PRODUCER, span_id, self._context, now, now, attributes)


def _nothing() -> None:
    pass


def _task(kind: str, name: str, version: str | None) -> Attributes:
    versioned = {sdk.ATTR_TASK_VERSION: version} if version else {}
    return {sdk.ATTR_TASK_TYPE: kind, sdk.ATTR_TASK_NAME: name, **versioned}


def _started(instance: Instance, taken_in: Iterable[pb.HistoryEvent]) -> pb.ExecutionStartedEvent:
    events = chain(instance.history, taken_in)
    return next((each.executionStarted for each in events if each.HasField("executionStarted")), _NOT_STARTED)


_NOT_STARTED: Final = pb.ExecutionStartedEvent()


def _completes(action: pb.OrchestratorAction) -> bool:
    return bool(action.HasField("completeOrchestration"))


def _answered(event: pb.HistoryEvent) -> int | None:
    kind = event.WhichOneof("eventType") or ""
    field = _ANSWERS.get(kind)
    return None if field is None else int(getattr(getattr(event, kind), field))


def _asked_for(history: Sequence[pb.HistoryEvent], numbers: set[int]) -> Iterator[pb.HistoryEvent]:
    """The events that asked for these tasks, the latest first: most answers are to what was asked for not long ago.

    Tasks from before a rewind are left out: they were told of when the execution failed.
    """
    left = set(numbers)
    for event in reversed(history):
        if not left or event.HasField("executionRewound"):
            return
        if event.eventId in left and (event.WhichOneof("eventType") in _TASKS or event.HasField("timerCreated")):
            left.discard(event.eventId)
            yield event


def _why(answer: pb.HistoryEvent) -> str | None:
    """The type of the failure: its message may hold what an app does not want to have told."""
    if answer.HasField("taskFailed"):
        return answer.taskFailed.failureDetails.errorType or "failed"
    if answer.HasField("subOrchestrationInstanceFailed"):
        return answer.subOrchestrationInstanceFailed.failureDetails.errorType or "failed"
    return None


def _began(events: Iterable[pb.HistoryEvent], now: int) -> int:
    """When the execution began: with its first turn, or with the last in which it was rewound."""
    began = None
    for event in events:
        if event.HasField("executionRewound") or (began is None and event.HasField("orchestratorStarted")):
            began = instant(event.timestamp)
    return now if began is None else began
