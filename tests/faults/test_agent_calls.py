"""Faults in one agent call: whatever stops, nothing is run twice at once, and what may be paid twice is counted."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agents.catalog import Catalog
from agents.context import AgentContext
from agents.holding import HEARTBEAT, LEASE
from agents.outcomes import Answered, Held, RunOutcome, TryAgain, Unwanted
from agents.runner import AgentRunner
from agents.spec import AgentSpec
from orchestrations.task_view import TaskView, task_view
from shared.contracts import AgentInput, AgentTask
from shared.errors import ClaimLost, ModelUnavailable, StoreUnavailable
from shared.retry import RetryPolicy
from shared.state.sqlite import SqliteState
from shared.status import RunStatus, StepStatus
from tests.support.app_world import USAGE, FlakyStore, World, a_runner, an_agent, make_world
from tests.support.documents import NOW, a_run, a_run_result, a_task
from tests.support.eventually import eventually


class LongCall:
    """An agent that asks its model and then thinks until it is told to answer."""

    def __init__(self, world: World, *, asks: bool = True, **limits: Any) -> None:
        self.begun = 0
        self.stopped = 0
        self.answer = asyncio.Event()
        self.spec = an_agent(self._work, timeout=timedelta(minutes=25), **limits)
        self._asks = asks
        self._world = world

    async def _work(self, context: AgentContext, given: AgentInput) -> str:
        self.begun += 1
        try:
            said = await context.ask("s", str(given.request)) if self._asks else "unasked"
            await self.answer.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        return said


class Process:
    """One process with one delivery in it. A killed one says no more: its store takes nothing."""

    def __init__(self, world: World, spec: AgentSpec, owner: str, task: AgentTask | None = None) -> None:
        self._failures: dict[str, list[Any]] = {}
        self.store = FlakyStore(world.store, self._failures)
        runner = a_runner(spec, world.but(store=self.store))
        self.delivery: asyncio.Task[RunOutcome] = asyncio.create_task(
            runner.run(task or a_task("tester"), owner=owner, enqueued_at=NOW)
        )

    async def kill(self) -> None:
        """Stop without a word."""
        for name in ("release_step", "record_step", "renew_step"):
            self.store.fail(name, [StoreUnavailable("killed")] * 9)
        await self.drain()

    async def drain(self) -> None:
        """Stop as a host does whose time to drain is over."""
        self.delivery.cancel()
        await asyncio.gather(self.delivery, return_exceptions=True)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with make_world(tmp_path) as made:
        await made.store.create_run(a_run(steps=("tester",)))
        yield made


async def outcome_of(world: World, spec: AgentSpec, owner: str, task: AgentTask | None = None) -> RunOutcome:
    return await a_runner(spec, world.resources).run(task or a_task("tester"), owner=owner, enqueued_at=NOW)


async def view(world: World) -> TaskView:
    return task_view(await world.record())


async def begun(call: LongCall, times: int = 1) -> None:
    await eventually(lambda: call.begun == times)


async def beats(world: World, count: int) -> None:
    """Let so many heartbeats pass, and see that each was written."""
    for _ in range(count):
        before = (await world.step()).lease_until
        world.clock.advance(HEARTBEAT)
        await eventually(lambda before=before: _renewed(world, before))  # type: ignore[misc]


async def _renewed(world: World, before: Any) -> bool:
    return bool((await world.step()).lease_until > before)


# -- long calls -------------------------------------------------------------------------------------------------


async def test_a_call_longer_than_its_lock_is_not_run_beside_the_first_however_often_it_is_delivered_again(
    world: World,
) -> None:
    call = LongCall(world)
    first = Process(world, call.spec, "first")
    await begun(call)
    for delivery in range(5):
        await beats(world, 3)
        assert isinstance(await outcome_of(world, call.spec, f"again-{delivery}"), Held)
    call.answer.set()
    assert isinstance(await first.delivery, Answered)
    assert (call.begun, len(world.model.requests)) == (1, 1)
    assert (await view(world)).calls_repeated == 0


async def test_a_step_that_takes_less_than_a_heartbeat_writes_twice_and_a_longer_one_once_more_each_time(
    world: World,
) -> None:
    assert isinstance(world.store, SqliteState)
    call = LongCall(world)
    writes = world.store.charges.operations
    before = writes["write"]
    call.answer.set()
    await outcome_of(world, call.spec, "short")
    assert writes["write"] == before + 2
    call.answer.clear()
    long = Process(world, call.spec, "long", a_task("tester", step_id="other"))
    await begun(call, 2)
    for beat in (1, 2):
        world.clock.advance(HEARTBEAT)
        await eventually(lambda beat=beat: writes["write"] == before + 3 + beat)  # type: ignore[misc]
    call.answer.set()
    await long.delivery
    assert writes["write"] == before + 6


async def test_a_store_that_is_away_while_an_agent_works_stops_nothing(world: World) -> None:
    call = LongCall(world)
    first = Process(world, call.spec, "first")
    await begun(call)
    first.store.fail("renew_step", [StoreUnavailable("down")] * 2)
    world.clock.advance(HEARTBEAT)
    await eventually(lambda: first.store.failed == 1)
    call.answer.set()
    outcome = await first.delivery
    assert isinstance(outcome, Answered)
    assert outcome.result.status is StepStatus.SUCCEEDED


# -- the window -------------------------------------------------------------------------------------------------


async def test_a_process_killed_between_answer_and_record_holds_its_step_for_a_lease_at_most_and_is_counted(
    world: World,
) -> None:
    call = LongCall(world)
    first = Process(world, call.spec, "first")
    await begun(call)
    await eventually(lambda: len(world.model.requests) == 1)
    await first.kill()
    world.clock.advance(LEASE - timedelta(seconds=1))
    assert isinstance(await outcome_of(world, call.spec, "second"), Held)
    assert (await view(world)).calls_repeated == 0, "nothing is repeated yet"
    world.clock.advance(timedelta(seconds=1))
    call.answer.set()
    assert isinstance(await outcome_of(world, call.spec, "third"), Answered)
    seen = await view(world)
    assert (seen.calls_repeated, seen.steps[0].calls_repeated) == (1, 1)
    assert seen.usage.cost_usd is None, "what the lost call cost is unknown, and unknown is not free"


async def test_a_killed_agent_that_asks_no_model_is_run_again_and_no_call_is_counted(world: World) -> None:
    call = LongCall(world, asks=False, uses_model=False)
    first = Process(world, call.spec, "first")
    await begun(call)
    await first.kill()
    world.clock.advance(LEASE)
    call.answer.set()
    assert isinstance(await outcome_of(world, call.spec, "second"), Answered)
    assert (await view(world)).calls_repeated == 0


async def test_a_call_that_failed_and_is_tried_again_is_not_counted_as_repeated(world: World) -> None:
    world.replies[:] = [ModelUnavailable("no answer"), "An answer."]
    assert isinstance(await outcome_of(world, an_agent(), "first"), TryAgain)
    assert isinstance(await outcome_of(world, an_agent(), "second"), Answered)
    assert (await view(world)).calls_repeated == 0


async def test_a_lost_call_that_comes_too_late_to_be_made_again_is_not_counted_as_repeated(world: World) -> None:
    call, task = LongCall(world), a_task("tester", deadline=NOW + LEASE)
    first = Process(world, call.spec, "first", task)
    await begun(call)
    await first.kill()
    world.clock.advance(LEASE)
    outcome = await outcome_of(world, call.spec, "second", task)
    assert isinstance(outcome, Answered)
    assert (outcome.result.status, call.begun) == (StepStatus.TIMED_OUT, 1)
    seen = await view(world)
    assert (seen.calls_repeated, seen.usage.cost_usd) == (0, None)


async def test_a_step_given_up_after_its_process_died_each_time_counts_the_calls_that_were_made_again(
    world: World,
) -> None:
    call = LongCall(world, retry=RetryPolicy(delays=(timedelta(seconds=5),)))
    for number in (1, 2):
        process = Process(world, call.spec, f"process-{number}")
        await begun(call, number)
        await process.kill()
        world.clock.advance(LEASE)
    outcome = await outcome_of(world, call.spec, "process-3")
    assert isinstance(outcome, Answered)
    assert outcome.result.status is StepStatus.FAILED
    assert call.begun == 2
    assert (await view(world)).calls_repeated == 1


# -- a process that is told to stop -----------------------------------------------------------------------------


async def test_a_drained_process_gives_its_step_back_at_once_and_says_whether_a_call_was_under_way(
    world: World,
) -> None:
    call = LongCall(world)
    first = Process(world, call.spec, "first")
    await begun(call)
    await eventually(lambda: len(world.model.requests) == 1)
    await first.drain()
    assert call.stopped == 1
    assert (await view(world)).calls_repeated == 0
    call.answer.set()
    assert isinstance(await outcome_of(world, call.spec, "second"), Answered), "the claim was given back"
    assert (await view(world)).calls_repeated == 1


# -- what may not be done twice ---------------------------------------------------------------------------------


async def test_an_unsafe_agent_whose_process_was_killed_is_parked_and_never_repeated_by_itself(world: World) -> None:
    call = LongCall(world, effect="unsafe")
    first = Process(world, call.spec, "first")
    await begun(call)
    await first.kill()
    world.clock.advance(LEASE)
    for delivery in range(3):
        outcome = await outcome_of(world, call.spec, f"again-{delivery}")
        assert isinstance(outcome, Answered), "whoever waits is told at once"
        assert outcome.result.status is StepStatus.PARKED
        assert outcome.result.error is not None
        assert outcome.result.error.type == "RunnerLost"
    assert call.begun == 1
    seen = await view(world)
    assert (seen.steps[0].status, seen.calls_repeated) == (StepStatus.PARKED, 0)


async def test_a_parked_step_is_run_once_more_when_a_person_says_so_and_parked_again_if_that_is_lost_too(
    world: World,
) -> None:
    call = LongCall(world, effect="unsafe")
    for number, task in ((1, a_task("tester")), (2, a_task("tester", repeat=True))):
        process = Process(world, call.spec, f"process-{number}", task)
        await begun(call, number)
        await process.kill()
        world.clock.advance(LEASE)
        outcome = await outcome_of(world, call.spec, f"taken-over-{number}", task)
        assert isinstance(outcome, Answered)
        assert outcome.result.status is StepStatus.PARKED
    call.answer.set()
    outcome = await outcome_of(world, call.spec, "at last", a_task("tester", repeat=True))
    assert isinstance(outcome, Answered)
    assert outcome.result.status is StepStatus.SUCCEEDED
    assert (await view(world)).calls_repeated == 2


async def test_an_unsafe_agent_that_is_drained_or_takes_too_long_is_parked(world: World) -> None:
    call = LongCall(world, effect="unsafe")
    first = Process(world, call.spec, "first")
    await begun(call)
    await first.drain()
    assert (await world.step()).status is StepStatus.PARKED
    call.answer.set()
    assert isinstance(await outcome_of(world, call.spec, "again", a_task("tester", repeat=True)), Answered)
    step = await world.step()
    assert (step.status, [each.error.type for each in step.attempts]) == (StepStatus.SUCCEEDED, ["Interrupted"])
    assert step.calls_repeated == 1

    async def hang(_: AgentContext, __: AgentInput) -> None:
        await asyncio.Event().wait()

    slow = an_agent(hang, effect="unsafe", timeout=timedelta(seconds=0.01))
    outcome = await outcome_of(world, slow, "slow", a_task("tester", step_id="other"))
    assert isinstance(outcome, Answered)
    assert outcome.result.status is StepStatus.PARKED


# -- runs that end meanwhile ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [RunStatus.CANCELLED, RunStatus.PARTIAL])
async def test_an_agent_at_work_is_stopped_at_its_next_heartbeat_once_its_run_is_over(
    world: World, status: RunStatus
) -> None:
    call = LongCall(world)
    first = Process(world, call.spec, "first")
    await begun(call)
    await eventually(lambda: len(world.model.requests) == 1)
    await world.store.advance_run("run-1", status, now=world.clock.now(), result=a_run_result(status))
    world.clock.advance(HEARTBEAT)
    assert isinstance(await first.delivery, Unwanted)
    assert call.stopped == 1
    step = await world.step()
    assert (step.status, step.result and step.result.usage) == (StepStatus.SKIPPED, USAGE)


async def test_an_agent_at_work_is_stopped_at_its_next_heartbeat_once_its_run_goes_on_without_it(world: World) -> None:
    call = LongCall(world)
    first = Process(world, call.spec, "first")
    await begun(call)
    await eventually(lambda: len(world.model.requests) == 1)
    await world.store.call_off("run-1", [(await world.step()).step_id], now=world.clock.now())
    world.clock.advance(HEARTBEAT)
    assert isinstance(await first.delivery, Unwanted)
    assert (call.stopped, (await world.step()).status) == (1, StepStatus.SKIPPED)


async def test_an_agent_whose_step_was_taken_over_is_stopped_and_records_nothing(world: World) -> None:
    call = LongCall(world)
    first = Process(world, call.spec, "first")
    await begun(call)
    first.store.fail("renew_step", [StoreUnavailable("partitioned")] * 3)
    for beat in range(1, 4):
        world.clock.advance(HEARTBEAT)
        await eventually(lambda beat=beat: first.store.failed == beat)  # type: ignore[misc]
    second = Process(world, call.spec, "second")
    await begun(call, 2)
    world.clock.advance(HEARTBEAT)
    with pytest.raises(ClaimLost):
        await first.delivery
    assert call.stopped == 1
    call.answer.set()
    assert isinstance(await second.delivery, Answered)
    assert (await world.step()).owner == "second"


async def test_a_store_that_is_away_for_a_minute_after_a_paid_answer_costs_no_second_one(world: World) -> None:
    store = FlakyStore(world.store, {"record_step": [StoreUnavailable("down")] * 7})
    runner = AgentRunner(Catalog([an_agent()]), world.but(store=store), chance=lambda: 0.0)
    running = asyncio.create_task(runner.run(a_task("tester"), owner="first", enqueued_at=NOW))
    for failures in range(1, 8):
        await eventually(lambda failures=failures: store.failed == failures)  # type: ignore[misc]
        world.clock.advance(timedelta(seconds=30))
    assert isinstance(await running, Answered)
    assert len(world.model.requests) == 1
