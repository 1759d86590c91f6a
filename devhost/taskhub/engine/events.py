"""The history events of the Durable Task protocol that an engine makes, each with its time.

Source: `durabletask/internal/orchestrator_service.proto`. An event that answers nothing has the event id -1; one that
confirms an action has the action's.
"""

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

from devhost.broker.instants import NEVER
from devhost.taskhub.engine.failures import shortened
from devhost.taskhub.engine.instance import Parent

_PER_SECOND = 1_000_000


def timestamp(instant: int) -> Timestamp:
    """An instant as the protocol has it."""
    seconds, microseconds = divmod(instant, _PER_SECOND)
    return Timestamp(seconds=seconds, nanos=microseconds * 1000)


def instant(when: Timestamp) -> int:
    """The protocol's timestamp as an instant; what lies below a microsecond is cut off."""
    return min(int(when.seconds) * _PER_SECOND + int(when.nanos) // 1000, NEVER)


def text(value: str | None) -> StringValue | None:
    """An optional text as the protocol has it."""
    return None if value is None else StringValue(value=value)


def orchestrator_started(at: int) -> pb.HistoryEvent:
    """A turn begins."""
    return pb.HistoryEvent(eventId=-1, timestamp=timestamp(at), orchestratorStarted=pb.OrchestratorStartedEvent())


def orchestrator_completed(at: int) -> pb.HistoryEvent:
    """A turn has ended."""
    return pb.HistoryEvent(eventId=-1, timestamp=timestamp(at), orchestratorCompleted=pb.OrchestratorCompletedEvent())


def execution_started(at: int, started: pb.ExecutionStartedEvent) -> pb.HistoryEvent:
    """An execution begins."""
    return pb.HistoryEvent(eventId=-1, timestamp=timestamp(at), executionStarted=started)


def execution_completed(at: int, completed: pb.CompleteOrchestrationAction) -> pb.HistoryEvent:
    """An execution has ended."""
    event = pb.ExecutionCompletedEvent(
        orchestrationStatus=completed.orchestrationStatus,
        result=completed.result if completed.HasField("result") else None,
        failureDetails=completed.failureDetails if completed.HasField("failureDetails") else None,
    )
    return pb.HistoryEvent(eventId=-1, timestamp=timestamp(at), executionCompleted=event)


def execution_terminated(at: int, output: str | None, *, recursive: bool) -> pb.HistoryEvent:
    """Somebody wants the orchestration to end now."""
    event = pb.ExecutionTerminatedEvent(input=text(output), recurse=recursive)
    return pb.HistoryEvent(eventId=-1, timestamp=timestamp(at), executionTerminated=event)


def execution_suspended(at: int, reason: str | None) -> pb.HistoryEvent:
    """Somebody wants the orchestration to pause."""
    event = pb.ExecutionSuspendedEvent(input=text(reason))
    return pb.HistoryEvent(eventId=-1, timestamp=timestamp(at), executionSuspended=event)


def execution_resumed(at: int, reason: str | None) -> pb.HistoryEvent:
    """Somebody wants the orchestration to go on."""
    event = pb.ExecutionResumedEvent(input=text(reason))
    return pb.HistoryEvent(eventId=-1, timestamp=timestamp(at), executionResumed=event)


def event_raised(at: int, name: str, data: str | None) -> pb.HistoryEvent:
    """An external event came."""
    event = pb.EventRaisedEvent(name=name, input=text(data))
    return pb.HistoryEvent(eventId=-1, timestamp=timestamp(at), eventRaised=event)


def event_sent(at: int, event_id: int, action: pb.SendEventAction) -> pb.HistoryEvent:
    """An event was sent to another orchestration."""
    event = pb.EventSentEvent(
        instanceId=action.instance.instanceId,
        name=action.name,
        input=action.data if action.HasField("data") else None,
    )
    return pb.HistoryEvent(eventId=event_id, timestamp=timestamp(at), eventSent=event)


def task_scheduled(at: int, event_id: int, action: pb.ScheduleTaskAction) -> pb.HistoryEvent:
    """An activity was asked for."""
    event = pb.TaskScheduledEvent(
        name=action.name,
        version=action.version if action.HasField("version") else None,
        input=action.input if action.HasField("input") else None,
        parentTraceContext=action.parentTraceContext if action.HasField("parentTraceContext") else None,
        tags=action.tags,
    )
    return pb.HistoryEvent(eventId=event_id, timestamp=timestamp(at), taskScheduled=event)


def task_ended(at: int, task_id: int, response: pb.ActivityResponse) -> pb.HistoryEvent:
    """An activity has ended, well or not."""
    if response.HasField("failureDetails"):
        failed = pb.TaskFailedEvent(taskScheduledId=task_id, failureDetails=response.failureDetails)
        return pb.HistoryEvent(eventId=-1, timestamp=timestamp(at), taskFailed=failed)
    result = response.result if response.HasField("result") else None
    completed = pb.TaskCompletedEvent(taskScheduledId=task_id, result=result)
    return pb.HistoryEvent(eventId=-1, timestamp=timestamp(at), taskCompleted=completed)


def timer_created(at: int, event_id: int, fire_at: Timestamp) -> pb.HistoryEvent:
    """A timer was set."""
    return pb.HistoryEvent(eventId=event_id, timestamp=timestamp(at), timerCreated=pb.TimerCreatedEvent(fireAt=fire_at))


def timer_fired(at: int, timer_id: int, fire_at: Timestamp) -> pb.HistoryEvent:
    """A timer's time has come."""
    event = pb.TimerFiredEvent(fireAt=fire_at, timerId=timer_id)
    return pb.HistoryEvent(eventId=-1, timestamp=timestamp(at), timerFired=event)


def child_created(at: int, event_id: int, action: pb.CreateSubOrchestrationAction) -> pb.HistoryEvent:
    """A sub-orchestration was asked for."""
    event = pb.SubOrchestrationInstanceCreatedEvent(
        instanceId=action.instanceId,
        name=action.name,
        version=action.version if action.HasField("version") else None,
        input=action.input if action.HasField("input") else None,
        parentTraceContext=action.parentTraceContext if action.HasField("parentTraceContext") else None,
        tags=action.tags,
    )
    return pb.HistoryEvent(eventId=event_id, timestamp=timestamp(at), subOrchestrationInstanceCreated=event)


def child_completed(at: int, task_id: int, result: str | None) -> pb.HistoryEvent:
    """A sub-orchestration has ended well."""
    event = pb.SubOrchestrationInstanceCompletedEvent(taskScheduledId=task_id, result=text(result))
    return pb.HistoryEvent(eventId=-1, timestamp=timestamp(at), subOrchestrationInstanceCompleted=event)


def child_failed(at: int, task_id: int, failure: pb.TaskFailureDetails) -> pb.HistoryEvent:
    """A sub-orchestration has ended otherwise."""
    event = pb.SubOrchestrationInstanceFailedEvent(taskScheduledId=task_id, failureDetails=shortened(failure))
    return pb.HistoryEvent(eventId=-1, timestamp=timestamp(at), subOrchestrationInstanceFailed=event)


def parent_info(parent: Parent) -> pb.ParentInstanceInfo:
    """Who waits for the execution that begins."""
    waiting = pb.OrchestrationInstance(instanceId=parent.instance_id, executionId=text(parent.execution_id))
    return pb.ParentInstanceInfo(taskScheduledId=parent.task_id, orchestrationInstance=waiting)
