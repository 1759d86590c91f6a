"""What a batch of entity operations does to the world: the batch's request, and its result as messages to send.

Source: `EntityBatchRequest` and `EntityBatchResult` of `durabletask/internal/orchestrator_service.proto`, and
`TaskEntityDispatcher.cs` of DurableTask.Core. Everything in an `EntityOutcome` must be kept in the transaction that
removes the operations: that is what makes them be applied exactly once.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from durabletask.entities import EntityInstanceId
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """An event for the inbox of the orchestration `instance_id`."""

    instance_id: str
    event: pb.HistoryEvent


@dataclass(frozen=True, slots=True)
class Signal:
    """A message for an entity; `due` is when it arrives, None for at once."""

    entity_id: str
    event: pb.HistoryEvent
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class EntityOutcome:
    """The effects of the first `done` operations of a batch. No `state` means that the entity does not exist."""

    done: int
    state: str | None
    replies: tuple[Reply, ...] = ()
    signals: tuple[Signal, ...] = ()
    starts: tuple[pb.StartNewOrchestrationAction, ...] = ()


def entity_id(text: str) -> str:
    """`@name@key` as it is kept: with the name in lower case. Raises `ValueError` for anything else."""
    return str(EntityInstanceId.parse(text))


def batch_request(identity: str, state: str | None, operations: Iterable[pb.HistoryEvent]) -> pb.EntityBatchRequest:
    """The request that runs `operations` (calls and signals) on an entity."""
    request = pb.EntityRequest(
        instanceId=identity, entityState=helpers.get_string_value(state), operationRequests=operations
    )
    return helpers.convert_to_entity_batch_request(request)[0]


def outcome(
    operations: Sequence[pb.HistoryEvent],
    state: str | None,
    result: pb.EntityBatchResult,
    *,
    now: datetime,
    new_id: Callable[[], str],
) -> EntityOutcome:
    """What running `operations` on an entity that had `state` comes to.

    A result that does not say what became of the first operation fails them all and leaves the state alone: otherwise
    they would be run for ever. `new_id` names signals, and orchestrations that the entity gave no id.
    """
    if result.HasField("failureDetails") or (operations and not result.results):
        failure = result.failureDetails if result.HasField("failureDetails") else _NO_RESULTS
        failed = pb.OperationResult(failure=pb.OperationResultFailure(failureDetails=failure))
        return EntityOutcome(len(operations), state, _replies(operations, [failed] * len(operations), now))
    sent = [action.sendSignal for action in result.actions if action.HasField("sendSignal")]
    started = [action.startNewOrchestration for action in result.actions if action.HasField("startNewOrchestration")]
    return EntityOutcome(
        done=min(len(operations), len(result.results)),
        state=result.entityState.value or None,
        replies=_replies(operations, result.results, now),
        signals=tuple(sent_signal(each, now=now, request_id=new_id()) for each in sent if _has_target(each)),
        starts=tuple(_started(each, new_id) for each in started),
    )


def sent_signal(sent: pb.SendSignalAction | pb.SignalEntityRequest, *, now: datetime, request_id: str) -> Signal:
    """The message of a signal from an entity or a client. Raises `ValueError` when its target is no entity's id."""
    target = entity_id(sent.instanceId)
    signaled = pb.EntityOperationSignaledEvent(
        requestId=request_id,
        operation=sent.name,
        input=sent.input if sent.HasField("input") else None,
        scheduledTime=sent.scheduledTime if sent.HasField("scheduledTime") else None,
        targetInstanceId=StringValue(value=target),
    )
    return signal(signaled, now=now)


def signal(signaled: pb.EntityOperationSignaledEvent, *, now: datetime) -> Signal:
    """The message of a signal whose target is known to be an entity's id."""
    event = pb.HistoryEvent(eventId=-1, timestamp=helpers.new_timestamp(now), entityOperationSignaled=signaled)
    return Signal(signaled.targetInstanceId.value, event, _due(signaled, now))


def passed_on(request: pb.EntityLockRequestedEvent, *, now: datetime) -> Signal | Reply:
    """Where a lock request goes once it is granted: to the next entity of its set, or back as the grant of them all."""
    stamp = helpers.new_timestamp(now)
    position = request.position + 1
    if position < len(request.lockSet):
        onward = pb.EntityLockRequestedEvent()
        onward.CopyFrom(request)
        onward.position = position
        event = pb.HistoryEvent(eventId=-1, timestamp=stamp, entityLockRequested=onward)
        return Signal(request.lockSet[position], event)
    granted = pb.EntityLockGrantedEvent(criticalSectionId=request.criticalSectionId)
    return Reply(
        request.parentInstanceId.value, pb.HistoryEvent(eventId=-1, timestamp=stamp, entityLockGranted=granted)
    )


def _has_target(sent: pb.SendSignalAction) -> bool:
    try:
        entity_id(sent.instanceId)
    except ValueError as invalid:
        _log.warning("an entity signalled '%s', which is no entity and gets nothing: %s", sent.instanceId, invalid)
        return False
    return True


_NO_RESULTS = pb.TaskFailureDetails(
    errorType="InvalidResponse", errorMessage="the entity's function returned no results", isNonRetriable=True
)


def _due(signaled: pb.EntityOperationSignaledEvent, now: datetime) -> datetime | None:
    if not signaled.HasField("scheduledTime"):
        return None
    due = signaled.scheduledTime.ToDatetime(tzinfo=UTC)
    return due if due > now else None


def _replies(
    operations: Sequence[pb.HistoryEvent], results: Iterable[pb.OperationResult], now: datetime
) -> tuple[Reply, ...]:
    stamp = helpers.new_timestamp(now)
    return tuple(
        Reply(operation.entityOperationCalled.parentInstanceId.value, _answer(operation, result, stamp))
        for operation, result in zip(operations, results, strict=False)
        if operation.HasField("entityOperationCalled")
    )


def _answer(operation: pb.HistoryEvent, result: pb.OperationResult, stamp: Timestamp) -> pb.HistoryEvent:
    request_id = operation.entityOperationCalled.requestId
    if result.HasField("success"):
        completed = pb.EntityOperationCompletedEvent(requestId=request_id, output=result.success.result)
        return pb.HistoryEvent(eventId=-1, timestamp=stamp, entityOperationCompleted=completed)
    details = result.failure.failureDetails if result.HasField("failure") else _NO_RESULTS
    failed = pb.EntityOperationFailedEvent(requestId=request_id, failureDetails=details)
    return pb.HistoryEvent(eventId=-1, timestamp=stamp, entityOperationFailed=failed)


def _started(action: pb.StartNewOrchestrationAction, new_id: Callable[[], str]) -> pb.StartNewOrchestrationAction:
    started = pb.StartNewOrchestrationAction()
    started.CopyFrom(action)
    started.instanceId = action.instanceId or new_id()
    return started
