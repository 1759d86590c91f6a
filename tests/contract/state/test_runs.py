"""What a state store guarantees of runs."""

import asyncio

import pytest

from shared.errors import IllegalTransition, NotFound
from shared.state.store import StateStore
from shared.status import RUN_TRANSITIONS, RunStatus, run_is_over
from tests.contract.state.conftest import Stores
from tests.support.documents import a_claim, a_run, a_run_result, after

OVER = [status for status in RunStatus if run_is_over(status)]


async def read(store: StateStore, task_id: str = "run-1") -> RunStatus:
    record = await store.read_run(task_id)
    assert record is not None
    return record.run.status


async def test_a_created_run_is_read_as_it_was_written(store: StateStore) -> None:
    run = a_run()
    assert await store.create_run(run) is True
    record = await store.read_run("run-1")
    assert record is not None
    assert record.run == run
    assert record.steps == ()


async def test_an_unknown_run_is_read_as_none(store: StateStore) -> None:
    assert await store.read_run("nothing") is None


async def test_creating_a_run_under_a_taken_id_changes_nothing_and_says_so(store: StateStore) -> None:
    await store.create_run(a_run(input={"topic": "first"}))
    assert await store.create_run(a_run(input={"topic": "second"})) is False
    record = await store.read_run("run-1")
    assert record is not None
    assert record.run.input == {"topic": "first"}


async def test_of_many_creators_of_one_run_exactly_one_creates_it(stores: Stores) -> None:
    first, second = stores.open(), stores.open()
    runs = [a_run(input={"by": number}) for number in range(20)]
    created = await asyncio.gather(*(store.create_run(run) for run in runs for store in (first, second)))
    assert created.count(True) == 1


async def test_runs_do_not_see_each_other(store: StateStore) -> None:
    await store.create_run(a_run("one"))
    await store.create_run(a_run("two"))
    await store.advance_run("one", RunStatus.RUNNING, now=after(1))
    await store.claim_step(a_claim(task_id="one"))
    record = await store.read_run("two")
    assert record is not None
    assert (record.run.status, record.steps) == (RunStatus.PENDING, ())


@pytest.mark.parametrize(
    "task_id",
    [
        "a",
        "x" * 100,
        "a/b\\c?d#e%2F..",
        "a.b",
        "a~2Eb",
        "!#$%&'()*+,-.;<=>@[]^_`{|}~",
        "' or 1=1; drop table runs --".replace(" ", "_"),
    ],
)
async def test_any_legal_id_is_only_an_id(store: StateStore, task_id: str) -> None:
    await store.create_run(a_run(task_id))
    await store.create_run(a_run("other"))
    record = await store.read_run(task_id)
    assert record is not None
    assert record.run.task_id == task_id
    assert await store.read_run(task_id + "x") is None


@pytest.mark.parametrize(
    "value",
    [
        "Grüße, 世界, 🌊, \u202eright to left",
        "a\x00b",
        '"; drop table runs; --',
        "line\r\nline\u2028",
        "",
        "x" * 500_000,
    ],
)
async def test_text_of_every_kind_comes_back_unchanged(store: StateStore, value: str) -> None:
    await store.create_run(a_run(input={"topic": value, value[:50]: [value[:50], None, True, 1.5, 2**70]}))
    record = await store.read_run("run-1")
    assert record is not None
    assert record.run.input == {"topic": value, value[:50]: [value[:50], None, True, 1.5, 2**70]}


async def test_a_new_run_is_pending_and_moves_to_running(store: StateStore) -> None:
    await store.create_run(a_run())
    moved = await store.advance_run("run-1", RunStatus.RUNNING, now=after(5))
    assert (moved.status, moved.updated_at, moved.completed_at) == (RunStatus.RUNNING, after(5), None)
    assert await read(store) is RunStatus.RUNNING


@pytest.mark.parametrize("status", OVER)
async def test_a_run_ends_with_its_result_and_the_time(store: StateStore, status: RunStatus) -> None:
    await store.create_run(a_run())
    await store.advance_run("run-1", RunStatus.RUNNING, now=after(1))
    await store.advance_run("run-1", status, now=after(9), result=a_run_result(status))
    record = await store.read_run("run-1")
    assert record is not None
    assert record.run.result == a_run_result(status)
    assert (record.run.status, record.run.completed_at) == (status, after(9))


