"""What a state store guarantees of results: only who holds the claim writes, and what is written stays."""

import asyncio

import pytest

from shared.contracts import AgentResult
from shared.errors import ClaimLost
from shared.state.decisions import Claimed
from shared.state.documents import StepDocument
from shared.state.store import StateStore
from shared.status import RunStatus, StepStatus
from tests.support.documents import LEASE, a_claim, a_failure, a_result, a_run, a_run_result, after, an_attempt

EVERY_RESULT = [
    a_result(),
    a_failure(StepStatus.FAILED),
    a_failure(StepStatus.TIMED_OUT),
    a_failure(StepStatus.SKIPPED),
    a_failure(StepStatus.REJECTED),
]


@pytest.fixture
async def held(store: StateStore) -> StateStore:
    """A store with one run whose step `research` is claimed by `first`."""
    await store.create_run(a_run())
    assert isinstance(await store.claim_step(a_claim()), Claimed)
    return store


async def step(store: StateStore) -> StepDocument:
    record = await store.read_run("run-1")
    assert record is not None
    return record.steps[0]


@pytest.mark.parametrize("result", EVERY_RESULT, ids=lambda result: str(result.status))
async def test_a_result_of_every_kind_is_recorded_as_it_is(held: StateStore, result: AgentResult) -> None:
    await held.record_step("run-1", "research", owner="first", result=result, now=after(7))
    recorded = await step(held)
    assert recorded.result == result
    assert (recorded.status, recorded.completed_at) == (result.status, after(7))


@pytest.mark.parametrize(
    "output", ["Wörter 世界 🌊", {"nested": [1, {"deep": None}]}, 12.5, False, None, "x" * 300_000]
)
async def test_output_of_every_kind_comes_back_unchanged(held: StateStore, output: object) -> None:
    await held.record_step("run-1", "research", owner="first", result=a_result(output), now=after(7))
    recorded = await step(held)
    assert recorded.result is not None
    assert recorded.result.output == output


async def test_somebody_who_holds_no_claim_records_nothing(held: StateStore) -> None:
    before = await step(held)
    with pytest.raises(ClaimLost, match="second"):
        await held.record_step("run-1", "research", owner="second", result=a_result(), now=after(1))
    assert await step(held) == before


async def test_a_step_that_nobody_claimed_cannot_be_recorded(held: StateStore) -> None:
    with pytest.raises(ClaimLost):
        await held.record_step("run-1", "writer", owner="first", result=a_result(), now=after(1))


async def test_a_step_of_an_unknown_run_cannot_be_recorded(held: StateStore) -> None:
    with pytest.raises(ClaimLost):
        await held.record_step("nothing", "research", owner="first", result=a_result(), now=after(1))


async def test_a_recorded_result_is_never_written_over(held: StateStore) -> None:
    await held.record_step("run-1", "research", owner="first", result=a_result("kept"), now=after(1))
    with pytest.raises(ClaimLost):
        await held.record_step("run-1", "research", owner="first", result=a_result("later"), now=after(2))
    recorded = await step(held)
    assert recorded.result == a_result("kept")


async def test_of_many_that_record_at_once_one_is_kept(held: StateStore) -> None:
    outcomes = await asyncio.gather(
        *(
            held.record_step("run-1", "research", owner="first", result=a_result(number), now=after(1))
            for number in range(20)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, ClaimLost) for outcome in outcomes) == 19


async def test_a_runner_that_was_taken_over_records_nothing(held: StateStore) -> None:
    late = LEASE.total_seconds()
    assert isinstance(await held.claim_step(a_claim(owner="second", at=late)), Claimed)
    with pytest.raises(ClaimLost):
        await held.record_step("run-1", "research", owner="first", result=a_result("stale"), now=after(late + 1))
    await held.record_step("run-1", "research", owner="second", result=a_result("fresh"), now=after(late + 2))
    assert (await step(held)).result == a_result("fresh")


async def test_a_runner_that_is_late_and_was_not_taken_over_still_records(held: StateStore) -> None:
    """The work is done and paid for; nobody else has begun it."""
    await held.record_step("run-1", "research", owner="first", result=a_result(), now=after(9999))
    assert (await step(held)).status is StepStatus.SUCCEEDED


async def test_a_result_may_come_after_its_run_is_over(held: StateStore) -> None:
    await held.advance_run("run-1", RunStatus.CANCELLED, now=after(1), result=a_run_result(RunStatus.CANCELLED))
    await held.record_step("run-1", "research", owner="first", result=a_result(), now=after(2))
    assert (await step(held)).result == a_result()


async def test_a_released_step_waits_with_the_failed_attempt_in_its_log(held: StateStore) -> None:
    await held.release_step("run-1", "research", owner="first", attempt=an_attempt())
    released = await step(held)
    assert (released.status, released.attempts, released.result) == (StepStatus.WAITING, (an_attempt(),), None)


async def test_the_log_grows_by_one_with_each_attempt(held: StateStore) -> None:
    await held.release_step("run-1", "research", owner="first", attempt=an_attempt(1))
    for number in (2, 3):
        await held.claim_step(a_claim(owner=f"owner-{number}", at=number, attempt=number))
        await held.release_step("run-1", "research", owner=f"owner-{number}", attempt=an_attempt(number))
    assert [attempt.attempt for attempt in (await step(held)).attempts] == [1, 2, 3]


async def test_the_log_stays_with_the_result(held: StateStore) -> None:
    await held.release_step("run-1", "research", owner="first", attempt=an_attempt())
    await held.claim_step(a_claim(owner="second", at=5, attempt=2))
    await held.record_step("run-1", "research", owner="second", result=a_result(), now=after(6))
    assert (await step(held)).attempts == (an_attempt(),)


async def test_somebody_who_holds_no_claim_releases_nothing(held: StateStore) -> None:
    with pytest.raises(ClaimLost):
        await held.release_step("run-1", "research", owner="second", attempt=an_attempt())
    assert (await step(held)).status is StepStatus.RUNNING


async def test_a_claim_is_released_once(held: StateStore) -> None:
    await held.release_step("run-1", "research", owner="first", attempt=an_attempt())
    with pytest.raises(ClaimLost):
        await held.release_step("run-1", "research", owner="first", attempt=an_attempt(2))
    assert len((await step(held)).attempts) == 1


async def test_a_record_or_release_that_is_made_again_as_it_was_changes_nothing_and_is_no_error(
    held: StateStore,
) -> None:
    """Whoever did not hear the answer asks again."""
    for _ in range(2):
        await held.release_step("run-1", "research", owner="first", attempt=an_attempt())
    assert len((await step(held)).attempts) == 1
    await held.claim_step(a_claim(owner="second", at=5, attempt=2))
    with pytest.raises(ClaimLost):
        await held.release_step("run-1", "research", owner="first", attempt=an_attempt())
    for _ in range(2):
        await held.record_step("run-1", "research", owner="second", result=a_result(), now=after(6))
    recorded = await step(held)
    assert (recorded.status, len(recorded.attempts)) == (StepStatus.SUCCEEDED, 1)


async def test_a_released_step_cannot_be_recorded_by_who_released_it(held: StateStore) -> None:
    await held.release_step("run-1", "research", owner="first", attempt=an_attempt())
    with pytest.raises(ClaimLost):
        await held.record_step("run-1", "research", owner="first", result=a_result(), now=after(1))


async def test_a_finished_step_cannot_be_released(held: StateStore) -> None:
    await held.record_step("run-1", "research", owner="first", result=a_result(), now=after(1))
    with pytest.raises(ClaimLost):
        await held.release_step("run-1", "research", owner="first", attempt=an_attempt())
