"""What a state store guarantees of taking a run elsewhere, and of removing it."""

import pytest

from shared.errors import StateCorrupted
from shared.state.decisions import Foreign
from shared.state.events import EventLog
from shared.state.listing import RunFilter
from shared.state.store import StateStore
from shared.status import RunStatus
from tests.support.documents import a_claim, a_result, a_run, after
from tests.support.run_histories import RandomLife


async def a_log(store: StateStore, seed: int = 3) -> EventLog:
    life = RandomLife(store, seed)
    await life.begin()
    await life.go_on(40)
    log = await store.read_log("run-1")
    assert log is not None
    return log


@pytest.mark.parametrize("seed", range(4))
async def test_a_run_that_was_taken_away_and_brought_back_is_the_same(store: StateStore, seed: int) -> None:
    log = await a_log(store, seed)
    before, listed = await store.read_run("run-1"), await store.list_runs(RunFilter(), limit=5)
    await store.purge_run("run-1")
    assert await store.import_run(log) is True
    after_import = await store.read_run("run-1")
    assert before is not None
    assert after_import is not None
    assert after_import.run == before.run
    assert {step.step_id: step for step in after_import.steps} == {step.step_id: step for step in before.steps}
    assert await store.list_runs(RunFilter(), limit=5) == listed
    again = await store.read_log("run-1")
    assert again is not None
    assert again.events == log.events


async def test_an_imported_run_goes_on_where_it_was(store: StateStore) -> None:
    await store.create_run(a_run())
    await store.claim_step(a_claim())
    log = await store.read_log("run-1")
    assert log is not None
    await store.purge_run("run-1")
    await store.import_run(log)
    await store.record_step("run-1", "research", owner="first", result=a_result(), now=after(3))
    longer = await store.read_log("run-1")
    assert longer is not None
    assert longer.events[:-1] == log.events
    assert longer.events[-1].sequence == 3


async def test_a_run_that_is_there_is_not_imported_over(store: StateStore) -> None:
    log = await a_log(store)
    before = await store.read_run("run-1")
    assert await store.import_run(log) is False
    assert await store.read_run("run-1") == before


@pytest.mark.parametrize("spoil", ["empty", "gap", "headless", "other run"])
async def test_what_is_no_log_of_one_run_is_refused_and_nothing_is_written(store: StateStore, spoil: str) -> None:
    log = await a_log(store)
    await store.purge_run("run-1")
    events = {"empty": (), "gap": log.events[:2] + log.events[3:], "headless": log.events[1:], "other run": log.events}
    spoilt = EventLog(task_id="run-2" if spoil == "other run" else "run-1", events=events[spoil])
    with pytest.raises(StateCorrupted):
        await store.import_run(spoilt)
    assert await store.read_run("run-1") is None
    assert await store.read_run("run-2") is None


async def test_of_a_purged_run_nothing_is_left(store: StateStore) -> None:
    await store.create_run(a_run())
    await store.claim_step(a_claim())
    await store.read_log("run-1")
    assert await store.purge_run("run-1") == 2
    assert await store.read_run("run-1") is None
    assert await store.read_log("run-1") is None
    assert (await store.list_runs(RunFilter(text="tides"), limit=5)).runs == ()
    assert (await store.list_runs(RunFilter(agent="research"), limit=5)).runs == ()
    assert (await store.count_runs(RunFilter()))[RunStatus.PENDING] == 0
    assert isinstance(await store.claim_step(a_claim(owner="late", at=500)), Foreign)
    assert await store.purge_run("run-1") == 0


async def test_a_purge_takes_no_other_run_with_it(store: StateStore) -> None:
    for task_id in ("one", "two"):
        await store.create_run(a_run(task_id))
        await store.claim_step(a_claim(task_id=task_id))
    await store.purge_run("one")
    record = await store.read_run("two")
    assert record is not None
    assert len(record.steps) == 1


async def test_an_id_is_free_again_after_a_purge(store: StateStore) -> None:
    await store.create_run(a_run(input={"topic": "first"}))
    await store.claim_step(a_claim())
    await store.purge_run("run-1")
    assert await store.create_run(a_run(input={"topic": "second"})) is True
    log = await store.read_log("run-1")
    assert log is not None
    assert len(log.events) == 1


@pytest.mark.parametrize("task_id", ["", "../run", "run/1", "ünïcode 世界", "x" * 5000, "a\x00b", "run 1", "\ud800"])
async def test_any_text_may_be_asked_for_and_is_simply_not_there(store: StateStore, task_id: str) -> None:
    await store.create_run(a_run())
    assert await store.read_run(task_id) is None
    assert await store.read_log(task_id) is None
    assert await store.purge_run(task_id) == 0