@pytest.mark.parametrize("status", [RunStatus.RUNNING, *OVER])
async def test_advancing_twice_is_advancing_once(store: StateStore, status: RunStatus) -> None:
    """A repeated activity changes nothing: neither the result nor the time."""
    await store.create_run(a_run())
    first = await store.advance_run(
        "run-1", status, now=after(1), result=a_run_result(result="first") if status in OVER else None
    )
    second = await store.advance_run(
        "run-1", status, now=after(2), result=a_run_result(result="second") if status in OVER else None
    )
    assert second == first


@pytest.mark.parametrize(
    ("before", "to"),
    [
        (before, to)
        for before in RunStatus
        for to in RunStatus
        if to not in RUN_TRANSITIONS[before] and to is not before
    ],
)
async def test_a_move_that_the_table_forbids_is_refused_and_changes_nothing(
    store: StateStore, before: RunStatus, to: RunStatus
) -> None:
    await store.create_run(a_run())
    if before is not RunStatus.PENDING:
        await store.advance_run("run-1", before, now=after(1))
    with pytest.raises(IllegalTransition, match=before.value):
        await store.advance_run("run-1", to, now=after(2))
    assert await read(store) is before


async def test_an_unknown_run_cannot_be_advanced(store: StateStore) -> None:
    with pytest.raises(NotFound, match="nothing"):
        await store.advance_run("nothing", RunStatus.RUNNING, now=after(0))


async def test_of_two_ends_that_race_one_wins_and_the_other_is_refused(stores: Stores) -> None:
    first, second = stores.open(), stores.open()
    await first.create_run(a_run())
    outcomes = await asyncio.gather(
        first.advance_run("run-1", RunStatus.COMPLETED, now=after(1)),
        second.advance_run("run-1", RunStatus.CANCELLED, now=after(1)),
        return_exceptions=True,
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, IllegalTransition)]
    assert len(refused) == 1
    assert await read(first) == await read(second)


async def test_what_one_store_writes_another_over_the_same_data_reads_at_once(stores: Stores) -> None:
    writer, reader = stores.open(), stores.open()
    await writer.create_run(a_run())
    assert await read(reader) is RunStatus.PENDING
    await reader.advance_run("run-1", RunStatus.RUNNING, now=after(1))
    assert await read(writer) is RunStatus.RUNNING


async def test_what_was_written_survives_closing(stores: Stores) -> None:
    store = stores.open()
    await store.create_run(a_run())
    await store.claim_step(a_claim())
    await store.close()
    record = await stores.open().read_run("run-1")
    assert record is not None
    assert record.run == a_run()
    assert len(record.steps) == 1


async def test_closing_is_harmless_twice_and_before_the_first_use(store: StateStore) -> None:
    await store.close()
    await store.close()


async def test_a_closed_store_opens_again_when_it_is_used(store: StateStore) -> None:
    await store.create_run(a_run())
    await store.close()
    assert await read(store) is RunStatus.PENDING


async def test_a_cancelled_call_leaves_nothing_half_done_to_the_next(store: StateStore) -> None:
    await store.create_run(a_run())
    for number in range(30):
        call = asyncio.create_task(store.create_run(a_run(f"cancelled-{number}")))
        await asyncio.sleep(0)
        call.cancel()
        await store.advance_run("run-1", RunStatus.RUNNING, now=after(1))
    for number in range(30):
        record = await store.read_run(f"cancelled-{number}")
        assert record is None or record.run == a_run(f"cancelled-{number}")


async def test_many_calls_at_once_each_take_effect(store: StateStore) -> None:
    await asyncio.gather(*(store.create_run(a_run(f"run-{number}")) for number in range(60)))
    records = await asyncio.gather(*(store.read_run(f"run-{number}") for number in range(60)))
    assert [record.run.task_id for record in records if record] == [f"run-{number}" for number in range(60)]
