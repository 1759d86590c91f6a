"""What a batch of operations asks of an entity's function, and what its result does."""

import itertools
import logging
from datetime import UTC, datetime, timedelta

import pytest
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

from devhost.taskhub.entities.outcome import (
    EntityOutcome,
    Reply,
    Signal,
    batch_request,
    entity_id,
    outcome,
    passed_on,
    sent_signal,
)
from devhost.taskhub.entities.outcome import signal as signal_message
from tests.support.entity_events import call, lock_request, signal

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
BOOM = pb.TaskFailureDetails(errorType="ValueError", errorMessage="boom")


def success(value: str = "") -> pb.OperationResult:
    return pb.OperationResult(success=pb.OperationResultSuccess(result=StringValue(value=value)))


def failure() -> pb.OperationResult:
    return pb.OperationResult(failure=pb.OperationResultFailure(failureDetails=BOOM))


def result(*results: pb.OperationResult, state: str | None = '"new"', **rest: object) -> pb.EntityBatchResult:
    return pb.EntityBatchResult(results=results, entityState=helpers.get_string_value(state), **rest)  # type: ignore[arg-type]


def came_of(operations: list[pb.HistoryEvent], given: pb.EntityBatchResult) -> EntityOutcome:
    ids = (f"id{number}" for number in itertools.count(1))
    return outcome(operations, '"old"', given, now=NOW, new_id=lambda: next(ids))


@pytest.mark.parametrize(("given", "kept"), [("@Counter@Key", "@counter@Key"), ("@a@b", "@a@b")])
def test_an_entity_is_kept_under_its_name_in_lower_case(given: str, kept: str) -> None:
    assert entity_id(given) == kept


@pytest.mark.parametrize("given", ["", "counter", "@counter", "@@key", "@counter@", "@a@b@c", "x@a@b"])
def test_what_is_no_entitys_id_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        entity_id(given)


def test_the_request_has_the_state_and_the_operations_in_order() -> None:
    request = batch_request("@counter@a", '"old"', [call(operation="one"), signal("two")])
    assert (request.instanceId, request.entityState.value) == ("@counter@a", '"old"')
    assert [(each.operation, each.requestId) for each in request.operations] == [("one", "r1"), ("two", "s1")]


def test_the_request_for_an_entity_that_does_not_exist_has_no_state() -> None:
    assert batch_request("@counter@a", None, [signal()]).entityState.value == ""


def test_callers_are_answered_and_signals_are_not() -> None:
    done = came_of([call("one", request_id="r1"), signal(), call("two", request_id="r2")], result(*[success("5")] * 3))
    assert (done.done, done.state) == (3, '"new"')
    assert [(each.instance_id, each.event.entityOperationCompleted.requestId) for each in done.replies] == [
        ("one", "r1"),
        ("two", "r2"),
    ]
    assert {each.event.entityOperationCompleted.output.value for each in done.replies} == {"5"}
    assert {each.event.timestamp.ToDatetime(tzinfo=UTC) for each in done.replies} == {NOW}


def test_a_failed_operation_is_told_to_its_caller_as_it_failed() -> None:
    done = came_of([call()], result(failure(), state='"old"'))
    assert done.replies[0].event.entityOperationFailed == pb.EntityOperationFailedEvent(
        requestId="r1", failureDetails=BOOM
    )
    assert done.state == '"old"'


@pytest.mark.parametrize("state", [None, ""])
def test_an_entity_without_a_state_ceases_to_exist(state: str | None) -> None:
    assert came_of([signal()], result(success(), state=state)).state is None


def test_operations_without_a_result_are_not_done() -> None:
    done = came_of([call("one"), call("two")], result(success()))
    assert done.done == 1
    assert [each.instance_id for each in done.replies] == ["one"]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (pb.EntityBatchResult(failureDetails=BOOM), "boom"),
        (result(success(), failureDetails=BOOM), "boom"),
        (result(), "the entity's function returned no results"),
    ],
)
def test_a_batch_that_failed_as_a_whole_fails_every_operation_and_changes_nothing(
    given: pb.EntityBatchResult, error: str
) -> None:
    given.actions.add().sendSignal.instanceId = "@counter@b"
    done = came_of([call("one"), signal(), call("two")], given)
    assert (done.done, done.state, done.signals, done.starts) == (3, '"old"', (), ())
    details = [each.event.entityOperationFailed.failureDetails.errorMessage for each in done.replies]
    assert details == [error, error]


def test_a_result_that_is_neither_success_nor_failure_is_a_failure() -> None:
    assert came_of([call()], result(pb.OperationResult())).replies[0].event.HasField("entityOperationFailed")


def test_more_results_than_operations_are_no_harm() -> None:
    assert came_of([call()], result(success(), success())).done == 1


def test_an_entity_may_signal_others_now_and_later() -> None:
    given = result(success())
    for due in (None, NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)):
        sent = given.actions.add().sendSignal
        sent.instanceId, sent.name, sent.input.value = "@Counter@b", "add", "1"
        if due is not None:
            sent.scheduledTime.FromDatetime(due)
    now, late, later = came_of([signal()], given).signals
    assert (now.entity_id, now.due, late.due, later.due) == ("@counter@b", None, None, NOW + timedelta(seconds=1))
    signaled = now.event.entityOperationSignaled
    assert (signaled.operation, signaled.input.value, signaled.requestId) == ("add", "1", "id1")
    assert signaled.targetInstanceId.value == "@counter@b"
    assert later.event.entityOperationSignaled.requestId == "id3"


def test_a_signal_to_what_is_no_entity_is_dropped_and_said(caplog: pytest.LogCaptureFixture) -> None:
    given = result(success())
    given.actions.add().sendSignal.instanceId = "nobody"
    with caplog.at_level(logging.WARNING):
        assert came_of([signal()], given).signals == ()
    assert "nobody" in caplog.text


def test_an_entity_may_start_orchestrations_under_its_own_id_or_a_new_one() -> None:
    given = result(success())
    given.actions.add().startNewOrchestration.instanceId = "mine"
    given.actions.add().startNewOrchestration.name = "greet"
    assert [each.instanceId for each in came_of([signal()], given).starts] == ["mine", "id1"]


def test_a_clients_signal_becomes_a_message_without_an_input_when_it_has_none() -> None:
    request = pb.SignalEntityRequest(instanceId="@Counter@a", name="reset", requestId="r")
    sent = sent_signal(request, now=NOW, request_id="r")
    assert sent.entity_id == "@counter@a"
    assert not sent.event.entityOperationSignaled.HasField("input")


def test_an_orchestrators_signal_is_delayed_until_its_time_by_the_given_clock() -> None:
    due = NOW + timedelta(hours=1)
    signaled = signal(due=due).entityOperationSignaled
    assert signal_message(signaled, now=NOW).due == due
    assert signal_message(signaled, now=due).due is None


def test_a_granted_request_goes_to_the_next_entity_of_its_set() -> None:
    request = lock_request(lock_set=("@counter@a", "@counter@b"))
    onward = passed_on(request.entityLockRequested, now=NOW)
    assert isinstance(onward, Signal)
    assert (onward.entity_id, onward.event.entityLockRequested.position) == ("@counter@b", 1)
    assert request.entityLockRequested.position == 0


def test_after_the_last_entity_the_owner_is_told_that_it_has_them_all() -> None:
    request = lock_request(lock_set=("@counter@a", "@counter@b"), position=1)
    granted = passed_on(request.entityLockRequested, now=NOW)
    assert isinstance(granted, Reply)
    assert granted.instance_id == "owner"
    assert granted.event.entityLockGranted.criticalSectionId == "section"
