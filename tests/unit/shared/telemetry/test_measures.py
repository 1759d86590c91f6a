"""What is measured of a record is what the record says."""

import pytest

from shared.circuit import Circuit, CircuitState
from shared.contracts import ErrorInfo, RunResult, Usage
from shared.state.documents import Attempt, StepDocument
from shared.status import RunStatus, StepStatus
from shared.telemetry import measures, names
from shared.telemetry.attributes import (
    AGENT,
    CIRCUIT,
    ERROR_TYPE,
    FAULT_DOMAIN,
    PATTERN,
    RESPONSE_MODEL,
    STATUS,
    WORKFLOW,
)
from shared.telemetry.telemetry import Measure
from tests.support.documents import a_result, a_run, after

LIMITED = ErrorInfo(type="ModelRateLimited", message="later", retryable=True)


def a_step(*attempts: Attempt) -> StepDocument:
    """A claimed step, queued a second before `NOW` and begun 2 s after it, with these attempts behind it."""
    return StepDocument(
        task_id="run-1",
        step_id="research",
        agent="research",
        status=StepStatus.RUNNING,
        attempt=len(attempts) + 1,
        owner="first",
        lease_until=after(60),
        enqueued_at=after(-1),
        started_at=after(2),
        attempts=attempts,
    )


def an_attempt(*, answer_lost: bool = False) -> Attempt:
    """An attempt that was rate limited."""
    return Attempt(attempt=1, started_at=after(0), ended_at=after(1), error=LIMITED, answer_lost=answer_lost)


def test_a_run_is_measured_from_its_creation_to_its_end() -> None:
    ended = a_run(
        status=RunStatus.FAILED, completed_at=after(7.5), result=RunResult(status=RunStatus.FAILED, error=LIMITED)
    )
    assert list(measures.run_measures(ended)) == [
        Measure(
            names.RUN_DURATION,
            7.5,
            {
                PATTERN: "sequential",
                WORKFLOW: "content",
                STATUS: "failed",
                ERROR_TYPE: "ModelRateLimited",
                FAULT_DOMAIN: "model",
            },
        )
    ]


def test_a_run_that_ended_before_it_began_by_another_clock_took_no_time() -> None:
    [measure] = measures.run_measures(a_run(status=RunStatus.FAILED, completed_at=after(-1)))
    assert measure.value == 0.0


def test_a_run_that_is_not_over_is_not_measured() -> None:
    assert list(measures.run_measures(a_run())) == []


def test_a_workflow_that_is_its_pattern_has_no_name_of_its_own() -> None:
    assert measures.named(a_run(workflow="sequential")) is None


def test_the_first_attempt_is_measured_by_its_wait() -> None:
    assert list(measures.begun_measures(a_step())) == [Measure(names.STEP_QUEUE_WAIT, 3.0, {AGENT: "research"})]


def test_a_further_attempt_is_a_retry_for_the_reason_of_the_one_before() -> None:
    [retry] = measures.begun_measures(a_step(an_attempt()))
    assert (retry.metric, retry.value) == (names.RETRIES, 1)
    assert retry.attributes == {
        AGENT: "research",
        ERROR_TYPE: "ModelRateLimited",
        FAULT_DOMAIN: "model",
    }


def test_a_call_whose_answer_was_lost_is_repeated_by_the_next_attempt() -> None:
    found = [each.metric for each in measures.begun_measures(a_step(an_attempt(answer_lost=True)))]
    assert found == [names.RETRIES, names.CALLS_REPEATED]


def test_an_unknown_cost_is_not_counted_as_none() -> None:
    assert list(measures.attempt_measures(a_step(), Usage(input_tokens=5, cost_usd=None))) == []
    [cost] = measures.attempt_measures(a_step(), Usage(input_tokens=5, cost_usd=0.25, model="m"))
    assert (cost.value, cost.attributes) == (0.25, {AGENT: "research", RESPONSE_MODEL: "m"})


def test_a_step_is_measured_by_the_attempt_that_ended_it() -> None:
    result = a_result("x").model_copy(update={"started_at": after(2), "completed_at": after(6)})
    [taken] = measures.step_measures(a_step(), result)
    assert (taken.metric, taken.value) == (names.STEP_DURATION, 4.0)
    assert taken.attributes == {AGENT: "research", STATUS: "succeeded"}


@pytest.mark.parametrize(("state", "level"), [("closed", 0), ("half_open", 1), ("open", 2)])
def test_a_circuit_is_the_higher_the_worse_it_stands(state: str, level: int) -> None:
    [measure] = measures.circuit_measures([Circuit(name="agent.web", state=CircuitState(state))])
    assert (measure.value, measure.attributes) == (level, {CIRCUIT: "agent.web"})


def test_an_error_of_an_unreadable_type_is_told_as_another() -> None:
    told = measures.failure_attributes(ErrorInfo(type="what it\nsaid", message=""))
    assert told == {ERROR_TYPE: "_OTHER", FAULT_DOMAIN: "agent"}
