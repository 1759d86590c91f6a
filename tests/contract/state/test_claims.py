"""What a state store guarantees of claims: one runner at a time, none for what nobody wants, none paid for twice."""

import asyncio
from dataclasses import replace

import pytest

from shared import names
from shared.contracts import AgentResult
from shared.errors import ClaimLost
from shared.state.decisions import Busy, Claimed, ClaimRequest, Finished, Foreign, NotWanted
from shared.state.documents import StepDocument
from shared.state.projection import replayed
from shared.state.store import StateStore
from shared.status import RunStatus, StepStatus, run_is_over
from tests.contract.state.conftest import Stores
from tests.support.documents import LEASE, a_claim, a_failure, a_result, a_run, a_run_result, after, an_attempt


@pytest.fixture
async def running(store: StateStore) -> StateStore:
    """A store with one run under way."""
    await store.create_run(a_run())
    await store.advance_run("run-1", RunStatus.RUNNING, now=after(0))
    return store


async def claimed(store: StateStore, request: ClaimRequest) -> StepDocument:
    decision = await store.claim_step(request)
    assert isinstance(decision, Claimed), decision
    return decision.step


async def steps(store: StateStore) -> tuple[StepDocument, ...]:
    record = await store.read_run("run-1")
    assert record is not None
    return record.steps


async def test_a_claim_of_a_fresh_step_is_granted_and_recorded(running: StateStore) -> None:
    step = await claimed(running, a_claim(at=3))
    assert (step.status, step.owner, step.attempt) == (StepStatus.RUNNING, "first", 1)
    assert (step.enqueued_at, step.started_at, step.lease_until) == (after(2), after(3), after(3) + LEASE)
    assert await steps(running) == (step,)


async def test_a_step_may_be_claimed_before_its_run_is_told_to_be_running(store: StateStore) -> None:
    await store.create_run(a_run())
    await claimed(store, a_claim())


async def test_a_held_step_is_busy_until_its_lease_ends(running: StateStore) -> None:
    await claimed(running, a_claim())
    assert await running.claim_step(a_claim(owner="second", at=1)) == Busy(after(0) + LEASE)
    just_before = await running.claim_step(a_claim(owner="second", at=LEASE.total_seconds() - 0.001))
    assert isinstance(just_before, Busy)


async def test_a_refused_claim_changes_nothing(running: StateStore) -> None:
    step = await claimed(running, a_claim())
    await running.claim_step(a_claim(owner="second", at=1))
    assert await steps(running) == (step,)


async def test_the_owner_itself_is_refused_while_its_claim_lasts(running: StateStore) -> None:
    """An owner names one delivery, so that the same owner asking again is a fault and not a right."""
    await claimed(running, a_claim())
    assert isinstance(await running.claim_step(a_claim(at=1)), Busy)


async def test_of_fifty_claimers_of_one_step_exactly_one_gets_it(stores: Stores) -> None:
    first, second = stores.open(), stores.open()
    await first.create_run(a_run())
    requests = [a_claim(owner=f"owner-{number}") for number in range(50)]
    decisions = await asyncio.gather(
        *((first if number % 2 else second).claim_step(request) for number, request in enumerate(requests))
    )
    winners = [decision.step.owner for decision in decisions if isinstance(decision, Claimed)]
    assert len(winners) == 1
    assert sum(isinstance(decision, Busy) for decision in decisions) == 49
    assert [step.owner for step in await steps(second)] == winners


async def test_of_fifty_that_take_over_a_lost_claim_exactly_one_gets_it(stores: Stores) -> None:
    first, second = stores.open(), stores.open()
    await first.create_run(a_run())
    await claimed(first, a_claim())
    late = LEASE.total_seconds() + 1
    decisions = await asyncio.gather(
        *((first if n % 2 else second).claim_step(a_claim(owner=f"owner-{n}", at=late)) for n in range(50))
    )
    assert sum(isinstance(decision, Claimed) for decision in decisions) == 1


async def test_different_steps_of_a_run_are_claimed_independently(running: StateStore) -> None:
    await claimed(running, a_claim("research"))
    await claimed(running, a_claim("writer"))


async def test_the_same_step_id_in_two_runs_is_two_steps(running: StateStore) -> None:
    await running.create_run(a_run("run-2"))
    await claimed(running, a_claim())
    await claimed(running, a_claim(task_id="run-2"))


async def test_steps_are_read_in_the_order_in_which_they_were_first_claimed(running: StateStore) -> None:
    for number, name in enumerate(("zeta", "alpha", "mid")):
        await claimed(running, a_claim(name, owner=name, at=number / 1000))
    await running.record_step("run-1", "zeta", owner="zeta", result=a_result(), now=after(1))
    await running.release_step("run-1", "alpha", owner="alpha", attempt=an_attempt())
    await claimed(running, a_claim("alpha", owner="again", at=2, attempt=2))
    assert [step.step_id for step in await steps(running)] == ["zeta", "alpha", "mid"]


