"""One agent call as an orchestrator makes it: an `AgentResult` whatever happens, and durable tasks in a fixed order."""

from datetime import timedelta
from typing import Any

import pytest
from durabletask.task import OrchestrationContext

from orchestrations.branches import Step
from orchestrations.calls import Dispatch, Dispatched, QueuedStep, Recorded, Rejection, RunUpdate
from orchestrations.requests import SequentialRequest
from orchestrations.retrying import ACTIVITY_RETRY, STORE_RETRY
from orchestrations.run import Answer, NodeCall, Run
from orchestrations.steps import NotRecorded, call_node, record_run
from shared.cards import AgentCard
from shared.contracts import AgentInput, AgentResult, AgentTask, ErrorInfo
from shared.status import RunStatus, StepStatus
from tests.support.documents import a_card, a_failure, a_result, a_run_result, after
from tests.support.fake_orchestration import FakeOrchestration

DISPATCH, EVENT, DIRECT = "dispatch_agents", "agent-reply-research", "research_activity"
SENT = Dispatched().model_dump(mode="json")


GIVEN = AgentInput(request={"topic": "tides"})


def calling(card: AgentCard | None = None) -> FakeOrchestration[Answer]:
    request = SequentialRequest(request={"topic": "tides"}, agents=("research",))

    def ask(ctx: OrchestrationContext) -> Step[Answer]:
        agents = {"research": card or a_card()}
        run = Run(ctx=ctx, request=request, task_id="run-1", agents=agents, given=GIVEN, deadline=after(3600))
        return (yield from call_node(run, NodeCall("research", "research", GIVEN)))

    return FakeOrchestration(ask)


def result_of(orchestration: FakeOrchestration[Answer]) -> AgentResult:
    assert orchestration.over
    assert orchestration.error is None
    assert orchestration.result is not None
    return orchestration.result.result


def error_type(result: AgentResult) -> str | None:
    return result.error.type if result.error else None


# -- over the bus -----------------------------------------------------------------------------------------------


def test_the_task_that_is_sent_says_who_waits_for_it_and_until_when() -> None:
    orchestration = calling()
    dispatch = Dispatch.model_validate(orchestration.pending()[0].input)
    step = QueuedStep(step_id="research", agent="research", given=0, deadline=after(600), reply_event=EVENT)
    assert dispatch == Dispatch(task_id="run-1", reply_to="run-1", inputs=(GIVEN,), steps=(step,))


def test_sending_is_tried_again_because_queues_know_repeated_messages() -> None:
    assert calling().pending()[0].retry is ACTIVITY_RETRY


@pytest.mark.parametrize(
    "answer", [a_result(), a_failure(), a_failure(StepStatus.TIMED_OUT), a_failure(StepStatus.SKIPPED)]
)
def test_the_answer_of_an_agent_is_the_result_and_the_timer_is_given_up(answer: AgentResult) -> None:
    orchestration = calling()
    orchestration.complete(DISPATCH, SENT)
    assert orchestration.open_timers() == [after(600)]
    orchestration.raise_event(EVENT, answer.model_dump(mode="json"))
    assert result_of(orchestration) == answer
    assert orchestration.open_timers() == []


def test_an_answer_that_comes_while_the_task_is_being_sent_is_not_lost() -> None:
    orchestration = calling()
    orchestration.raise_event(EVENT, a_result().model_dump(mode="json"))
    assert not orchestration.over
    orchestration.complete(DISPATCH, SENT)
    assert result_of(orchestration) == a_result()


def test_without_an_answer_the_step_times_out_at_its_deadline_and_not_before() -> None:
    orchestration = calling()
    orchestration.complete(DISPATCH, SENT)
    orchestration.pass_time(timedelta(seconds=599))
    assert not orchestration.over
    orchestration.pass_time(timedelta(seconds=1))
    result = result_of(orchestration)
    assert (result.status, error_type(result)) == (StepStatus.TIMED_OUT, "StepTimedOut")
    assert result.error is not None
    assert "600 s" in result.error.message


def test_the_deadline_counts_from_the_call_and_not_from_when_sending_succeeded() -> None:
    orchestration = calling()
    orchestration.pass_time(timedelta(seconds=50))
    orchestration.complete(DISPATCH, SENT)
    assert orchestration.open_timers() == [after(600)]


def test_a_task_that_was_refused_is_rejected_at_once() -> None:
    orchestration = calling()
    why = ErrorInfo(type="NotFound", message="there is no queue research-tasks")
    orchestration.complete(
        DISPATCH, Dispatched(rejected=(Rejection(step_id="research", error=why),)).model_dump(mode="json")
    )
    result = result_of(orchestration)
    assert (result.status, result.error) == (StepStatus.REJECTED, why)
    assert orchestration.open_timers() == []


def test_a_task_that_could_not_be_sent_is_rejected() -> None:
    orchestration = calling()
    orchestration.fail(DISPATCH, RuntimeError("the bus is down"))
    result = result_of(orchestration)
    assert (result.status, error_type(result)) == (StepStatus.REJECTED, "DispatchFailed")
    assert result.error is not None
    assert "the bus is down" in result.error.message


@pytest.mark.parametrize(
    "data",
    [None, "", "text", 5, [], {}, {"status": "running"}, {"status": "succeeded", "surprise": 1}, {"output": "x"}],
)
def test_an_event_that_is_no_agents_result_is_a_failed_step_and_not_a_broken_run(data: Any) -> None:
    """Anyone who may call the management API may raise an event."""
    orchestration = calling()
    orchestration.complete(DISPATCH, SENT)
    orchestration.raise_event(EVENT, data)
    result = result_of(orchestration)
    assert (result.status, error_type(result)) == (StepStatus.FAILED, "InvalidAnswer")


