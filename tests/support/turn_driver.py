"""A small engine for tests of executors: it keeps a history, and decides what comes of what an orchestrator asks for.

Every turn is run by each of the executors, whose responses have to be equal; the first one's is then carried out.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

from devhost.taskhub.determinism import without_stacks
from devhost.taskhub.hub import Turn, WorkItemExecutor

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FAILED = pb.ORCHESTRATION_STATUS_FAILED
COMPLETED = pb.ORCHESTRATION_STATUS_COMPLETED
CONTINUED = pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW


class TurnDriver:
    """One instance. `outstanding` is what may come next, in no order: events not yet delivered."""

    def __init__(self, name: str, json_input: str | None = None, instance_id: str = "abc") -> None:
        self.name = name
        self.instance_id = instance_id
        self.execution = 0
        self.now = START
        self.turns = 0
        self.history: list[pb.HistoryEvent] = []
        self.inbox: list[pb.HistoryEvent] = []
        self.outstanding: list[pb.HistoryEvent] = []
        self.end: pb.CompleteOrchestrationAction | None = None
        self.custom_status: str | None = None
        self.decide: Callable[[pb.OrchestratorAction], pb.HistoryEvent | None] = self.come_of
        self._start(json_input)

    @property
    def execution_id(self) -> str:
        return f"e{self.execution}"

    def _start(self, json_input: str | None) -> None:
        started = helpers.new_execution_started_event(self.name, self.instance_id, json_input)
        started.executionStarted.orchestrationInstance.executionId.value = self.execution_id
        self.inbox.append(started)

    def turn(self) -> Turn:
        """The next turn, with all that is in the inbox."""
        self.now += timedelta(seconds=1)
        new = [helpers.new_orchestrator_started_event(self.now), *self.inbox]
        return Turn(self.instance_id, self.execution_id, self.history, new)

    def deliver(self, event: pb.HistoryEvent) -> None:
        self.outstanding.remove(event)
        self.inbox.append(event)

    def raise_event(self, name: str, value: object) -> None:
        self.inbox.append(helpers.new_event_raised_event(name, json.dumps(value)))

    async def run(self, *executors: WorkItemExecutor) -> pb.OrchestratorResponse:
        """One turn by every executor; their responses are equal, and the first is carried out."""
        turn = self.turn()
        responses = [await executor.orchestrator(turn) for executor in executors]
        for response in responses[1:]:
            assert without_stacks(response) == without_stacks(responses[0])
        self.carry_out(turn, responses[0])
        return responses[0]

    async def run_to_the_end(self, executor: WorkItemExecutor, *, longest: int = 100) -> pb.CompleteOrchestrationAction:
        """Deliver everything outstanding at each turn, until the orchestration ends."""
        for _ in range(longest):
            await self.run(executor)
            if self.end is not None:
                return self.end
            for event in tuple(self.outstanding):
                self.deliver(event)
        raise AssertionError(f"still running after {longest} turns")

    def carry_out(self, turn: Turn, response: pb.OrchestratorResponse) -> None:
        self.turns += 1
        self.inbox = []
        self.custom_status = response.customStatus.value or None
        # A list of its own, as an engine that appends to what it keeps would have it.
        self.history = [*turn.past_events, *turn.new_events]
        for action in response.actions:
            if action.HasField("completeOrchestration"):
                self._finish(action.completeOrchestration)
                return
            self.history.append(confirmation(action))
            event = self.decide(action)
            if event is not None:
                self.outstanding.append(event)
        self.history.append(helpers.new_orchestrator_completed_event())

    def _finish(self, end: pb.CompleteOrchestrationAction) -> None:
        if end.orchestrationStatus != CONTINUED:
            self.end = end
            return
        self.execution += 1
        self.history, self.outstanding = [], []
        self._start(end.result.value)
        self.inbox += end.carryoverEvents

    def come_of(self, action: pb.OrchestratorAction) -> pb.HistoryEvent | None:
        """Everything succeeds, with what was asked for as its result."""
        return success(action)


def success(action: pb.OrchestratorAction) -> pb.HistoryEvent | None:
    """The event with which what `action` asks for ends well; None for what nobody waits for."""
    kind = action.WhichOneof("orchestratorActionType")
    if kind == "scheduleTask":
        return helpers.new_task_completed_event(action.id, json.dumps(f"{action.scheduleTask.name} done"))
    if kind == "createSubOrchestration":
        name = action.createSubOrchestration.name
        return helpers.new_sub_orchestration_completed_event(action.id, json.dumps(f"{name} done"))
    if kind == "createTimer":
        return helpers.new_timer_fired_event(action.id, action.createTimer.fireAt.ToDatetime(UTC))
    message = action.sendEntityMessage
    if message.HasField("entityOperationCalled"):
        done = pb.EntityOperationCompletedEvent(
            requestId=message.entityOperationCalled.requestId, output=StringValue(value='"entity done"')
        )
        return pb.HistoryEvent(eventId=-1, timestamp=Timestamp(), entityOperationCompleted=done)
    if message.HasField("entityLockRequested"):
        granted = pb.EntityLockGrantedEvent(criticalSectionId=message.entityLockRequested.criticalSectionId)
        return pb.HistoryEvent(eventId=-1, timestamp=Timestamp(), entityLockGranted=granted)
    return None


def failure(action: pb.OrchestratorAction) -> pb.HistoryEvent | None:
    """The event with which what `action` asks for fails; as `success` for what cannot fail."""
    kind = action.WhichOneof("orchestratorActionType")
    if kind == "scheduleTask":
        return helpers.new_task_failed_event(action.id, ValueError("out of luck"))
    if kind == "createSubOrchestration":
        return helpers.new_sub_orchestration_failed_event(action.id, ValueError("out of luck"))
    if action.sendEntityMessage.HasField("entityOperationCalled"):
        failed = pb.EntityOperationFailedEvent(
            requestId=action.sendEntityMessage.entityOperationCalled.requestId,
            failureDetails=pb.TaskFailureDetails(errorType="ValueError", errorMessage="out of luck"),
        )
        return pb.HistoryEvent(eventId=-1, timestamp=Timestamp(), entityOperationFailed=failed)
    return success(action)


def confirmation(action: pb.OrchestratorAction) -> pb.HistoryEvent:
    """The event that records a step in the history."""
    match action.WhichOneof("orchestratorActionType"):
        case "scheduleTask":
            task = action.scheduleTask
            return helpers.new_task_scheduled_event(action.id, task.name, task.input.value)
        case "createTimer":
            return helpers.new_timer_created_event(action.id, action.createTimer.fireAt.ToDatetime(UTC))
        case "createSubOrchestration":
            child = action.createSubOrchestration
            return helpers.new_sub_orchestration_created_event(
                action.id, child.name, child.instanceId, child.input.value
            )
        case "sendEvent":
            event = action.sendEvent
            return helpers.new_event_sent_event(action.id, event.instance.instanceId, event.data.value, name=event.name)
        case _:
            message = action.sendEntityMessage
            kind = message.WhichOneof("EntityMessageType")
            return pb.HistoryEvent(eventId=action.id, timestamp=Timestamp(), **{kind: getattr(message, kind)})
