"""The sequential pattern, stepped by hand: who is asked with what, and an account that hides nothing."""

import itertools
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrations.calls import RunUpdate
from orchestrations.nodes import MAX_WIDTH
from orchestrations.requests import SequentialRequest
from orchestrations.sequential import sequential
from shared.contracts import OUTCOMES, AgentResult, ErrorInfo, Outcome, RunResult, Usage
from shared.status import RunStatus, StepStatus
from tests.support.documents import a_card, a_failure, a_result
from tests.support.fake_orchestration import FakeOrchestration
from tests.support.pattern_run import PatternRun

NAMES = ("research", "writer", "editor")


def running(*nodes: Any, **more: Any) -> PatternRun:
    given = {"pattern": "sequential", "request": {"topic": "tides"}, "agents": nodes or NAMES, **more}
    return PatternRun(given)


# -- the run ----------------------------------------------------------------------------------------------------


def test_each_agent_is_asked_once_the_one_before_it_has_answered() -> None:
    run = running()
    for name in NAMES:
        assert run.open == [name]
        run.answer(name)
    assert run.updates == [RunUpdate(task_id="run-1", status=RunStatus.COMPLETED, result=run.result)]
    assert run.result.result == "editor's"
    assert run.outcomes() == dict.fromkeys(NAMES, "answered")
    assert run.root.open_timers() == []


def test_each_agent_gets_the_request_and_everything_made_so_far() -> None:
    run = running()
    for name in NAMES:
        run.answer(name, {"by": name})
    inputs = [run.inputs[name].model_dump() for name in NAMES]
    assert [given["request"] for given in inputs] == [{"topic": "tides"}] * 3
    assert [[line["output"]["by"] for line in given["earlier"]] for given in inputs] == [
        [],
        ["research"],
        ["research", "writer"],
    ]


def test_an_agent_with_a_request_of_its_own_is_given_that_and_what_was_made() -> None:
    run = running("research", {"agent": "writer", "request": "shorter"})
    run.answer("research")
    assert run.inputs["writer"].request == "shorter"
    assert [line.output for line in run.inputs["writer"].earlier] == ["research's"]


def test_the_custom_status_says_how_far_the_run_is() -> None:
    run = running("research", "writer")
    run.answer("research")
    assert run.root.ctx.custom_statuses == [
        {"pattern": "sequential", "step": 1, "of": 2, "name": "research"},
        {"pattern": "sequential", "step": 2, "of": 2, "name": "writer"},
    ]


@pytest.mark.parametrize("status", [StepStatus.FAILED, StepStatus.TIMED_OUT, StepStatus.SKIPPED, StepStatus.REJECTED])
def test_a_step_without_success_ends_the_run_as_failed_and_keeps_what_was_made(status: StepStatus) -> None:
    run = running()
    run.answer("research", "dossier")
    run.answer("writer", a_failure(status))
    assert run.updates[-1].status is RunStatus.FAILED
    assert (run.result.status, run.result.result) == (RunStatus.FAILED, "dossier")
    assert list(run.outcomes().values()) == [Outcome.ANSWERED, OUTCOMES[status], Outcome.SKIPPED]
    assert run.result.error == a_failure(status).error


def test_an_agent_may_stand_in_a_sequence_twice_under_two_names() -> None:
    run = running("writer", {"agent": "writer", "name": "second-draft"})
    run.answer("writer")
    run.answer("second-draft")
    assert run.result.status is RunStatus.COMPLETED
    assert {run.sent[step].agent for step in ("writer", "second-draft")} == {"writer"}


def test_the_deadline_ends_the_run_and_asks_nobody_more() -> None:
    run = running(deadline_seconds=100)
    run.answer("research")
    run.pass_time(100)
    assert run.outcomes() == {"research": "answered", "writer": "timed_out", "editor": "skipped"}
    assert run.result.status is RunStatus.FAILED
    assert "editor" not in run.sent


# -- nested patterns --------------------------------------------------------------------------------------------

STAGE = {"pattern": "parallel", "name": "stage", "agents": ["web", "news"]}