# -- as an activity ---------------------------------------------------------------------------------------------


def direct() -> FakeOrchestration[Answer]:
    return calling(a_card(transport="activity", queue=None))


def retryable(after_seconds: float | None = None) -> dict[str, Any]:
    failure = a_failure(kind="ModelUnavailable", retryable=True)
    return failure.model_copy(update={"retry_after_seconds": after_seconds}).model_dump(mode="json")


def test_an_agent_called_as_an_activity_answers_with_its_result() -> None:
    orchestration = direct()
    given = orchestration.complete(DIRECT, a_result().model_dump(mode="json"))
    assert result_of(orchestration) == a_result()
    task = AgentTask.model_validate(given)
    assert (task.reply_to, task.attempt, task.deadline) == (None, 1, after(600))
    assert orchestration.open_timers() == []


def test_a_failure_for_good_is_the_result_at_once() -> None:
    orchestration = direct()
    orchestration.complete(DIRECT, a_failure().model_dump(mode="json"))
    assert result_of(orchestration) == a_failure()


def test_an_agent_that_says_when_to_ask_again_is_asked_then_as_often_as_it_says_so() -> None:
    orchestration = direct()
    postponed = []
    for wait in (5, 10, 15, 120, 2):
        postponed.append(AgentTask.model_validate(orchestration.complete(DIRECT, retryable(wait))).postponed)
        assert orchestration.pending() == []
        orchestration.pass_time(timedelta(seconds=wait - 0.1))
        assert orchestration.pending() == []
        orchestration.pass_time(timedelta(seconds=0.1))
    orchestration.complete(DIRECT, retryable())
    assert postponed == [0, 1, 2, 3, 4]
    assert result_of(orchestration) == AgentResult.model_validate(retryable())


def test_an_attempt_that_succeeds_ends_the_attempts() -> None:
    orchestration = direct()
    orchestration.complete(DIRECT, retryable(5))
    orchestration.pass_time(timedelta(seconds=5))
    orchestration.complete(DIRECT, a_result().model_dump(mode="json"))
    assert result_of(orchestration) == a_result()


def test_an_activity_that_breaks_is_tried_again_and_is_a_failure_in_the_end() -> None:
    orchestration = direct()
    for wait in (5, 10, 15):
        orchestration.fail(DIRECT, RuntimeError("the instance went away"))
        orchestration.pass_time(timedelta(seconds=wait))
    orchestration.fail(DIRECT, RuntimeError("the instance went away"))
    result = result_of(orchestration)
    assert (result.status, error_type(result)) == (StepStatus.FAILED, "ActivityFailed")
    assert result.error is not None
    assert "went away" in result.error.message


def test_an_activity_that_never_ends_times_out_with_its_step() -> None:
    orchestration = direct()
    orchestration.pass_time(timedelta(seconds=600))
    result = result_of(orchestration)
    assert (result.status, error_type(result)) == (StepStatus.TIMED_OUT, "StepTimedOut")


def test_an_activity_whose_answer_is_none_is_a_failure_that_is_not_repeated() -> None:
    orchestration = direct()
    orchestration.complete(DIRECT, {"surprise": 1})
    assert error_type(result_of(orchestration)) == "InvalidAnswer"


def test_a_wait_that_outlasts_the_step_ends_with_it_and_leaves_no_timer() -> None:
    orchestration = direct()
    orchestration.complete(DIRECT, retryable(3600))
    orchestration.pass_time(timedelta(seconds=600))
    assert error_type(result_of(orchestration)) == "StepTimedOut"
    assert orchestration.open_timers() == []


# -- recording --------------------------------------------------------------------------------------------------


def test_a_runs_progress_is_recorded_by_an_activity_that_is_tried_again() -> None:
    orchestration = FakeOrchestration(lambda ctx: record_run(ctx, RunStatus.COMPLETED, a_run_result()))
    [activity] = orchestration.pending()
    assert activity.retry is STORE_RETRY
    update = RunUpdate.model_validate(orchestration.complete("record_run"))
    assert update == RunUpdate(task_id="run-1", status=RunStatus.COMPLETED, result=a_run_result())
    assert orchestration.over


def test_an_end_that_the_store_refuses_for_good_fails_the_orchestration_and_is_not_tried_again() -> None:
    orchestration = FakeOrchestration(lambda ctx: record_run(ctx, RunStatus.COMPLETED, a_run_result()))
    refused = Recorded(refused=ErrorInfo(type="StateCorrupted", message="no run"))
    orchestration.complete("record_run", refused.model_dump(mode="json"))
    assert isinstance(orchestration.error, NotRecorded)
    assert orchestration.pending() == []


def test_the_retries_of_an_activity_outlast_a_short_outage_and_end() -> None:
    assert ACTIVITY_RETRY.max_number_of_attempts == 6
    assert ACTIVITY_RETRY.first_retry_interval == timedelta(seconds=1)
    assert ACTIVITY_RETRY.max_retry_interval == timedelta(seconds=30)


def test_the_retries_of_what_a_run_cannot_end_without_outlast_a_store_that_is_away_for_a_day() -> None:
    longest = STORE_RETRY.max_retry_interval
    assert longest is not None
    assert longest * (STORE_RETRY.max_number_of_attempts - 10) > timedelta(days=1)
    assert longest <= timedelta(minutes=5), "a run ends soon after the store is back"
