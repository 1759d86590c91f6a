"""The runner: claim, run within the deadline, record; every way an attempt can end, and none paid for twice."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from agents.context import AgentContext
from agents.outcomes import Answered, Held, RunOutcome, TryAgain, Unwanted
from agents.runner import describe
from agents.spec import AgentSpec
from shared.contracts import AgentInput, AgentResult, AgentTask, Usage
from shared.errors import (
    ClaimLost,
    InvalidMessage,
    ModelAnswerInvalid,
    ModelRateLimited,
    ModelRefused,
    ModelUnavailable,
    NotFound,
    StoreUnavailable,
)
from shared.resources import Resources
from shared.retry import RetryPolicy
from shared.state.decisions import ClaimRequest
from shared.status import RunStatus, StepStatus
from tests.support.app_world import USAGE, FlakyStore, World, a_runner, an_agent
from tests.support.documents import NOW, a_run, a_run_result, a_task, after


@pytest.fixture(autouse=True)
async def _the_run(world: World) -> None:
    await world.store.create_run(a_run(steps=("tester",)))


def task(**changes: Any) -> AgentTask:
    return a_task("tester", **changes)


async def run(
    world: World,
    spec: AgentSpec | None = None,
    given: AgentTask | None = None,
    *,
    owner: str = "delivery-1",
    resources: Resources | None = None,
) -> RunOutcome:
    runner = a_runner(spec or an_agent(), resources or world.resources)
    return await runner.run(given or task(), owner=owner, enqueued_at=after(-3))


async def answered(
    world: World, spec: AgentSpec | None = None, given: AgentTask | None = None, **more: Any
) -> AgentResult:
    outcome = await run(world, spec, given, **more)
    assert isinstance(outcome, Answered), outcome
    return outcome.result


def failing(error: Exception) -> AgentSpec:
    async def handler(context: AgentContext, given: AgentInput) -> None:
        await context.ask("system", "user")
        raise error

    return an_agent(handler)


# -- success ----------------------------------------------------------------------------------------------------


async def test_an_agent_that_succeeds_is_answered_with_its_output_and_what_it_used(world: World) -> None:
    result = await answered(world)
    assert (result.status, result.output, result.usage) == (StepStatus.SUCCEEDED, "An answer.", USAGE)
    assert (result.attempt, result.started_at, result.completed_at, result.error) == (1, NOW, NOW, None)


async def test_the_result_is_recorded_before_it_is_handed_out(world: World) -> None:
    result = await answered(world)
    step = await world.step()
    assert (step.result, step.status, step.owner) == (result, StepStatus.SUCCEEDED, "delivery-1")
    assert step.enqueued_at == after(-3)


async def test_a_step_that_has_its_result_is_answered_from_the_record_and_no_model_is_asked(world: World) -> None:
    first = await answered(world)
    world.replies[:] = ["Another answer."]
    outcome = await run(world, owner="delivery-2")
    assert outcome == Answered(first, from_record=True)
    assert len(world.model.requests) == 1


async def test_what_several_calls_of_one_attempt_use_adds_up(world: World) -> None:
    async def handler(context: AgentContext, given: AgentInput) -> str:
        return await context.ask("s", "one") + await context.ask("s", "two")

    assert (await answered(world, an_agent(handler))).usage == USAGE.plus(USAGE)


@pytest.mark.parametrize("output", [None, True, 3, 1.5, "", "text", [], {"a": [1, None]}])
async def test_output_may_be_any_json(world: World, output: Any) -> None:
    async def handler(context: AgentContext, given: AgentInput) -> Any:
        return output

    assert (await answered(world, an_agent(handler))).output == output


async def test_an_agent_gets_the_request_and_what_earlier_steps_made(world: World) -> None:
    seen: list[AgentInput] = []

    async def handler(context: AgentContext, given: AgentInput) -> None:
        seen.append(given)

    given = AgentInput.model_validate({"request": 1, "earlier": [{"step_id": "a", "agent": "a", "output": "made"}]})
    await answered(world, an_agent(handler), task(input=given))
    assert seen == [given]


# -- what bounds an attempt -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "budget", "limit"), [(8192, None, 8192), (8192, 100, 100), (50, 100, 50), (50, 50, 50)]
)
async def test_the_smaller_of_setting_and_budget_bounds_the_answer(
    world: World, setting: int, budget: int | None, limit: int
) -> None:
    given = task(budget={"max_output_tokens": budget})
    await answered(world, given=given, resources=world.with_settings(model_max_output_tokens=setting))
    assert world.model.requests[0].max_output_tokens == limit


@pytest.mark.parametrize(("setting", "agent", "limit"), [(90, 120, 90), (90, 10, 10)])
async def test_the_smaller_of_setting_and_agents_time_bounds_a_model_call(
    world: World, setting: float, agent: float, limit: float
) -> None:
    spec = an_agent(timeout=timedelta(seconds=agent))
    await answered(world, spec, resources=world.with_settings(model_timeout_seconds=setting))
    assert world.model.requests[0].timeout == timedelta(seconds=limit)


async def test_an_agent_that_takes_too_long_is_stopped_and_tried_again(world: World) -> None:
    stopped = asyncio.Event()

    async def handler(context: AgentContext, given: AgentInput) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            stopped.set()

    outcome = await run(world, an_agent(handler, timeout=timedelta(seconds=0.05)))
    assert isinstance(outcome, TryAgain)
    assert (outcome.error.type, outcome.error.retryable) == ("AgentTimedOut", True)
    assert "0.05 s" in outcome.error.message
    assert stopped.is_set()


async def test_an_agent_that_took_too_long_for_the_last_time_has_timed_out(world: World) -> None:
    async def handler(context: AgentContext, given: AgentInput) -> None:
        await asyncio.sleep(3600)

    spec = an_agent(handler, timeout=timedelta(seconds=0.02), retry=RetryPolicy(delays=()))
    result = await answered(world, spec)
    assert (result.status, result.error and result.error.type) == (StepStatus.TIMED_OUT, "AgentTimedOut")


@pytest.mark.parametrize("late", [0, 1, 86_400])
async def test_a_task_whose_deadline_has_passed_is_timed_out_and_no_model_is_asked(world: World, late: float) -> None:
    result = await answered(world, given=task(deadline=after(-late)))
    assert (result.status, result.error and result.error.type) == (StepStatus.TIMED_OUT, "DeadlinePassed")
    assert world.model.requests == []
    assert result.usage == Usage()


async def test_the_deadline_cuts_an_attempt_short_and_leaves_no_time_for_another(world: World) -> None:
    async def handler(context: AgentContext, given: AgentInput) -> None:
        await asyncio.sleep(3600)

    result = await answered(world, an_agent(handler), task(deadline=after(0.05)))
    assert result.status is StepStatus.TIMED_OUT


async def test_no_attempt_is_scheduled_past_the_deadline(world: World) -> None:
    world.replies[:] = [ModelUnavailable("no answer")]
    result = await answered(world, given=task(deadline=after(5)))
    assert (result.status, result.error and result.error.type) == (StepStatus.FAILED, "ModelUnavailable")
    assert isinstance(await run(world, given=task(step_id="other", deadline=after(5.1))), TryAgain)


# -- failure ----------------------------------------------------------------------------------------------------


async def test_a_retryable_failure_gives_the_claim_back_and_says_when_to_try_again(world: World) -> None:
    world.replies[:] = [ModelUnavailable("no answer")]
    outcome = await run(world)
    assert isinstance(outcome, TryAgain)
    assert (outcome.delay, outcome.next_attempt) == (timedelta(seconds=5), 2)
    step = await world.step()
    assert (step.status, step.result) == (StepStatus.WAITING, None)
    assert [attempt.error.message for attempt in step.attempts] == ["no answer"]


async def test_the_wait_that_a_model_asks_for_is_kept(world: World) -> None:
    world.replies[:] = [ModelRateLimited("slow down", retry_after=timedelta(seconds=40))]
    outcome = await run(world)
    assert isinstance(outcome, TryAgain)
    assert outcome.delay == timedelta(seconds=40)


async def test_four_attempts_are_made_and_the_fourth_failure_is_the_result(world: World) -> None:
    world.replies[:] = [ModelUnavailable("no answer")]
    waits = []
    given = task()
    for number in range(1, 4):
        outcome = await run(world, given=given, owner=f"delivery-{number}")
        assert isinstance(outcome, TryAgain)
        waits.append(outcome.delay.total_seconds())
        given = task(attempt=outcome.next_attempt)
    result = await answered(world, given=given, owner="delivery-4")
    assert waits == [5, 10, 15]
    assert (result.status, result.attempt) == (StepStatus.FAILED, 4)
    assert len(world.model.requests) == 4


async def test_what_failed_attempts_used_is_in_the_result(world: World) -> None:
    world.replies[:] = ["paid", ModelUnavailable("no answer"), "An answer."]

    async def handler(context: AgentContext, given: AgentInput) -> str:
        first = await context.ask("s", "one")
        return first + (await context.ask("s", "two") if first == "paid" else "")

    spec = an_agent(handler)
    assert isinstance(await run(world, spec), TryAgain)
    result = await answered(world, spec, task(attempt=2), owner="delivery-2")
    assert result.usage == USAGE.plus(USAGE)
    assert (await world.step()).attempts[0].usage == USAGE


async def test_what_an_unusable_answer_used_is_paid_for(world: World) -> None:
    world.replies[:] = [ModelAnswerInvalid("cut", usage=USAGE)]
    result = await answered(world)
    assert (result.status, result.usage) == (StepStatus.FAILED, USAGE)


@pytest.mark.parametrize(
    "error",
    [ModelRefused("no"), ValueError("bug"), ZeroDivisionError(), RecursionError(), ExceptionGroup("g", [OSError()])],
)
async def test_any_other_error_is_the_end_and_keeps_what_was_used(world: World, error: Exception) -> None:
    result = await answered(world, failing(error))
    assert (result.status, result.usage) == (StepStatus.FAILED, USAGE)
    assert result.error is not None
    assert (result.error.type, result.error.retryable) == (type(error).__name__, False)
    assert (await world.step()).result == result


@pytest.mark.parametrize(
    "output",
    [
        object(),
        {1: 2},
        (1, 2),
        b"bytes",
        float("nan"),
        "half a pair \ud800",
        {"deep": ["\udfff"]},
        {"$artifact": {"address": "run-2/sha256:" + "0" * 64}},
    ],
    ids=lambda output: repr(output)[:20],
)
async def test_output_that_could_not_be_stored_or_sent_is_a_failure_that_is_recorded(world: World, output: Any) -> None:
    async def handler(context: AgentContext, given: AgentInput) -> Any:
        await context.ask("s", "u")
        return output

    result = await answered(world, an_agent(handler))
    assert (result.status, result.usage) == (StepStatus.FAILED, USAGE)
    assert result.error is not None
    assert (result.error.type, result.error.retryable) == ("AgentOutputInvalid", False)
    assert "tester" in result.error.message
    assert len(result.error.message) < 500


async def test_an_error_says_its_message_in_full_up_to_a_limit_and_in_text_that_can_be_stored(world: World) -> None:
    result = await answered(world, failing(ValueError("half a pair \ud800 " + "x" * 5000)))
    assert result.error is not None
    assert result.error.message.startswith("half a pair ? xxx")
    assert len(result.error.message) == 2000


async def test_a_cancelled_attempt_is_no_failure_and_gives_its_claim_back(world: World) -> None:
    begun = asyncio.Event()

    async def handler(context: AgentContext, given: AgentInput) -> None:
        begun.set()
        await asyncio.sleep(3600)

    running = asyncio.create_task(run(world, an_agent(handler)))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    step = await world.step()
    assert (step.status, step.result) == (StepStatus.WAITING, None)
    assert [(each.error.type, each.answer_lost) for each in step.attempts] == [("Interrupted", False)]


# -- claims -----------------------------------------------------------------------------------------------------


async def claim_for_another(world: World) -> None:
    await world.store.claim_step(
        ClaimRequest(
            task_id="run-1",
            step_id="tester",
            agent="tester",
            attempt=1,
            owner="another",
            enqueued_at=NOW,
            now=NOW,
            lease_until=after(60),
        )
    )


async def test_a_step_that_another_holds_is_left_to_it_until_its_lease_ends(world: World) -> None:
    await claim_for_another(world)
    assert await run(world) == Held(after(60))
    assert world.model.requests == []


async def test_a_step_whose_holder_is_lost_is_run_as_the_next_attempt_at_an_unknown_cost(world: World) -> None:
    await claim_for_another(world)
    world.clock.move_to(after(61))
    result = await answered(world)
    assert (result.status, result.attempt) == (StepStatus.SUCCEEDED, 2)
    assert (result.usage.cost_usd, result.usage.input_tokens) == (None, USAGE.input_tokens)


async def test_an_agent_that_takes_its_process_down_each_time_is_given_up_and_not_begun_a_fifth_time(
    world: World,
) -> None:
    """The message that finds a claim lost always says attempt 1: only the log knows how often it was begun."""
    begun = 0

    async def handler(context: AgentContext, given: AgentInput) -> None:
        nonlocal begun
        begun += 1
        await asyncio.sleep(3600)

    for number in range(1, 5):
        dying = world.but(store=FlakyStore(world.store, {"release_step": [StoreUnavailable("dead")]}))
        attempt = asyncio.create_task(run(world, an_agent(handler), owner=f"process-{number}", resources=dying))
        while begun < number:
            await asyncio.sleep(0)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        world.clock.advance(timedelta(hours=1))
    result = await answered(world, an_agent(handler), owner="process-5")
    assert begun == 4
    assert (result.status, result.error and result.error.type) == (StepStatus.FAILED, "RunnerLost")
    assert result.error is not None
    assert not result.error.retryable
    assert result.usage.cost_usd is None


@pytest.mark.parametrize("status", [RunStatus.CANCELLED, RunStatus.FAILED, RunStatus.COMPLETED])
async def test_a_step_of_a_run_that_is_over_is_not_run(world: World, status: RunStatus) -> None:
    await world.store.advance_run("run-1", status, now=after(1), result=a_run_result(status))
    outcome = await run(world)
    assert isinstance(outcome, Unwanted)
    assert world.model.requests == []


async def test_a_step_of_an_unknown_run_is_refused_so_that_its_message_is_dead_lettered(world: World) -> None:
    with pytest.raises(InvalidMessage, match="no run nothing is known"):
        await run(world, given=task(task_id="nothing"))
    assert world.model.requests == []


async def test_of_many_deliveries_at_once_one_runs_the_agent(world: World) -> None:
    async def handler(context: AgentContext, given: AgentInput) -> str:
        await asyncio.sleep(0.05)
        return await context.ask("s", "u")

    runner = a_runner(an_agent(handler), world.resources)
    outcomes = await asyncio.gather(
        *(runner.run(task(), owner=f"delivery-{number}", enqueued_at=NOW) for number in range(20))
    )
    assert sum(isinstance(outcome, Answered) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Held) for outcome in outcomes) == 19
    assert len(world.model.requests) == 1


async def test_a_runner_that_was_taken_over_meanwhile_records_nothing_and_says_so(world: World) -> None:
    async def handler(context: AgentContext, given: AgentInput) -> str:
        world.clock.advance(timedelta(hours=1))
        await answered(world, an_agent(), owner="second")
        return "stale"

    with pytest.raises(ClaimLost):
        await run(world, an_agent(handler), owner="first")
    step = await world.step()
    assert step.result is not None
    assert step.result.output == "An answer."


# -- the rest ---------------------------------------------------------------------------------------------------


async def test_an_input_by_reference_is_read_before_the_agent_begins(world: World) -> None:
    given = AgentInput(request="large")
    reference = await world.resources.artifacts.put(given.model_dump_json().encode(), "application/json", run="run-1")
    await answered(world, given=task(input=reference))
    assert world.model.requests[0].user == "large"


@pytest.mark.parametrize(
    ("content", "kind"), [(None, "NotFound"), (b"no json", "InvalidMessage"), (b'{"more": 1}', "InvalidMessage")]
)
async def test_an_input_by_reference_that_cannot_be_read_is_a_failure_that_is_recorded(
    world: World, content: bytes | None, kind: str
) -> None:
    address = "run-1/sha256:" + "0" * 64
    if content is not None:
        address = (await world.resources.artifacts.put(content, "application/json", run="run-1")).address
    result = await answered(world, given=task(input={"address": address, "size": 1, "content_type": "x"}))
    assert (result.status, result.error and result.error.type) == (StepStatus.FAILED, kind)
    assert world.model.requests == []


async def test_a_reference_that_leaves_the_store_is_refused(world: World) -> None:
    given = task(input={"address": "sha256:../../../etc/passwd", "size": 1, "content_type": "x"})
    result = await answered(world, given=given)
    assert result.error is not None
    assert (result.status, result.error.type) == (StepStatus.FAILED, "InvalidRequest")


async def test_an_agent_that_is_not_in_the_catalog_is_not_found(world: World) -> None:
    with pytest.raises(NotFound, match="no agent is called 'writer'; there are tester"):
        await run(world, given=a_task("writer"))


@pytest.mark.parametrize("method", ["claim_step", "record_step"])
async def test_a_store_that_does_not_answer_is_the_callers_to_retry(world: World, method: str) -> None:
    flaky = world.but(store=FlakyStore(world.store, {method: [StoreUnavailable("down")] * 9}))
    with pytest.raises(StoreUnavailable, match="down"):
        await run(world, resources=flaky)


async def test_a_result_that_was_paid_for_is_recorded_once_the_store_answers_again(world: World) -> None:
    flaky = world.but(store=FlakyStore(world.store, {"record_step": [StoreUnavailable("down")] * 2}))
    assert (await answered(world, resources=flaky)).output == "An answer."
    assert (await world.step()).status is StepStatus.SUCCEEDED
    assert len(world.model.requests) == 1


async def test_a_step_whose_release_failed_is_run_again_once_its_lease_ends(world: World) -> None:
    world.replies[:] = [ModelUnavailable("no answer"), "An answer."]
    flaky = world.but(store=FlakyStore(world.store, {"release_step": [StoreUnavailable("down")] * 3}))
    with pytest.raises(StoreUnavailable):
        await run(world, resources=flaky)
    assert isinstance(await run(world, owner="second"), Held)
    world.clock.advance(timedelta(minutes=5))
    assert (await answered(world, owner="third")).output == "An answer."


@pytest.mark.parametrize("error", [ModelUnavailable("m"), ValueError("m"), ModelRefused("m")])
def test_an_error_is_described_by_its_type_message_and_whether_another_attempt_may_help(error: Exception) -> None:
    info = describe(error)
    assert (info.type, info.message) == (type(error).__name__, "m")
    assert info.retryable is isinstance(error, ModelUnavailable)
