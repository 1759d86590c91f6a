"""The backend driven by hand, for what depends on the exact moment: things that happen while a turn is in flight."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

from devhost.clock import ManualClock
from devhost.taskhub.alarms import Alarms
from devhost.taskhub.endpoint import CallContext
from devhost.taskhub.served_backend import ServedBackend

CALL = CallContext()


@dataclass
class Driver:
    """Takes work items and completes them with chosen actions."""

    backend: ServedBackend
    rung: list[None] = field(default_factory=list)

    def start(self, instance_id: str = "one") -> None:
        self.backend.StartInstance(pb.CreateInstanceRequest(instanceId=instance_id, name="o"), CALL)

    def take(self) -> list[pb.WorkItem]:
        return list(self.backend.take_work())

    def turn(self) -> pb.WorkItem:
        """The one orchestrator turn there is."""
        (item,) = self.take()
        assert item.HasField("orchestratorRequest")
        return item

    def complete(self, item: pb.WorkItem, *actions: pb.OrchestratorAction) -> None:
        response = pb.OrchestratorResponse(
            instanceId=item.orchestratorRequest.instanceId, completionToken=item.completionToken, actions=actions
        )
        self.backend.CompleteOrchestratorTask(response, CALL)

    def answer(self, item: pb.WorkItem, result: str) -> None:
        request = item.activityRequest
        response = pb.ActivityResponse(
            instanceId=request.orchestrationInstance.instanceId,
            taskId=request.taskId,
            completionToken=item.completionToken,
            result=StringValue(value=result),
        )
        self.backend.CompleteActivityTask(response, CALL)

    def raise_event(self, instance_id: str = "one") -> None:
        self.backend.RaiseEvent(pb.RaiseEventRequest(instanceId=instance_id, name="e"), CALL)

    def history(self, instance_id: str = "one") -> list[str]:
        chunks = self.backend.StreamInstanceHistory(pb.StreamInstanceHistoryRequest(instanceId=instance_id), CALL)
        return [kind_of(event) for chunk in chunks for event in chunk.events]


@asynccontextmanager
async def driver() -> AsyncIterator[Driver]:
    clock = ManualClock()
    alarms = Alarms(clock)
    rung: list[None] = []
    yield Driver(ServedBackend(clock, alarms, lambda: rung.append(None)), rung)
    await alarms.stop()


def kind_of(event: pb.HistoryEvent) -> str:
    return str(event.WhichOneof("eventType"))


def new_kinds(item: pb.WorkItem) -> list[str]:
    return [kind_of(event) for event in item.orchestratorRequest.newEvents]


def ended(status: pb.OrchestrationStatus, *, error: str = "") -> pb.OrchestratorAction:
    failure = pb.TaskFailureDetails(errorType="E", errorMessage=error) if error else None
    action: pb.OrchestratorAction = helpers.new_complete_orchestration_action(9, status, None, failure)
    return action


def scheduled(task_id: int) -> pb.OrchestratorAction:
    return pb.OrchestratorAction(id=task_id, scheduleTask=pb.ScheduleTaskAction(name="work"))


async def test_an_orchestration_in_flight_is_not_handed_out_again_until_its_turn_is_complete() -> None:
    async with driver() as it:
        it.start()
        turn = it.turn()
        it.raise_event()
        assert it.take() == []
        it.complete(turn)
        assert new_kinds(it.turn()) == ["orchestratorStarted", "eventRaised"]


async def test_what_arrives_during_a_turn_is_handed_out_in_one_batch() -> None:
    async with driver() as it:
        it.start()
        turn = it.turn()
        for _ in range(5):
            it.raise_event()
        it.complete(turn)
        assert new_kinds(it.turn()) == ["orchestratorStarted", *["eventRaised"] * 5]
        assert it.take() == []


async def test_one_orchestration_in_flight_does_not_hold_up_the_others() -> None:
    async with driver() as it:
        it.start("one")
        turn = it.turn()
        it.raise_event("one")
        it.start("two")
        assert it.turn().orchestratorRequest.instanceId == "two"
        it.complete(turn)


async def test_a_resume_that_comes_while_the_suspension_is_in_flight_is_not_lost() -> None:
    async with driver() as it:
        it.start()
        it.complete(it.turn())
        it.backend.SuspendInstance(pb.SuspendRequest(instanceId="one"), CALL)
        suspending = it.turn()
        it.backend.ResumeInstance(pb.ResumeRequest(instanceId="one"), CALL)
        it.complete(suspending)
        assert new_kinds(it.turn()) == ["orchestratorStarted", "executionResumed"]


async def test_whoever_hands_out_work_is_rung_for_everything_there_is_to_hand_out() -> None:
    async with driver() as it:
        it.start()
        assert it.rung
        turn = it.turn()
        it.rung.clear()
        it.complete(turn, scheduled(1))
        assert it.rung
        (activity,) = it.take()
        it.rung.clear()
        it.answer(activity, "1")
        assert it.rung


async def test_a_result_that_comes_during_the_turn_that_fails_is_there_when_it_is_rewound() -> None:
    async with driver() as it:
        it.start()
        it.complete(it.turn(), scheduled(1))
        (activity,) = it.take()
        it.raise_event()
        failing = it.turn()
        it.answer(activity, "1")
        it.complete(failing, ended(pb.ORCHESTRATION_STATUS_FAILED, error="bad"))
        assert "taskCompleted" in it.history()
        assert it.take() == []


async def test_a_result_that_comes_during_the_rewinding_turn_is_handed_out_after_it() -> None:
    async with driver() as it:
        it.start()
        it.complete(it.turn(), scheduled(1))
        (activity,) = it.take()
        it.raise_event()
        it.complete(it.turn(), ended(pb.ORCHESTRATION_STATUS_FAILED, error="bad"))
        it.backend.RewindInstance(pb.RewindInstanceRequest(instanceId="one"), CALL)
        rewinding = it.turn()
        assert new_kinds(rewinding) == ["orchestratorStarted", "executionRewound"]
        it.answer(activity, "1")
        kept = [e for e in rewinding.orchestratorRequest.pastEvents if not e.HasField("executionCompleted")]
        rewind = pb.RewindOrchestrationAction(newHistory=[*kept, *rewinding.orchestratorRequest.newEvents])
        it.complete(rewinding, pb.OrchestratorAction(id=-1, rewindOrchestration=rewind))
        assert new_kinds(it.turn()) == ["orchestratorStarted", "taskCompleted"]


async def test_a_turn_completed_twice_counts_once() -> None:
    async with driver() as it:
        it.start()
        turn = it.turn()
        it.complete(turn, scheduled(1))
        it.complete(turn, scheduled(1))
        assert len(it.take()) == 1
        assert it.history().count("taskScheduled") == 1


async def test_a_finished_orchestration_is_never_handed_out() -> None:
    async with driver() as it:
        it.start()
        it.complete(it.turn(), scheduled(1))
        (activity,) = it.take()
        it.raise_event()
        it.complete(it.turn(), ended(pb.ORCHESTRATION_STATUS_COMPLETED))
        before = it.history()
        it.answer(activity, "late")
        assert it.take() == []
        assert it.history() == before
