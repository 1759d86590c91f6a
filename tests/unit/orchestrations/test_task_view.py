"""A run as it is shown: the plan, and of each step what its documents say."""

from typing import Any

import pytest

from orchestrations.task_view import TaskView, task_view
from shared.contracts import AgentAccount, ErrorInfo, Outcome, RunResult, Usage
from shared.state.documents import RunDocument, RunRecord, StepDocument
from shared.status import RunStatus, StepStatus
from tests.support.documents import NOW, a_failure, a_result, a_run, after, an_attempt


def a_step(step_id: str = "research", **changes: Any) -> StepDocument:
    fields: dict[str, Any] = {
        "task_id": "run-1",
        "step_id": step_id,
        "agent": step_id,
        "status": StepStatus.RUNNING,
        "attempt": 1,
        "owner": "first",
        "lease_until": after(120),
        "enqueued_at": after(1),
        "started_at": after(3),
    }
    return StepDocument.model_validate({**fields, **changes})


def finished(step_id: str = "research", **changes: Any) -> StepDocument:
    done = {"status": StepStatus.SUCCEEDED, "completed_at": after(8), "result": a_result(f"{step_id}'s")}
    return a_step(step_id, **{**done, **changes})


def view(*steps: StepDocument, run: RunDocument | None = None) -> TaskView:
    return task_view(RunRecord(run=run or a_run(status=RunStatus.RUNNING), steps=steps))


def test_a_run_shows_what_was_asked_and_how_it_stands() -> None:
    shown = view(run=a_run())
    assert (shown.id, shown.type, shown.workflow, shown.status) == ("run-1", "sequential", "content", RunStatus.PENDING)
    assert (shown.input, shown.result, shown.error, shown.account) == ({"topic": "tides"}, None, None, [])
    assert (shown.created_at, shown.updated_at, shown.completed_at) == (NOW, NOW, None)


def test_every_planned_step_is_shown_in_the_plans_order_claimed_or_not() -> None:
    shown = view(finished("writer"))
    assert [(step.name, step.status) for step in shown.steps] == [
        ("research", StepStatus.PENDING),
        ("writer", StepStatus.SUCCEEDED),
    ]


def test_a_finished_step_shows_its_result_and_where_its_time_went() -> None:
    [step, _] = view(finished()).steps
    assert (step.result, step.error, step.usage) == ("research's", None, a_result().usage)
    assert (step.queue_seconds, step.run_seconds, step.attempt) == (2, 5, 1)
    assert (step.enqueued_at, step.started_at, step.completed_at) == (after(1), after(3), after(8))


def test_a_running_step_shows_how_long_it_waited_and_no_result_yet() -> None:
    [step, _] = view(a_step()).steps
    assert (step.status, step.queue_seconds, step.run_seconds, step.result) == (StepStatus.RUNNING, 2, None, None)


def test_the_wait_in_the_queue_ends_with_the_first_attempt() -> None:
    [step, _] = view(a_step(started_at=after(99), attempts=(an_attempt(),), enqueued_at=after(-4))).steps
    assert step.queue_seconds == 4


def test_clocks_that_disagree_never_show_a_negative_time() -> None:
    [step, _] = view(finished(enqueued_at=after(50), completed_at=after(2))).steps
    assert (step.queue_seconds, step.run_seconds) == (0, 0)


def test_a_failed_step_shows_its_cause() -> None:
    [step, _] = view(finished(status=StepStatus.FAILED, result=a_failure())).steps
    assert (step.status, step.error, step.result) == (StepStatus.FAILED, a_failure().error, None)


def test_a_waiting_step_shows_its_attempts_and_what_they_used() -> None:
    waiting = a_step(status=StepStatus.WAITING, attempts=(an_attempt(1), an_attempt(2)))
    shown = view(waiting)
    assert [attempt.attempt for attempt in shown.steps[0].attempts] == [1, 2]
    assert shown.usage.input_tokens == shown.steps[0].usage.input_tokens == 6
    assert shown.usage.cost_usd == 0.5


def test_while_a_run_goes_on_its_usage_is_that_of_its_steps_so_far() -> None:
    used = a_result().usage
    assert view(finished("research"), a_step("writer")).usage == used
    assert view(finished("research"), finished("writer")).usage == used.plus(used)


def test_an_unknown_cost_of_one_step_makes_the_runs_unknown() -> None:
    unknown = a_result().model_copy(update={"usage": Usage(input_tokens=1, cost_usd=None, model="m")})
    assert view(finished("research"), finished("writer", result=unknown)).usage.cost_usd is None


