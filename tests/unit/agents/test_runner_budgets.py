"""Steps whose run has a budget: what was set aside covers one attempt that costs something, and no more is made."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from agents.context import AgentContext
from agents.outcomes import Answered, RunOutcome, TryAgain
from agents.spec import AgentSpec
from shared.contracts import AgentInput, AgentResult, AgentTask
from shared.errors import ModelUnavailable
from shared.llm.model import ModelReply, ModelRequest
from shared.llm.scripted import ScriptedModel
from shared.state.decisions import ClaimRequest
from shared.status import StepStatus
from tests.support.app_world import USAGE, World, a_runner, an_agent
from tests.support.documents import NOW, a_run, a_task, after


@pytest.fixture(autouse=True)
async def _the_run(world: World) -> None:
    await world.store.create_run(a_run(steps=("tester",)))


def task(**changes: Any) -> AgentTask:
    return a_task("tester", **changes)


async def run(
    world: World, spec: AgentSpec | None = None, given: AgentTask | None = None, *, owner: str = "first"
) -> RunOutcome:
    return await a_runner(spec or an_agent(), world.resources).run(given or task(), owner=owner, enqueued_at=after(-3))


async def answered(
    world: World, spec: AgentSpec | None = None, given: AgentTask | None = None, *, owner: str = "first"
) -> AgentResult:
    outcome = await run(world, spec, given, owner=owner)
    assert isinstance(outcome, Answered), outcome
    return outcome.result


def paying_and_failing() -> AgentSpec:
    async def handler(context: AgentContext, given: AgentInput) -> Any:
        await context.ask("system", "user")
        raise ModelUnavailable("gone")

    return an_agent(handler)


async def test_where_a_budget_is_kept_an_attempt_that_cost_something_is_not_made_again(world: World) -> None:
    given = task(budget={"paid_attempts": 1})
    assert isinstance(await run(world, paying_and_failing(), given), TryAgain)
    result = await answered(world, paying_and_failing(), given.model_copy(update={"attempt": 2}), owner="second")
    assert result.error is not None
    assert (result.status, result.error.type) == (StepStatus.FAILED, "BudgetExhausted")
    assert len(world.model.requests) == 1
    assert result.usage == USAGE


async def test_attempts_that_cost_nothing_are_made_again_within_a_budget(world: World) -> None:
    given = task(budget={"paid_attempts": 1})
    world.replies = [ModelUnavailable("gone"), "An answer."]
    assert isinstance(await run(world, given=given), TryAgain)
    result = await answered(world, given=given.model_copy(update={"attempt": 2}), owner="second")
    assert result.status is StepStatus.SUCCEEDED


async def test_an_attempt_whose_cost_is_unknown_counts_as_one_that_cost_something(world: World) -> None:
    claim = ClaimRequest("run-1", "tester", "tester", 1, "lost", NOW, NOW, after(-1))
    await world.store.claim_step(claim)
    result = await answered(world, given=task(budget={"paid_attempts": 1}))
    assert result.error is not None
    assert result.error.type == "BudgetExhausted"


class SilentModel(ScriptedModel):
    """A model that is asked and never answers."""

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.requests.append(request)
        await asyncio.Event().wait()
        raise AssertionError("it never answers")


async def test_what_a_call_costs_that_is_broken_off_when_its_agents_time_is_over_is_unknown_and_not_nothing(
    world: World,
) -> None:
    model = SilentModel(lambda _: ModelReply("never said", USAGE))
    runner = a_runner(an_agent(timeout=timedelta(seconds=0.01)), world.but(model=model))
    given = task(budget={"paid_attempts": 1})
    assert isinstance(await runner.run(given, owner="first", enqueued_at=NOW), TryAgain)
    [attempt] = (await world.step()).attempts
    assert (attempt.error.type, attempt.usage.cost_usd) == ("AgentTimedOut", None)
    outcome = await runner.run(given.model_copy(update={"attempt": 2}), owner="second", enqueued_at=NOW)
    assert isinstance(outcome, Answered)
    assert outcome.result.error is not None
    assert (outcome.result.error.type, len(model.requests)) == ("BudgetExhausted", 1)
