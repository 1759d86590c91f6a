"""The in-memory backend that `durabletask` ships, made to live on one event loop and to behave as Azure does.

`durabletask.testing.in_memory_backend` keeps the state and knows the protocol; what is changed here, and why:

- nothing sleeps in a thread: timers go through `Alarms`, and a sub-orchestration's end is reported by a callback (the
  original forgets a sub-orchestration that takes longer than 30 seconds);
- work is handed out as soon as it exists, in `take_work`, where the original polls and loses wake-ups;
- what arrives late for an execution that has ended or continued as new is dropped, where the original takes it for the
  completion of whatever now has the same number, or runs another turn of a finished orchestration;
- an id whose orchestration has finished may be used again, as in Azure;
- events, instances and timers carry the time of the injected clock.

Everything is called on the event loop's thread. Whether a signal to an entity is delayed is still judged by the
machine's clock; when it rings is not.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, override

from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.testing.in_memory_backend import InMemoryOrchestrationBackend, OrchestrationInstance
from google.protobuf import timestamp_pb2

from devhost.clock import Clock
from devhost.taskhub.alarms import Alarms

_UNLIMITED_HISTORY: Final = 2**31
_FINISHED: Final = (
    pb.ORCHESTRATION_STATUS_COMPLETED,
    pb.ORCHESTRATION_STATUS_FAILED,
    pb.ORCHESTRATION_STATUS_TERMINATED,
    pb.ORCHESTRATION_STATUS_CANCELED,
)


class _Doorbell(threading.Event):
    """Stands where the backend keeps the event its pollers wait on: setting it calls back, waiting means idle."""

    def __init__(self, ring: Callable[[], None]) -> None:
        super().__init__()
        self._ring = ring
        self.idle = True

    @override
    def set(self) -> None:
        self._ring()

    @override
    def wait(self, timeout: float | None = None) -> bool:
        self.idle = True
        return True

    def is_active(self) -> bool:
        """What the backend asks of a call to `GetWorkItems` before each item: whether to look for another."""
        return not self.idle


@dataclass(frozen=True, slots=True)
class _Parent:
    """Who waits for a sub-orchestration: the task of an execution, known by the token of the turn that started it."""

    instance_id: str
    task_id: int
    token: int


class LoopBackend(InMemoryOrchestrationBackend):
    """State of all orchestrations and entities. `ring` is called whenever `take_work` may have something to give."""

    def __init__(self, clock: Clock, alarms: Alarms, ring: Callable[[], None]) -> None:
        super().__init__(max_history_size=_UNLIMITED_HISTORY)
        self._clock = clock
        self._alarms = alarms
        self._doorbell = _Doorbell(ring)
        self._work_available = self._doorbell
        self._logger = logging.getLogger(f"{__name__}.durabletask")
        self._logger.setLevel(logging.WARNING)
        # The lowest completion token of each instance's current execution: tokens only grow, so what carries a lower
        # one belongs to an execution that has ended.
        self._first_token: dict[str, int] = {}
        self._parents: dict[str, _Parent] = {}
        self._rung_in_flight: set[str] = set()
        self._not_started: set[str] = set()

    def take_work(self) -> Iterator[pb.WorkItem]:
        """Hand out everything that can run now, then stop. Each item is in flight until it is completed."""
        self._doorbell.idle = False
        for item in self.GetWorkItems(pb.GetWorkItemsRequest(), self._doorbell):
            if item.HasField("orchestratorRequest"):
                self._date_new_events(item.orchestratorRequest)
            yield item

    def _date_new_events(self, request: pb.OrchestratorRequest) -> None:
        now = helpers.new_timestamp(self._clock.now())
        dispatched = self._instances[request.instanceId].dispatched_events
        for event in dispatched:
            if event.HasField("orchestratorStarted") or not event.timestamp.seconds:
                event.timestamp.CopyFrom(now)
        del request.newEvents[:]
        request.newEvents.extend(dispatched)

    @override
    def _enqueue_orchestration(self, instance_id: str) -> None:
        instance = self._instances.get(instance_id)
        if instance is None or instance_id in self._not_started:
            return
        instance.last_updated_at = self._clock.now()
        if self._is_terminal_status(instance.status):
            self._keep_for_rewind(instance)
        elif instance_id in self._orchestration_in_flight:
            self._rung_in_flight.add(instance_id)
        else:
            super()._enqueue_orchestration(instance_id)

    @staticmethod
    def _keep_for_rewind(instance: OrchestrationInstance) -> None:
        # A rewound orchestration is replayed from its history: a result that came after the failure must be there.
        if instance.status == pb.ORCHESTRATION_STATUS_FAILED:
            instance.history.extend(instance.pending_events)
        instance.pending_events.clear()

    @override
    def CompleteOrchestratorTask(self, request: pb.OrchestratorResponse, context: Any) -> pb.CompleteTaskResponse:
        instance = self._instances.get(request.instanceId)
        if instance is None or str(instance.completion_token) != request.completionToken:
            return super().CompleteOrchestratorTask(request, context)
        late, recorded = list(instance.pending_events), len(instance.history)
        response = super().CompleteOrchestratorTask(request, context)
        self._date_history(instance, recorded)
        if self._is_terminal_status(instance.status):
            instance.completed_at = instance.last_updated_at
            instance.pending_events.extend(late)
            self._keep_for_rewind(instance)
        if request.instanceId in self._rung_in_flight:
            self._rung_in_flight.discard(request.instanceId)
            self._enqueue_orchestration(request.instanceId)
        return response

    def _date_history(self, instance: OrchestrationInstance, recorded: int) -> None:
        now = instance.last_updated_at = self._clock.now()
        stamp = helpers.new_timestamp(now)
        for event in instance.history[min(recorded, len(instance.history)) :]:
            if not event.timestamp.seconds:
                event.timestamp.CopyFrom(stamp)

    @override
    def CompleteActivityTask(self, request: pb.ActivityResponse, context: Any) -> pb.CompleteTaskResponse:
        if not self._is_current(request.instanceId, int(request.completionToken)):
            return pb.CompleteTaskResponse()
        return super().CompleteActivityTask(request, context)

    @override
    def CompleteEntityTask(self, request: pb.EntityBatchResult, context: Any) -> pb.CompleteTaskResponse:
        of_token = [each for each in self._entities.values() if str(each.completion_token) == request.completionToken]
        response = super().CompleteEntityTask(request, context)
        for entity in of_token:
            entity.last_modified_at = self._clock.now()
        return response

    def _is_current(self, instance_id: str, token: int) -> bool:
        return instance_id in self._instances and token >= self._first_token[instance_id]

    def _begin_execution(self, instance_id: str) -> None:
        instance = self._instances[instance_id]
        instance.created_at = instance.last_updated_at = self._clock.now()
        self._first_token[instance_id] = instance.completion_token

    @override
    def StartInstance(self, request: pb.CreateInstanceRequest, context: Any) -> pb.CreateInstanceResponse:
        if not request.HasField("orchestrationIdReusePolicy"):
            request.orchestrationIdReusePolicy.replaceableStatus.extend(_FINISHED)
        response = super().StartInstance(request, context)
        self._begin_execution(response.instanceId)
        if request.HasField("scheduledStartTimestamp"):
            self._hold_until(request.scheduledStartTimestamp.ToDatetime(tzinfo=UTC), response.instanceId)
        return response

    def _hold_until(self, when: datetime, instance_id: str) -> None:
        self._orchestration_queue.remove(instance_id)
        self._orchestration_queue_set.discard(instance_id)
        self._not_started.add(instance_id)

        def start() -> None:
            self._not_started.discard(instance_id)
            self._enqueue_orchestration(instance_id)

        self._alarms.at(when, start)

    @override
    def _create_instance_internal(
        self, instance_id: str, name: str, encoded_input: str | None = None, version: str | None = None
    ) -> None:
        super()._create_instance_internal(instance_id, name, encoded_input, version)
        self._begin_execution(instance_id)

    @override
    def _process_complete_orchestration_action(
        self, instance: OrchestrationInstance, complete_action: pb.CompleteOrchestrationAction
    ) -> None:
        super()._process_complete_orchestration_action(instance, complete_action)
        if complete_action.orchestrationStatus == pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW:
            self._first_token[instance.instance_id] = self._next_completion_token
            self._name_parent(instance)

    @override
    def _process_rewind_orchestration_action(
        self, instance: OrchestrationInstance, rewind_action: pb.RewindOrchestrationAction
    ) -> None:
        late = list(instance.pending_events)
        super()._process_rewind_orchestration_action(instance, rewind_action)
        instance.pending_events.extend(late)

    @override
    def PurgeInstances(self, request: pb.PurgeInstancesRequest, context: Any) -> pb.PurgeInstancesResponse:
        response = super().PurgeInstances(request, context)
        self._first_token = {each: self._first_token[each] for each in self._instances}
        return response

    @override
    def _process_create_timer_action(self, instance: OrchestrationInstance, action: pb.OrchestratorAction) -> None:
        fire_at = action.createTimer.fireAt.ToDatetime(tzinfo=UTC)
        instance.history.append(helpers.new_timer_created_event(action.id, fire_at))
        if instance.status == pb.ORCHESTRATION_STATUS_PENDING:
            instance.status = pb.ORCHESTRATION_STATUS_RUNNING
        fired = helpers.new_timer_fired_event(action.id, fire_at)
        deliver = partial(self._deliver, instance.instance_id, instance.completion_token, fired)
        self._alarms.at(fire_at, deliver)

    @override
    def _schedule_delayed_entity_operation(self, entity_id: str, event: pb.HistoryEvent, fire_at: datetime) -> None:
        self._alarms.at(fire_at, partial(self._queue_entity_operation, entity_id, event))

    def _deliver(self, instance_id: str, token: int, event: pb.HistoryEvent) -> None:
        if self._is_current(instance_id, token):
            self._instances[instance_id].pending_events.append(event)
            self._enqueue_orchestration(instance_id)

    @override
    def _watch_sub_orchestration(self, parent_instance_id: str, sub_instance_id: str, task_id: int) -> None:
        parent = self._instances[parent_instance_id]
        child = self._instances[sub_instance_id]
        self._parents[sub_instance_id] = _Parent(parent_instance_id, task_id, parent.completion_token)
        self._name_parent(child)
        if self._is_terminal_status(child.status):
            # Not now: the parent's turn is being completed, and a rewinding turn clears what is pending at its end.
            self._alarms.at(self._clock.now(), partial(self._report_to_parent, child))

    def _name_parent(self, child: OrchestrationInstance) -> None:
        parent = self._parents.get(child.instance_id)
        if parent is None:
            return
        for event in child.pending_events:
            if event.HasField("executionStarted"):
                event.executionStarted.parentInstance.taskScheduledId = parent.task_id
                event.executionStarted.parentInstance.orchestrationInstance.instanceId = parent.instance_id

    def _report_to_parent(self, child: OrchestrationInstance) -> None:
        parent = self._parents.pop(child.instance_id, None)
        if parent is None:
            return
        if child.status == pb.ORCHESTRATION_STATUS_COMPLETED:
            event = helpers.new_sub_orchestration_completed_event(parent.task_id, child.output)
        else:
            event = pb.HistoryEvent(
                eventId=-1,
                timestamp=timestamp_pb2.Timestamp(),
                subOrchestrationInstanceFailed=pb.SubOrchestrationInstanceFailedEvent(
                    taskScheduledId=parent.task_id, failureDetails=_failure_of(child)
                ),
            )
        self._deliver(parent.instance_id, parent.token, event)

    @override
    def _notify_waiters(self, instance_id: str) -> None:
        instance = self._instances[instance_id]
        if self._is_terminal_status(instance.status):
            self._report_to_parent(instance)

    @override
    def _terminate_instance_internal(self, instance_id: str, output: str | None, recursive: bool = False) -> None:
        super()._terminate_instance_internal(instance_id, output)
        children = [child for child, parent in self._parents.items() if parent.instance_id == instance_id]
        for child in children if recursive else ():
            self._terminate_instance_internal(child, output, recursive=True)


def _failure_of(child: OrchestrationInstance) -> pb.TaskFailureDetails:
    if child.failure_details is not None:
        return child.failure_details
    why = f": {child.output}" if child.output else ""
    return pb.TaskFailureDetails(
        errorType="OrchestrationTerminated",
        errorMessage=f"the sub-orchestration '{child.instance_id}' was terminated{why}",
    )