@pytest.mark.parametrize(
    "result", [a_result(), a_failure(), a_failure(StepStatus.TIMED_OUT)], ids=lambda r: str(r.status)
)
async def test_a_finished_step_is_answered_from_its_record(running: StateStore, result: AgentResult) -> None:
    await claimed(running, a_claim())
    await running.record_step("run-1", "research", owner="first", result=result, now=after(1))
    assert await running.claim_step(a_claim(owner="second", at=9999)) == Finished(result)


async def test_a_finished_step_is_answered_even_when_its_run_is_over(running: StateStore) -> None:
    await claimed(running, a_claim())
    await running.record_step("run-1", "research", owner="first", result=a_result(), now=after(1))
    await running.advance_run("run-1", RunStatus.CANCELLED, now=after(2), result=a_run_result(RunStatus.CANCELLED))
    assert await running.claim_step(a_claim(owner="second", at=3)) == Finished(a_result())


@pytest.mark.parametrize("status", [status for status in RunStatus if run_is_over(status)])
async def test_a_step_of_a_run_that_is_over_is_not_wanted(store: StateStore, status: RunStatus) -> None:
    await store.create_run(a_run())
    await store.advance_run("run-1", status, now=after(1), result=a_run_result(status))
    decision = await store.claim_step(a_claim(at=2))
    assert isinstance(decision, NotWanted)
    assert status.value in decision.reason
    assert await steps(store) == ()


async def test_a_step_of_an_unknown_run_is_foreign_and_leaves_nothing_behind(store: StateStore) -> None:
    decision = await store.claim_step(a_claim(task_id="nothing"))
    assert isinstance(decision, Foreign)
    assert "nothing" in decision.reason
    assert await store.read_run("nothing") is None


async def test_another_agents_message_does_not_get_a_step_nor_its_answer(running: StateStore) -> None:
    await claimed(running, a_claim("writer"))
    other = a_claim("writer", owner="second", at=9999)
    foreign = replace(other, agent="research")
    assert isinstance(await running.claim_step(foreign), Foreign)
    await running.record_step("run-1", "writer", owner="first", result=a_result("secret"), now=after(1))
    assert isinstance(await running.claim_step(foreign), Foreign)


async def test_a_lost_claim_is_taken_over_the_moment_its_lease_ends(running: StateStore) -> None:
    await claimed(running, a_claim())
    step = await claimed(running, a_claim(owner="second", at=LEASE.total_seconds()))
    assert step.owner == "second"
    assert step.lease_until == after(LEASE.total_seconds()) + LEASE


async def test_a_taken_over_claim_is_an_attempt_that_was_made_at_an_unknown_cost(running: StateStore) -> None:
    await claimed(running, a_claim())
    step = await claimed(running, a_claim(owner="second", at=500))
    assert step.attempt == 2
    assert [lost.error.type for lost in step.attempts] == ["RunnerLost"]
    assert step.attempts[0].usage.cost_usd is None
    assert (step.attempts[0].started_at, step.attempts[0].ended_at) == (after(0), after(0) + LEASE)


async def test_a_step_keeps_the_time_at_which_it_was_first_enqueued(running: StateStore) -> None:
    await claimed(running, a_claim(at=0))
    step = await claimed(running, a_claim(owner="second", at=500))
    assert step.enqueued_at == after(-1)
    assert step.started_at == after(500)


async def test_a_waiting_step_is_claimed_for_its_next_attempt_with_its_log(running: StateStore) -> None:
    await claimed(running, a_claim())
    await running.release_step("run-1", "research", owner="first", attempt=an_attempt())
    step = await claimed(running, a_claim(owner="second", at=5, attempt=2))
    assert (step.attempt, step.attempts) == (2, (an_attempt(),))


async def test_an_old_message_that_comes_again_makes_the_next_attempt_and_not_the_first_once_more(
    running: StateStore,
) -> None:
    await claimed(running, a_claim())
    await running.release_step("run-1", "research", owner="first", attempt=an_attempt())
    assert (await claimed(running, a_claim(owner="second", at=1, attempt=1))).attempt == 2


async def test_a_message_that_says_a_later_attempt_is_taken_at_its_word(running: StateStore) -> None:
    assert (await claimed(running, a_claim(attempt=3))).attempt == 3


# -- claims that are kept ---------------------------------------------------------------------------------------