def ended(status: RunStatus, *outcomes: Outcome, error: ErrorInfo | None = None) -> RunDocument:
    names = ("research", "writer")
    account = tuple(AgentAccount(step_id=n, agent=n, outcome=o) for n, o in zip(names, outcomes, strict=False))
    result = RunResult.model_validate({"status": status, "result": "made", "account": account, "error": error})
    return a_run(status=status, result=result, updated_at=after(20), completed_at=after(20))


def test_a_run_that_is_over_shows_its_result_account_and_error() -> None:
    why = ErrorInfo(type="T", message="m")
    shown = view(finished(), run=ended(RunStatus.FAILED, Outcome.ANSWERED, Outcome.SKIPPED, error=why))
    assert (shown.status, shown.result, shown.error, shown.completed_at) == (RunStatus.FAILED, "made", why, after(20))
    assert isinstance(shown.account, list)
    assert shown.account[1] == {"step_id": "writer", "agent": "writer", "outcome": "skipped", "cause": None}


def test_a_step_that_no_runner_claimed_stands_as_its_runs_account_says() -> None:
    """Its message may have waited in the queue past its time: that is no step that was skipped."""
    shown = view(run=ended(RunStatus.FAILED, Outcome.TIMED_OUT, Outcome.SKIPPED))
    assert [step.status for step in shown.steps] == [StepStatus.TIMED_OUT, StepStatus.SKIPPED]


def test_a_step_that_no_runner_claimed_and_no_account_names_is_skipped_once_the_run_is_over() -> None:
    assert {step.status for step in view(run=ended(RunStatus.CANCELLED)).steps} == {StepStatus.SKIPPED}


def test_what_a_step_used_counts_even_when_its_run_did_not_wait_for_it() -> None:
    shown = view(finished(), run=ended(RunStatus.FAILED, Outcome.TIMED_OUT, Outcome.SKIPPED))
    assert shown.usage == a_result().usage


def test_a_run_was_updated_when_anything_of_it_last_changed() -> None:
    assert view(finished("research"), a_step("writer", started_at=after(30))).updated_at == after(30)
    assert view(finished(), run=ended(RunStatus.COMPLETED)).updated_at == after(20)


@pytest.mark.parametrize("left", [StepStatus.RUNNING, StepStatus.WAITING])
def test_a_step_that_its_run_gave_up_on_is_not_shown_as_going_on_for_ever(left: StepStatus) -> None:
    line = AgentAccount(step_id="research", agent="research", outcome=Outcome.TIMED_OUT)
    result = RunResult(status=RunStatus.FAILED, account=(line,))
    [step, _] = view(a_step(status=left), run=a_run(status=RunStatus.FAILED, result=result)).steps
    assert step.status is StepStatus.TIMED_OUT


def test_a_step_that_ended_after_its_run_gave_up_on_it_is_shown_as_it_ended() -> None:
    line = AgentAccount(step_id="research", agent="research", outcome=Outcome.TIMED_OUT)
    result = RunResult(status=RunStatus.FAILED, account=(line,))
    [step, _] = view(finished(), run=a_run(status=RunStatus.FAILED, result=result)).steps
    assert step.status is StepStatus.SUCCEEDED


def test_steps_that_were_found_on_the_way_follow_the_plan_in_the_order_they_began() -> None:
    late, early = finished("editor", started_at=after(9)), finished("publisher", started_at=after(6))
    shown = view(finished("research"), late, early)
    assert [step.step_id for step in shown.steps] == ["research", "writer", "publisher", "editor"]
    assert shown.usage == a_result().usage.plus(a_result().usage).plus(a_result().usage)


def test_a_step_that_only_the_account_knows_is_shown_too() -> None:
    """A judge whose queue refused its task has no document, and was asked for all the same."""
    line = AgentAccount(step_id="judge", agent="judge", outcome=Outcome.FAILED, cause="refused")
    run = a_run(status=RunStatus.FAILED, result=RunResult(status=RunStatus.FAILED, account=(line,)))
    last = view(run=run).steps[-1]
    assert (last.step_id, last.status) == ("judge", StepStatus.FAILED)


def test_a_step_that_its_run_goes_on_without_is_skipped_unless_it_was_begun() -> None:
    run = a_run(status=RunStatus.RUNNING, called_off=("research", "writer"))
    assert [step.status for step in view(finished("writer"), run=run).steps] == [
        StepStatus.SKIPPED,
        StepStatus.SUCCEEDED,
    ]
