"""The sequential pattern, stepped by hand: who is asked with what, and an account that hides nothing."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrations.calls import Dispatch, Dispatched, RunUpdate
from orchestrations.sequential import SequentialRequest, SequentialStep, conclude, sequential
from shared.contracts import OUTCOMES, AgentResult, AgentTask, ErrorInfo, Outcome, RunResult, Usage
from shared.status import RunStatus, StepStatus
from tests.support.documents import a_card, a_failure, a_result
from tests.support.fake_orchestration import FakeOrchestration

SENT = Dispatched().model_dump(mode="json")
NAMES = ("research", "writer", "editor")


def a_request(*names: str) -> SequentialRequest:
    return SequentialRequest(
        request={"topic": "tides"}, steps=tuple(SequentialStep(step_id=name, agent=a_card(name)) for name in names)
    )


def running(*names: str) -> FakeOrchestration[dict[str, Any]]:
    given = a_request(*(names or NAMES)).model_dump(mode="json")
    return FakeOrchestration(lambda ctx: sequential(ctx, given))


def answer(orchestration: FakeOrchestration[dict[str, Any]], name: str, result: AgentResult) -> AgentTask:
    """Let one agent answer; returns the task that it was sent."""
    [task] = Dispatch.model_validate(orchestration.complete("dispatch_agents", SENT)).tasks
    assert task.agent == name
    orchestration.raise_event(f"agent-reply-{name}", result.model_dump(mode="json"))
    return task


def recorded(orchestration: FakeOrchestration[dict[str, Any]]) -> RunUpdate:
    return RunUpdate.model_validate(orchestration.complete("record_run"))


def returned(orchestration: FakeOrchestration[dict[str, Any]]) -> RunResult:
    assert orchestration.over
    assert orchestration.error is None
    return RunResult.model_validate(orchestration.result)


# -- the run ----------------------------------------------------------------------------------------------------


def test_each_agent_is_asked_once_the_one_before_it_has_answered() -> None:
    orchestration = running()
    assert recorded(orchestration) == RunUpdate(task_id="run-1", status=RunStatus.RUNNING)
    for name in NAMES:
        assert [activity.name for activity in orchestration.pending()] == ["dispatch_agents"]
        answer(orchestration, name, a_result(f"{name}'s"))
    update = recorded(orchestration)
    result = returned(orchestration)
    assert update == RunUpdate(task_id="run-1", status=RunStatus.COMPLETED, result=result)
    assert result.result == "editor's"
    assert [(line.agent, line.outcome) for line in result.account] == [(name, Outcome.ANSWERED) for name in NAMES]
    assert orchestration.open_timers() == []


def test_each_agent_gets_the_request_and_everything_made_so_far() -> None:
    orchestration = running()
    recorded(orchestration)
    tasks = [answer(orchestration, name, a_result({"by": name})) for name in NAMES]
    inputs = [task.input.model_dump() for task in tasks]
    assert [given["request"] for given in inputs] == [{"topic": "tides"}] * 3
    assert [[line["output"]["by"] for line in given["earlier"]] for given in inputs] == [
        [],
        ["research"],
        ["research", "writer"],
    ]


def test_the_custom_status_says_how_far_the_run_is() -> None:
    orchestration = running("research", "writer")
    recorded(orchestration)
    answer(orchestration, "research", a_result())
    assert orchestration.ctx.custom_statuses == [
        {"step": 1, "of": 2, "agent": "research"},
        {"step": 2, "of": 2, "agent": "writer"},
    ]


@pytest.mark.parametrize("status", [StepStatus.FAILED, StepStatus.TIMED_OUT, StepStatus.SKIPPED, StepStatus.REJECTED])
def test_a_step_without_success_ends_the_run_as_failed_and_keeps_what_was_made(status: StepStatus) -> None:
    orchestration = running()
    recorded(orchestration)
    answer(orchestration, "research", a_result("dossier"))
    answer(orchestration, "writer", a_failure(status))
    assert recorded(orchestration).status is RunStatus.FAILED
    result = returned(orchestration)
    assert (result.status, result.result) == (RunStatus.FAILED, "dossier")
    assert [line.outcome for line in result.account] == [Outcome.ANSWERED, OUTCOMES[status], Outcome.SKIPPED]
    assert result.error == a_failure(status).error


def test_an_agent_may_stand_in_a_sequence_twice_under_two_step_ids() -> None:
    steps = (SequentialStep(step_id="first", agent=a_card()), SequentialStep(step_id="second", agent=a_card()))
    given = SequentialRequest(request=None, steps=steps).model_dump(mode="json")
    orchestration = FakeOrchestration(lambda ctx: sequential(ctx, given))
    recorded(orchestration)
    for step in ("first", "second"):
        orchestration.complete("dispatch_agents", SENT)
        orchestration.raise_event(f"agent-reply-{step}", a_result().model_dump(mode="json"))
    assert recorded(orchestration).status is RunStatus.COMPLETED


def test_an_orchestrator_that_breaks_records_its_run_as_failed_before_it_fails() -> None:
    orchestration = running("research")
    recorded(orchestration)
    orchestration.complete("dispatch_agents", {"surprise": 1})
    update = recorded(orchestration)
    assert (update.status, update.result and update.result.status) == (RunStatus.FAILED, RunStatus.FAILED)
    assert update.result is not None
    assert update.result.error is not None
    assert update.result.error.type == "ValidationError"
    assert isinstance(orchestration.error, ValidationError)


def test_a_run_that_cannot_be_recorded_fails_its_orchestration() -> None:
    orchestration = running("research")
    orchestration.fail("record_run", RuntimeError("the store is down"))
    assert orchestration.error is not None
    assert "the store is down" in str(orchestration.error)


def test_a_replay_schedules_the_same_tasks_in_the_same_order() -> None:
    def trace() -> list[tuple[str, Any]]:
        orchestration = running()
        recorded(orchestration)
        for name in NAMES:
            answer(orchestration, name, a_result(name))
        recorded(orchestration)
        return [(activity.name, activity.input) for activity in orchestration.ctx.activities]

    assert trace() == trace()


# -- the request ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"steps": []}, "steps"),
        ({"steps": [{"step_id": f"s{n}", "agent": a_card().model_dump()} for n in range(101)]}, "steps"),
        ({"steps": [{"step_id": "same", "agent": a_card().model_dump()}] * 2}, "steps"),
        ({"steps": [{"step_id": "a/b", "agent": a_card().model_dump()}]}, "step_id"),
        ({"steps": [{"step_id": "a"}]}, "agent"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_request_that_makes_no_sequence_is_refused_by_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        SequentialRequest.model_validate({**a_request("research").model_dump(mode="json"), **change})


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


def results(way: Sequence[StepStatus]) -> list[AgentResult]:
    return [a_result(f"made {n}") if s is StepStatus.SUCCEEDED else a_failure(s) for n, s in enumerate(way)]


@pytest.mark.parametrize("way", [way for steps in (1, 2, 3) for way in possible(steps)], ids="-".join)
@pytest.mark.parametrize("more", [0, 1, 2])
def test_a_run_is_completed_exactly_when_every_agent_that_was_asked_for_answered(
    way: tuple[StepStatus, ...], more: int
) -> None:
    names = [f"step-{number}" for number in range(len(way) + more)]
    steps = a_request(*names).steps
    concluded = conclude(steps, results(way))
    complete = len(way) == len(steps) and set(way) == {StepStatus.SUCCEEDED}
    assert concluded.status is (RunStatus.COMPLETED if complete else RunStatus.FAILED)
    assert [line.step_id for line in concluded.account] == names
    assert [line.outcome for line in concluded.account] == [OUTCOMES[status] for status in way] + [
        Outcome.SKIPPED
    ] * more
    made = [f"made {n}" for n, status in enumerate(way) if status is StepStatus.SUCCEEDED]
    assert concluded.result == (made[-1] if made else None)
    assert (concluded.error is None) == (set(way) == {StepStatus.SUCCEEDED})


def test_the_cause_of_each_line_is_said() -> None:
    concluded = conclude(a_request(*NAMES).steps, [a_result(), a_failure()])
    assert [line.cause for line in concluded.account] == [None, "Broken it is", "writer did not succeed"]


def test_a_result_without_success_and_without_an_error_is_a_failure_all_the_same() -> None:
    concluded = conclude(a_request("research").steps, [AgentResult(status=StepStatus.TIMED_OUT)])
    assert concluded.status is RunStatus.FAILED
    assert concluded.error == ErrorInfo(type="timed_out", message="research timed_out")


def test_what_the_steps_used_adds_up_failures_included() -> None:
    used = Usage(input_tokens=10, output_tokens=5, cost_usd=0.5, model="m")
    failed = a_failure().model_copy(update={"usage": used})
    assert conclude(a_request(*NAMES).steps, [a_result(), failed]).usage == used.plus(used)


def test_without_any_result_nothing_was_done_and_everything_is_skipped() -> None:
    concluded = conclude(a_request("research", "writer").steps, [])
    assert concluded.status is RunStatus.FAILED
    assert [line.outcome for line in concluded.account] == [Outcome.SKIPPED] * 2


def test_every_status_of_a_result_has_its_outcome() -> None:
    assert set(OUTCOMES) == set(ENDED)
