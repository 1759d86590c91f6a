"""What comes of a turn: each action of an orchestrator's response, by its kind.

An action is confirmed in the history by an event with its id. What it makes happen outside of this engine's memory, the
start of an activity, waits for the commit.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from devhost.taskhub.engine import events
from devhost.taskhub.engine.activities import Activities
from devhost.taskhub.engine.context import Context
from devhost.taskhub.engine.entity_port import EntityPort
from devhost.taskhub.engine.instance import Instance, Parent
from devhost.taskhub.engine.lifecycle import Lifecycle
from devhost.taskhub.engine.outstanding import Outstanding

_log = logging.getLogger(__name__)

_STATUS_AFTER: Final = {
    "executionSuspended": pb.ORCHESTRATION_STATUS_SUSPENDED,
    "executionResumed": pb.ORCHESTRATION_STATUS_RUNNING,
}

type _Apply = Callable[[Instance, pb.OrchestratorAction, int], None]
type Rewound = Callable[[Instance, pb.RewindOrchestrationAction], None]


def _no_rewind(instance: Instance, _: pb.RewindOrchestrationAction) -> None:
    _log.error("the orchestration '%s' asked to be rewound, and nobody can", instance.id)


class Actions:
    """Applies responses to instances."""

    def __init__(self, context: Context, lifecycle: Lifecycle, activities: Activities) -> None:
        self._context = context
        self._lifecycle = lifecycle
        self._activities = activities
        self.entities: EntityPort | None = None
        #: Called for a response that puts another history in the place of the one there is.
        self.on_rewound: Rewound = _no_rewind
        self._apply: dict[str, _Apply] = {
            "scheduleTask": self._schedule_task,
            "createTimer": self._create_timer,
            "createSubOrchestration": self._create_child,
            "sendEvent": self._send_event,
            "sendEntityMessage": self._send_entity_message,
            "terminateOrchestration": self._terminate,
            "rewindOrchestration": self._rewind,
        }

    def apply(self, instance: Instance, taken_in: Sequence[pb.HistoryEvent], response: pb.OrchestratorResponse) -> None:
        """Record a turn that took `taken_in` in, and do what its response asks for."""
        now, tracing = self._context.timers.now(), self._context.tracing
        if tracing is not None:
            self._context.commits.after(tracing.turn(instance, taken_in, response, now))
        self._take_out(instance)
        instance.history += taken_in
        instance.custom_status = response.customStatus.value if response.HasField("customStatus") else None
        if instance.status == pb.ORCHESTRATION_STATUS_PENDING:
            instance.status = pb.ORCHESTRATION_STATUS_RUNNING
        for event in taken_in:
            instance.status = _STATUS_AFTER.get(event.WhichOneof("eventType") or "", instance.status)
        completion: pb.CompleteOrchestrationAction | None = None
        for action in response.actions:
            kind = action.WhichOneof("orchestratorActionType") or ""
            if kind == "completeOrchestration":
                completion = action.completeOrchestration
            elif kind in self._apply:
                self._apply[kind](instance, action, now)
        self._context.instances.touch(instance)
        self._complete(instance, completion, now)
        _cascade(self._lifecycle, instance, taken_in)

    def _take_out(self, instance: Instance) -> None:
        self._context.journal.consume(instance.inbox[: instance.taken])
        del instance.inbox[: instance.taken]
        instance.taken = 0

    def _complete(self, instance: Instance, action: pb.CompleteOrchestrationAction | None, now: int) -> None:
        if action is None:
            instance.history.append(events.orchestrator_completed(now))
        elif action.orchestrationStatus == pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW:
            self._lifecycle.continue_as_new(instance, action)
        else:
            instance.history.append(events.orchestrator_completed(now))
            self._lifecycle.finish(instance, action)

    def resume_outstanding(self, instance: Instance, found: Outstanding) -> None:
        """Have everything happen that the instance's history still waits for and of which nothing runs."""
        for task_id, event in found.activities.items():
            instance.activities[task_id] = event
            self._activities.hand_out(instance, event)
        for timer_id, event in found.timers.items():
            self._set_timer(instance, timer_id, event.timerCreated.fireAt)
        instance.children = dict(found.children)

    def _schedule_task(self, instance: Instance, action: pb.OrchestratorAction, now: int) -> None:
        event = events.task_scheduled(now, action.id, action.scheduleTask)
        instance.history.append(event)
        instance.activities[action.id] = event
        self._activities.hand_out(instance, event)

    def _create_timer(self, instance: Instance, action: pb.OrchestratorAction, now: int) -> None:
        fire_at = action.createTimer.fireAt
        instance.history.append(events.timer_created(now, action.id, fire_at))
        self._set_timer(instance, action.id, fire_at)

    def _set_timer(self, instance: Instance, timer_id: int, fire_at: Timestamp) -> None:
        ring = partial(self._timer_due, instance.id, instance.execution_id, timer_id, fire_at)
        self._context.timers.set(instance.key, timer_id, events.instant(fire_at), ring)

    def _timer_due(self, instance_id: str, execution_id: str, timer_id: int, fire_at: Timestamp) -> None:
        self._context.crash_points.reached("timer-due")
        instance = self._context.instances.find(instance_id)
        if instance is not None and instance.execution_id == execution_id:
            fired = events.timer_fired(self._context.timers.now(), timer_id, fire_at)
            self._context.instances.deliver(instance, fired)

    def _create_child(self, instance: Instance, action: pb.OrchestratorAction, now: int) -> None:
        asked = action.createSubOrchestration
        instance.history.append(events.child_created(now, action.id, asked))
        parent = Parent(instance.id, instance.execution_id, action.id)
        instance.children[action.id] = asked.instanceId
        self._lifecycle.begin_child(asked, parent)

    def _send_event(self, instance: Instance, action: pb.OrchestratorAction, now: int) -> None:
        sent = action.sendEvent
        instance.history.append(events.event_sent(now, action.id, sent))
        target = self._context.instances.find(sent.instance.instanceId)
        if target is not None:
            data = sent.data.value if sent.HasField("data") else None
            self._context.instances.deliver(target, events.event_raised(now, sent.name, data))

    def _send_entity_message(self, instance: Instance, action: pb.OrchestratorAction, now: int) -> None:
        message = action.sendEntityMessage
        kind = message.WhichOneof("EntityMessageType")
        event = pb.HistoryEvent(eventId=action.id, timestamp=events.timestamp(now))
        if kind is not None:
            getattr(event, kind).CopyFrom(getattr(message, kind))
        instance.history.append(event)
        if self.entities is not None:
            self.entities.send(instance, message)

    def _terminate(self, _: Instance, action: pb.OrchestratorAction, __: int) -> None:
        asked = action.terminateOrchestration
        target = self._context.instances.find(asked.instanceId)
        if target is not None:
            reason = asked.reason.value if asked.HasField("reason") else None
            self._lifecycle.terminate(target, reason, recursive=asked.recurse)

    def _rewind(self, instance: Instance, action: pb.OrchestratorAction, _: int) -> None:
        self.on_rewound(instance, action.rewindOrchestration)


def _cascade(lifecycle: Lifecycle, instance: Instance, taken_in: Sequence[pb.HistoryEvent]) -> None:
    if instance.status != pb.ORCHESTRATION_STATUS_TERMINATED:
        return
    for event in taken_in:
        terminated = event.executionTerminated
        if event.HasField("executionTerminated") and terminated.recurse:
            lifecycle.terminate_children(instance, terminated.input.value if terminated.HasField("input") else None)