async def test_a_claim_that_is_renewed_lasts_from_then_on_and_is_still_wanted(running: StateStore) -> None:
    await claimed(running, a_claim())
    later = after(100) + LEASE
    unwanted = await running.renew_step("run-1", "research", owner="first", lease_until=later, now=after(100))
    assert unwanted is None
    late = LEASE.total_seconds() + 1
    assert await running.claim_step(a_claim(owner="second", at=late)) == Busy(later)
    assert [step.lease_until for step in await steps(running)] == [later]
    assert isinstance(await running.claim_step(a_claim(owner="second", at=100 + late)), Claimed)


async def test_a_renewal_tells_its_owner_that_the_run_is_over(running: StateStore) -> None:
    await claimed(running, a_claim())
    await running.advance_run("run-1", RunStatus.CANCELLED, now=after(1), result=a_run_result(RunStatus.CANCELLED))
    unwanted = await running.renew_step("run-1", "research", owner="first", lease_until=after(99), now=after(2))
    assert unwanted == NotWanted("its run is cancelled")


@pytest.mark.parametrize("end", ["taken over", "recorded", "released", "never claimed", "no such run"])
async def test_who_holds_a_step_no_more_renews_nothing(running: StateStore, end: str) -> None:
    run = "nothing" if end == "no such run" else "run-1"
    if end != "never claimed":
        await claimed(running, a_claim())
    if end == "taken over":
        await claimed(running, a_claim(owner="second", at=LEASE.total_seconds()))
    elif end == "recorded":
        await running.record_step("run-1", "research", owner="first", result=a_result(), now=after(1))
    elif end == "released":
        await running.release_step("run-1", "research", owner="first", attempt=an_attempt())
    before = await steps(running)
    with pytest.raises(ClaimLost):
        await running.renew_step(run, "research", owner="first", lease_until=after(9999), now=after(200))
    assert await steps(running) == before


async def test_a_renewal_and_a_takeover_at_the_same_time_leave_one_holder(stores: Stores) -> None:
    first, second = stores.open(), stores.open()
    await first.create_run(a_run())
    await claimed(first, a_claim())
    at = LEASE.total_seconds() + 1
    renewed, decision = await asyncio.gather(
        first.renew_step("run-1", "research", owner="first", lease_until=after(at) + LEASE, now=after(at)),
        second.claim_step(a_claim(owner="second", at=at)),
        return_exceptions=True,
    )
    assert isinstance(renewed, ClaimLost) is isinstance(decision, Claimed), (renewed, decision)
    [step] = await steps(first)
    assert step.owner == ("second" if isinstance(decision, Claimed) else "first")


async def test_a_log_with_renewals_adds_up_to_the_documents(running: StateStore) -> None:
    await claimed(running, a_claim())
    await running.renew_step("run-1", "research", owner="first", lease_until=after(300), now=after(20))
    log = await running.read_log("run-1")
    assert log is not None
    assert replayed(log).steps == await steps(running)


# -- takeovers, parking, cancelling -----------------------------------------------------------------------------


async def test_a_claim_says_whether_it_was_taken_from_a_lost_runner(running: StateStore) -> None:
    fresh = await running.claim_step(a_claim())
    over = await running.claim_step(a_claim(owner="second", at=LEASE.total_seconds()))
    assert isinstance(fresh, Claimed)
    assert isinstance(over, Claimed)
    assert (fresh.taken_over, over.taken_over) == (False, True)


@pytest.mark.parametrize("asks_model", [True, False])
async def test_a_lost_claim_may_have_cost_a_call_when_its_agent_asks_a_model(
    running: StateStore, asks_model: bool
) -> None:
    await claimed(running, a_claim())
    again = replace(a_claim(owner="second", at=LEASE.total_seconds()), asks_model=asks_model)
    assert [lost.answer_lost for lost in (await claimed(running, again)).attempts] == [asks_model]


async def test_a_parked_step_is_answered_as_parked_until_it_may_be_repeated(running: StateStore) -> None:
    parked = a_failure(StepStatus.PARKED)
    await claimed(running, a_claim())
    await running.record_step("run-1", "research", owner="first", result=parked, now=after(1))
    assert await running.claim_step(a_claim(owner="second", at=9999)) == Finished(parked)
    repeat = replace(a_claim(owner="third", at=9999), repeat=True)
    decision = await running.claim_step(repeat)
    assert isinstance(decision, Claimed)
    assert not decision.taken_over
    assert (decision.step.attempt, decision.step.result) == (2, None)
    assert [each.error.type for each in decision.step.attempts] == ["Broken"]


async def test_while_a_run_is_being_cancelled_only_what_undoes_a_step_is_wanted(running: StateStore) -> None:
    await running.advance_run("run-1", RunStatus.CANCELLING, now=after(1))
    assert isinstance(await running.claim_step(a_claim("writer", at=2)), NotWanted)
    undo = replace(a_claim(at=2), step_id=names.undo_step("writer"), agent="research")
    assert isinstance(await running.claim_step(undo), Claimed)
