"""What observers are told of a step: one span for each delivery, and measures that add up to the step's record."""

import json
from typing import Any

import pytest

from shared.contracts import AgentTask
from shared.errors import AgentFailed, ModelRefused, ModelUnavailable
from shared.state.decisions import ClaimRequest
from shared.status import StepStatus
from shared.telemetry import names
from shared.telemetry.attributes import (
    AGENT,
    AGENT_NAME,
    ATTEMPT,
    COST_USD,
    ERROR_TYPE,
    FAULT_DOMAIN,
    FROM_RECORD,
    INPUT_TOKENS,
    OPERATION_NAME,
    OUTPUT_TOKENS,
    PATTERN,
    QUEUE_SECONDS,
    STATUS,
    STEP_ID,
    TASK_ID,
)
from tests.support.app_world import USAGE, World
from tests.support.deliveries import Deliveries
from tests.support.documents import NOW, a_run, a_task, after
from tests.support.kept_telemetry import KeptTelemetry

SENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = SENT[3:35]


@pytest.fixture
def kept() -> KeptTelemetry:
    return KeptTelemetry()


@pytest.fixture
async def deliveries(world: World, kept: KeptTelemetry) -> Deliveries:
    """Deliveries of a run that is under way, with telemetry on."""
    await world.store.create_run(a_run(steps=("tester",), traceparent=SENT))
    return Deliveries(world, resources=world.but(telemetry=kept))


def task(**changes: Any) -> AgentTask:
    return a_task("tester", **{"traceparent": SENT, **changes})


def of_agent(kept: KeptTelemetry) -> list[dict[str, Any]]:
    """The attributes of the deliveries' spans, in order."""
    return [dict(span.attributes or {}) for span in kept.spans if span.name == "invoke_agent tester"]


async def test_a_delivery_is_a_span_under_its_sender_with_what_came_of_it(
    deliveries: Deliveries, kept: KeptTelemetry
) -> None:
    deliveries.world.clock.move_to(after(3))
    await deliveries.deliver(task())
    agent, reply = kept.span_named("invoke_agent tester"), kept.span_named("reply tester")
    assert agent.parent is not None
    assert (f"{agent.context.trace_id:032x}", f"{agent.parent.span_id:016x}") == (TRACE, SENT[36:52])
    assert reply.parent is not None
    assert reply.parent.span_id == agent.context.span_id
    assert agent.attributes == {
        TASK_ID: "run-1",
        STEP_ID: "tester",
        AGENT: "tester",
        ATTEMPT: 1,
        OPERATION_NAME: "invoke_agent",
        AGENT_NAME: "tester",
        QUEUE_SECONDS: 3.0,
        FROM_RECORD: False,
        STATUS: "succeeded",
        INPUT_TOKENS: USAGE.input_tokens,
        OUTPUT_TOKENS: USAGE.output_tokens,
        COST_USD: USAGE.cost_usd,
    }


async def test_a_delivery_that_is_answered_from_the_record_says_so_and_measures_nothing(
    deliveries: Deliveries, kept: KeptTelemetry
) -> None:
    await deliveries.deliver(task())
    once = kept.measured()
    await deliveries.deliver(task())
    assert [each[FROM_RECORD] for each in of_agent(kept)] == [False, True]
    assert kept.measured() == once


async def test_further_attempts_stay_in_the_trace_and_are_measured_as_the_record_says(
    deliveries: Deliveries, kept: KeptTelemetry
) -> None:
    deliveries.world.replies[:] = [ModelUnavailable("away"), ModelUnavailable("away"), "An answer."]
    sent: AgentTask | None = task()
    while sent is not None:
        await deliveries.deliver(sent)
        copies = deliveries.copies()
        assert all(copy.traceparent == SENT for copy in copies)
        sent = AgentTask.model_validate_json(copies[0].body) if copies else None
    assert {f"{span.context.trace_id:032x}" for span in kept.spans} == {TRACE}
    assert [each[STATUS] for each in of_agent(kept)] == ["retrying", "retrying", "succeeded"]
    assert [each.get(ERROR_TYPE) for each in of_agent(kept)] == ["ModelUnavailable", "ModelUnavailable", None]
    step, measured = await deliveries.world.step(), kept.measured()
    retried = {AGENT: "tester", ERROR_TYPE: "ModelUnavailable", FAULT_DOMAIN: "model"}
    assert measured[names.RETRIES.name] == [(retried, len(step.attempts))]
    assert step.result is not None
    assert sum(value for _, value in measured[names.COST.name]) == step.result.usage.cost_usd
    assert len(measured[names.STEP_QUEUE_WAIT.name]) == 1


async def test_what_fails_for_good_says_of_what_and_not_with_what_words(
    deliveries: Deliveries, kept: KeptTelemetry
) -> None:
    deliveries.world.replies[:] = [ModelRefused("Kanarienvogel")]
    with pytest.raises(AgentFailed) as raised:
        await deliveries.deliver(task())
    [told] = of_agent(kept)
    assert (told[STATUS], told[ERROR_TYPE], told[FAULT_DOMAIN]) == ("failed", "ModelRefused", "model")
    assert "Kanarienvogel" not in str(raised.value) + "".join(span.to_json() for span in kept.spans)


async def test_a_step_that_is_taken_over_counts_the_call_that_may_be_paid_for_twice(
    deliveries: Deliveries, kept: KeptTelemetry
) -> None:
    world = deliveries.world
    await world.store.claim_step(ClaimRequest("run-1", "tester", "tester", 1, "lost", NOW, NOW, after(1)))
    world.clock.move_to(after(2))
    await deliveries.deliver(task())
    step = await world.step()
    assert (step.status, step.calls_repeated) == (StepStatus.SUCCEEDED, 1)
    measured = kept.measured()
    assert measured[names.CALLS_REPEATED.name] == [({AGENT: "tester"}, 1)]
    [(why, retries)] = measured[names.RETRIES.name]
    assert (why[ERROR_TYPE], why[FAULT_DOMAIN], retries) == ("RunnerLost", "process", 1)


async def test_a_task_that_came_without_a_context_gets_one_for_its_copies_and_its_run(
    world: World, kept: KeptTelemetry
) -> None:
    deliveries = Deliveries(world, resources=world.but(telemetry=kept))
    world.replies[:] = [ModelUnavailable("away"), "An answer."]
    await deliveries.deliver(task(task_id="alone", reply_to=None, traceparent=None))
    [copy] = deliveries.copies()
    await deliveries.deliver(copy.body)
    first = next(span for span in kept.spans if span.name == "invoke_agent tester")
    assert (await world.record("alone")).run.traceparent == copy.traceparent == json.loads(copy.body)["traceparent"]
    assert {span.context.trace_id for span in kept.spans} == {first.context.trace_id}
    assert (kept.span_named("invoke_workflow tester").attributes or {})[PATTERN] == "agent"


async def test_with_telemetry_off_a_context_is_passed_on_and_none_is_made(world: World) -> None:
    await world.store.create_run(a_run(steps=("tester",)))
    deliveries = Deliveries(world)
    world.replies[:] = [ModelUnavailable("away")]
    await deliveries.deliver(task())
    await deliveries.deliver(task(task_id="alone", reply_to=None, traceparent=None))
    assert [copy.traceparent for copy in deliveries.copies()] == [SENT, None]