def test_a_nested_stage_works_on_what_came_before_and_hands_on_what_it_made() -> None:
    run = running("research", STAGE, "editor")
    run.answer("research")
    assert run.open == ["stage.web", "stage.news"]
    assert [line.output for line in run.inputs["stage.web"].earlier] == ["research's"]
    run.answer("stage.news")
    run.answer("stage.web")
    [_, stage] = run.inputs["editor"].earlier
    assert (stage.step_id, stage.agent) == ("stage", "parallel")
    assert stage.output == [
        {"name": "web", "agent": "web", "output": "stage.web's"},
        {"name": "news", "agent": "news", "output": "stage.news's"},
    ]
    run.answer("editor")
    assert list(run.outcomes()) == ["research", "stage.web", "stage.news", "editor"]


def test_a_nested_stages_answers_go_to_it_and_its_steps_belong_to_the_run() -> None:
    run = running(STAGE)
    assert list(run.children) == ["run-1:stage"]
    sent = [given for name, given in run.activities if name == "dispatch_agents"]
    assert [(each["task_id"], each["reply_to"]) for each in sent] == [("run-1", "run-1:stage")]


def test_a_nested_stage_that_fails_fails_its_step_with_its_whole_account() -> None:
    run = running(STAGE, "editor")
    run.answer("stage.web")
    run.answer("stage.news", a_failure())
    assert run.outcomes() == {"stage.web": "answered", "stage.news": "failed", "editor": "skipped"}
    assert run.result.status is RunStatus.FAILED


def test_a_nested_stage_that_could_do_without_somebody_makes_the_whole_run_partial() -> None:
    run = running({**STAGE, "require": {"at_least": 1}})
    run.answer("stage.web")
    run.answer("stage.news", a_failure())
    assert run.result.status is RunStatus.PARTIAL


def test_a_stage_that_was_never_reached_accounts_for_each_of_its_agents() -> None:
    run = running("research", STAGE)
    run.answer("research", a_failure())
    assert run.outcomes() == {"research": "failed", "stage.web": "skipped", "stage.news": "skipped"}


def test_a_nested_stage_ends_in_time_for_its_account_to_arrive() -> None:
    run = running(STAGE, deadline_seconds=20)
    run.answer("stage.web")
    run.pass_time(18)
    assert run.outcomes() == {"stage.web": "answered", "stage.news": "timed_out"}


# -- when our own code breaks ------------------------------------------------------------------------------------


def test_an_orchestrator_that_breaks_records_its_run_as_failed_before_it_fails() -> None:
    given = {"request": "x", "agents": ["research"]}
    orchestration = FakeOrchestration(lambda ctx: sequential(ctx, given))
    orchestration.complete("begin_run", {"agents": {"research": a_card().model_dump(mode="json")}})
    orchestration.complete("dispatch_agents", {"surprise": 1})
    update = RunUpdate.model_validate(orchestration.complete("record_run"))
    assert (update.status, update.result and update.result.status) == (RunStatus.FAILED, RunStatus.FAILED)
    assert update.result is not None
    assert update.result.error is not None
    assert update.result.error.type == "ValidationError"
    assert isinstance(orchestration.error, ValidationError)


def test_a_run_that_cannot_be_begun_fails_its_orchestration() -> None:
    orchestration = FakeOrchestration(lambda ctx: sequential(ctx, {"request": "x", "agents": ["research"]}))
    orchestration.fail("begin_run", RuntimeError("the store is down"))
    assert "the store is down" in str(orchestration.error)


def test_a_run_that_may_not_be_run_is_recorded_with_the_reason_and_asks_nobody() -> None:
    orchestration = FakeOrchestration(lambda ctx: sequential(ctx, {"request": "x", "agents": ["ghost"]}))
    refused = {"type": "InvalidRequest", "message": "agents.0: no agent is called ghost", "retryable": False}
    orchestration.complete("begin_run", {"refused": refused})
    update = RunUpdate.model_validate(orchestration.complete("record_run"))
    assert update.result == RunResult(status=RunStatus.FAILED, error=ErrorInfo.model_validate(refused))
    assert orchestration.over


def test_a_replay_schedules_the_same_tasks_in_the_same_order() -> None:
    def trace() -> list[tuple[str, Any]]:
        run = running("research", STAGE)
        for step in ("research", "stage.news", "stage.web"):
            run.answer(step)
        return run.activities

    assert trace() == trace()


