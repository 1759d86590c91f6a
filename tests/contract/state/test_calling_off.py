"""What a state store guarantees of steps that their run goes on without: none is begun, and what was recorded stays."""

import asyncio

import pytest

from shared.errors import NotFound
from shared.state.decisions import Claimed, Finished, NotWanted
from shared.state.projection import replayed
from shared.state.store import StateStore
from shared.status import RunStatus, StepStatus
from tests.contract.state.conftest import Stores
from tests.support.documents import LEASE, a_claim, a_result, a_run, a_run_result, after, an_attempt

GONE_ON = NotWanted("its run goes on without it")


@pytest.fixture
async def running(store: StateStore) -> StateStore:
    """A store with one run under way."""
    await store.create_run(a_run())
    await store.advance_run("run-1", RunStatus.RUNNING, now=after(0))
    return store


async def kinds(store: StateStore) -> list[str]:
    log = await store.read_log("run-1")
    assert log is not None
    record = await store.read_run("run-1")
    assert record is not None
    assert replayed(log).run == record.run
    return [numbered.event.kind for numbered in log.events]


async def test_a_step_that_was_called_off_is_not_begun_and_the_others_are(running: StateStore) -> None:
    await running.call_off("run-1", ["research", "editor"], now=after(1))
    assert await running.claim_step(a_claim("research", at=2)) == GONE_ON
    assert await running.claim_step(a_claim("editor", at=2, attempt=3)) == GONE_ON
    assert isinstance(await running.claim_step(a_claim("writer", at=2)), Claimed)


async def test_a_pattern_that_was_called_off_takes_every_step_in_it_along(running: StateStore) -> None:
    await running.call_off("run-1", ["stage"], now=after(1))
    for step in ("stage", "stage.web", "stage.deeper.web", "stage.web-2"):
        assert await running.claim_step(a_claim(step, at=2)) == GONE_ON, step
    for step in ("stage-2", "stage-2.web", "other.stage"):
        assert isinstance(await running.claim_step(a_claim(step, at=2)), Claimed), step


async def test_all_steps_are_called_off_in_one_event_and_twice_is_once(running: StateStore) -> None:
    await running.call_off("run-1", ["a", "b", "stage"], now=after(1))
    await running.call_off("run-1", ["b", "stage.web", "a"], now=after(2))
    assert await kinds(running) == ["run_created", "run_advanced", "steps_called_off"]
    record = await running.read_run("run-1")
    assert record is not None
    assert (record.run.called_off, record.run.updated_at) == (("a", "b", "stage"), after(1))
    await running.call_off("run-1", ["b", "c"], now=after(3))
    record = await running.read_run("run-1")
    assert record is not None
    assert record.run.called_off == ("a", "b", "stage", "c")


async def test_a_runner_at_work_learns_by_its_renewal_that_its_step_was_called_off(running: StateStore) -> None:
    assert isinstance(await running.claim_step(a_claim()), Claimed)
    await running.call_off("run-1", ["research"], now=after(1))
    renewed = await running.renew_step("run-1", "research", owner="first", lease_until=after(99), now=after(2))
    assert renewed == GONE_ON


async def test_what_was_paid_for_a_step_that_was_called_off_can_still_be_recorded(running: StateStore) -> None:
    assert isinstance(await running.claim_step(a_claim()), Claimed)
    await running.call_off("run-1", ["research"], now=after(1))
    await running.record_step("run-1", "research", owner="first", result=a_result(), now=after(2))
    assert await running.claim_step(a_claim(owner="second", at=3)) == Finished(a_result())
    record = await running.read_run("run-1")
    assert record is not None
    assert [(step.status, step.result) for step in record.steps] == [(StepStatus.SUCCEEDED, a_result())]


async def test_no_further_attempt_is_made_at_a_step_that_was_called_off(running: StateStore) -> None:
    assert isinstance(await running.claim_step(a_claim()), Claimed)
    await running.release_step("run-1", "research", owner="first", attempt=an_attempt())
    await running.call_off("run-1", ["research"], now=after(1))
    assert await running.claim_step(a_claim(owner="second", attempt=2, at=7)) == GONE_ON


async def test_a_lost_runner_of_a_step_that_was_called_off_has_no_successor(running: StateStore) -> None:
    assert isinstance(await running.claim_step(a_claim()), Claimed)
    await running.call_off("run-1", ["research"], now=after(1))
    late = LEASE.total_seconds() + 1
    assert await running.claim_step(a_claim(owner="second", attempt=2, at=late)) == GONE_ON


async def test_of_a_run_that_is_over_nothing_is_called_off_any_more(running: StateStore) -> None:
    await running.advance_run("run-1", RunStatus.COMPLETED, now=after(1), result=a_run_result())
    await running.call_off("run-1", ["research"], now=after(2))
    assert await kinds(running) == ["run_created", "run_advanced", "run_advanced"]


async def test_a_run_with_steps_called_off_ends_as_any_other(running: StateStore) -> None:
    await running.call_off("run-1", ["research"], now=after(1))
    ended = await running.advance_run("run-1", RunStatus.COMPLETED, now=after(2), result=a_run_result())
    assert (ended.status, ended.called_off, ended.result) == (RunStatus.COMPLETED, ("research",), a_run_result())


@pytest.mark.parametrize("run", ["nothing", "", "no run's id", "x" * 101])
async def test_of_no_run_nothing_can_be_called_off(running: StateStore, run: str) -> None:
    with pytest.raises(NotFound):
        await running.call_off(run, ["research"], now=after(1))


async def test_of_two_that_call_off_at_the_same_time_both_are_heard(stores: Stores) -> None:
    first, second = stores.open(), stores.open()
    await first.create_run(a_run())
    await asyncio.gather(
        first.call_off("run-1", ["a", "b"], now=after(1)), second.call_off("run-1", ["b", "c"], now=after(1))
    )
    record = await first.read_run("run-1")
    assert record is not None
    assert sorted(record.run.called_off) == ["a", "b", "c"]


async def test_a_run_that_was_moved_keeps_what_was_called_off(stores: Stores) -> None:
    store = stores.open()
    await store.create_run(a_run())
    await store.call_off("run-1", ["research"], now=after(1))
    log = await store.read_log("run-1")
    assert log is not None
    await store.purge_run("run-1")
    assert await store.import_run(log)
    assert await store.claim_step(a_claim(at=2)) == GONE_ON
    moved = await store.read_log("run-1")
    assert moved is not None
    assert moved.events == log.events