# -- the request ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"agents": []}, "agents"),
        ({"agents": [{"agent": "a", "name": f"s{n}"} for n in range(MAX_WIDTH + 1)]}, "agents"),
        ({"agents": ["same", "same"]}, r"agents\.1: two nodes are called same"),
        ({"agents": ["a", {"agent": "b", "name": "a"}]}, r"agents\.1: two nodes are called a"),
        ({"agents": ["A b"]}, r"agents\.0"),
        ({"agents": [{"name": "a"}]}, r"agents\.0"),
        ({"agents": [{"pattern": "nonsense"}]}, r"agents\.0"),
        ({"agents": [{"pattern": "parallel", "agents": []}]}, r"agents\.0\.parallel"),
        ({"agents": [5]}, r"agents\.0"),
        ({"deadline_seconds": 0}, "deadline_seconds"),
        ({"deadline_seconds": 1e9}, "deadline_seconds"),
        ({"budget": {}}, "budget"),
        ({"budget": {"tokens": 0}}, r"budget\.tokens"),
        ({"budget": {"usd": -1}}, r"budget\.usd"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"pattern": "parallel"}, "pattern"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_request_that_makes_no_sequence_is_refused_by_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        SequentialRequest.model_validate({"request": "x", "agents": ["research"], **change})


def test_an_orchestration_that_was_started_with_nonsense_fails_and_asks_nobody() -> None:
    orchestration = FakeOrchestration(lambda ctx: sequential(ctx, {"nonsense": True}))
    assert isinstance(orchestration.error, ValidationError)
    assert orchestration.ctx.activities == []


# -- the account, over every combination ------------------------------------------------------------------------

ENDED = (StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.TIMED_OUT, StepStatus.REJECTED)


def possible(steps: int) -> list[tuple[StepStatus, ...]]:
    """Every way that a sequence can go: successes, then perhaps one step without."""
    ways = [(StepStatus.SUCCEEDED,) * steps]
    for number, end in itertools.product(range(steps), ENDED[1:]):
        ways.append((StepStatus.SUCCEEDED,) * number + (end,))
    return ways


@pytest.mark.parametrize("way", [way for steps in (1, 2, 3) for way in possible(steps)], ids="-".join)
@pytest.mark.parametrize("more", [0, 1, 2])
def test_a_run_is_completed_exactly_when_every_agent_that_was_asked_for_answered(
    way: tuple[StepStatus, ...], more: int
) -> None:
    names = [f"step-{number}" for number in range(len(way) + more)]
    run = running(*names)
    for name, status in zip(names, way, strict=False):
        run.answer(name, f"made by {name}" if status is StepStatus.SUCCEEDED else a_failure(status))
    all_succeeded = set(way) == {StepStatus.SUCCEEDED}
    if all_succeeded and more:
        assert not run.over
        return
    made = [f"made by {name}" for name, status in zip(names, way, strict=False) if status is StepStatus.SUCCEEDED]
    assert run.result.status is (RunStatus.COMPLETED if all_succeeded else RunStatus.FAILED)
    assert list(run.outcomes()) == names
    assert list(run.outcomes().values()) == [OUTCOMES[status] for status in way] + [Outcome.SKIPPED] * more
    assert run.result.result == (made[-1] if made else None)
    assert (run.result.error is None) == all_succeeded


def test_the_cause_of_each_line_is_said() -> None:
    run = running()
    run.answer("research")
    run.answer("writer", a_failure())
    causes = [line.cause for line in run.result.account]
    assert causes == [None, "Broken it is", "not asked: writer did not succeed"]


def test_a_result_without_success_and_without_an_error_is_a_failure_all_the_same() -> None:
    run = running("research")
    run.answer("research", AgentResult(status=StepStatus.TIMED_OUT))
    assert run.result.status is RunStatus.FAILED
    assert run.result.error == ErrorInfo(type="timed_out", message="research timed_out")


def test_what_the_steps_used_adds_up_failures_included() -> None:
    used = Usage(input_tokens=10, output_tokens=5, cost_usd=0.5, model="m")
    run = running()
    run.answer("research", a_result())
    run.answer("writer", a_failure().model_copy(update={"usage": used}))
    assert run.result.usage == used.plus(used)


def test_every_status_of_a_result_has_its_outcome() -> None:
    assert set(OUTCOMES) == {*ENDED, StepStatus.PARKED}
