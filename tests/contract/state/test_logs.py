"""What a state store guarantees of the log: everything is in it, nothing else, and a number once seen stays."""

import asyncio

import pytest

from shared.errors import ClaimLost, IllegalTransition
from shared.state.documents import RunRecord
from shared.state.events import NumberedEvent, RunCreated, RunEvent
from shared.state.projection import replay, until
from shared.state.store import StateStore
from shared.status import RunStatus
from tests.contract.state.conftest import Stores
from tests.support.documents import a_claim, a_failure, a_result, a_run, a_run_result, after, an_attempt
from tests.support.run_histories import RandomLife


async def log(store: StateStore, task_id: str = "run-1") -> tuple[NumberedEvent, ...]:
    found = await store.read_log(task_id)
    assert found is not None
    assert found.task_id == task_id
    return found.events


async def kinds(store: StateStore) -> list[str]:
    return [numbered.event.kind for numbered in await log(store)]


def by_step(record: RunRecord | None) -> tuple[object, dict[str, object]]:
    assert record is not None
    return record.run, {step.step_id: step for step in record.steps}


async def test_a_run_that_there_is_not_has_no_log(store: StateStore) -> None:
    assert await store.read_log("nothing") is None


async def test_a_log_begins_with_the_run_as_it_was_created(store: StateStore) -> None:
    await store.create_run(a_run())
    await store.advance_run("run-1", RunStatus.RUNNING, now=after(1))
    assert (await log(store))[0] == NumberedEvent(sequence=1, event=RunCreated(at=after(0), run=a_run()))


async def test_every_change_is_one_event_in_the_order_of_time(store: StateStore) -> None:
    await store.create_run(a_run())
    await store.advance_run("run-1", RunStatus.RUNNING, now=after(1))
    await store.claim_step(a_claim(at=2))
    await store.release_step("run-1", "research", owner="first", attempt=an_attempt())
    await store.claim_step(a_claim(owner="second", at=7, attempt=2))
    await store.record_step("run-1", "research", owner="second", result=a_result(), now=after(8))
    await store.advance_run("run-1", RunStatus.COMPLETED, now=after(9), result=a_run_result())
    assert await kinds(store) == [
        "run_created",
        "run_advanced",
        "step_claimed",
        "step_released",
        "step_claimed",
        "step_recorded",
        "run_advanced",
    ]


async def test_numbers_begin_with_one_and_have_no_gaps(store: StateStore) -> None:
    life = RandomLife(store, seed=7)
    await life.begin()
    await life.go_on(40)
    events = await log(store)
    assert [numbered.sequence for numbered in events] == list(range(1, len(events) + 1))


async def test_a_change_that_was_refused_leaves_no_event(store: StateStore) -> None:
    await store.create_run(a_run())
    await store.create_run(a_run())
    await store.claim_step(a_claim())
    await store.claim_step(a_claim(owner="second", at=1))
    with pytest.raises(ClaimLost):
        await store.record_step("run-1", "research", owner="second", result=a_result(), now=after(2))
    with pytest.raises(ClaimLost):
        await store.release_step("run-1", "research", owner="second", attempt=an_attempt())
    await store.advance_run("run-1", RunStatus.FAILED, now=after(3), result=a_run_result(RunStatus.FAILED))
    with pytest.raises(IllegalTransition):
        await store.advance_run("run-1", RunStatus.RUNNING, now=after(4))
    assert await kinds(store) == ["run_created", "step_claimed", "run_advanced"]


async def test_a_change_that_was_made_twice_is_one_event(store: StateStore) -> None:
    await store.create_run(a_run())
    await store.claim_step(a_claim())
    for _ in range(2):
        await store.advance_run("run-1", RunStatus.RUNNING, now=after(1))
        await store.record_step("run-1", "research", owner="first", result=a_result(), now=after(2))
    assert await kinds(store) == ["run_created", "step_claimed", "run_advanced", "step_recorded"]


async def test_events_carry_everything_that_happened(store: StateStore) -> None:
    await store.create_run(a_run())
    await store.claim_step(a_claim(at=1))
    await store.record_step("run-1", "research", owner="first", result=a_result({"n": 2**70}), now=after(2))
    *_, claimed, recorded = [numbered.event for numbered in await log(store)]
    assert claimed.kind == "step_claimed"
    assert (claimed.owner, claimed.agent, claimed.at) == ("first", "research", after(1))
    assert recorded.kind == "step_recorded"
    assert recorded.result == a_result({"n": 2**70})


async def test_a_claim_that_took_over_another_tells_of_the_attempt_that_was_lost(store: StateStore) -> None:
    await store.create_run(a_run())
    await store.claim_step(a_claim())
    await store.claim_step(a_claim(owner="second", at=500))
    taken_over = (await log(store))[-1].event
    assert taken_over.kind == "step_claimed"
    assert taken_over.lost is not None
    assert taken_over.lost.error.type == "RunnerLost"


async def test_who_saw_an_event_under_a_number_sees_it_under_that_number_later(stores: Stores) -> None:
    """Also when an event comes late, as one does whose clock is slow: it is numbered after all that was seen."""
    writer, reader, other = stores.open(), stores.open(), stores.open()
    await writer.create_run(a_run())
    await writer.claim_step(a_claim("research", owner="on-time", at=50))
    seen = await log(reader)
    await writer.claim_step(a_claim("writer", owner="slow-clock", at=10))
    later = await log(other)
    assert later[: len(seen)] == seen
    assert [numbered.sequence for numbered in later] == [1, 2, 3]
    assert await log(reader) == await log(writer) == later


async def test_readers_at_once_agree_on_every_number(stores: Stores) -> None:
    writer = stores.open()
    readers = [stores.open() for _ in range(4)]
    await writer.create_run(a_run(steps=tuple(f"s{n}" for n in range(12))))

    async def write() -> list[tuple[NumberedEvent, ...]]:
        for number in range(12):
            await writer.claim_step(a_claim(f"s{number}", owner=f"o{number}", at=12 - number))
        return []

    async def read(reader: StateStore) -> list[tuple[NumberedEvent, ...]]:
        return [await log(reader) for _ in range(6)]

    views = await asyncio.gather(write(), *(read(reader) for reader in readers))
    final = await log(writer)
    assert len(final) == 13
    assert [view for each in views for view in each if view != final[: len(view)]] == []


@pytest.mark.parametrize("seed", range(12))
async def test_what_is_stored_is_what_the_log_adds_up_to_after_any_history(store: StateStore, seed: int) -> None:
    life = RandomLife(store, seed)
    await life.begin()
    for _ in range(3):
        await life.go_on(12)
        assert by_step(await store.read_run("run-1")) == by_step(replay(await log(store)))


@pytest.mark.parametrize("seed", range(4))
async def test_the_log_up_to_a_number_shows_the_run_as_it_was_then(store: StateStore, seed: int) -> None:
    life = RandomLife(store, 100 + seed)
    await life.begin()
    pictures: dict[int, RunRecord | None] = {}
    for _ in range(8):
        await life.go_on(3)
        pictures[len(await log(store))] = await store.read_run("run-1")
    events = await log(store)
    for sequence, picture in pictures.items():
        assert by_step(replay(until(events, sequence))) == by_step(picture)


async def test_the_log_up_to_a_time_shows_the_run_as_it_was_then(store: StateStore) -> None:
    await store.create_run(a_run())
    await store.claim_step(a_claim(at=10))
    await store.record_step("run-1", "research", owner="first", result=a_failure(), now=after(20))
    events = await log(store)
    assert until(events, after(-1)) == ()
    assert [numbered.event.kind for numbered in until(events, after(10))] == ["run_created", "step_claimed"]
    assert until(events, after(20)) == events


async def test_logs_of_other_runs_are_apart(store: StateStore) -> None:
    for task_id in ("one", "two"):
        await store.create_run(a_run(task_id))
        await store.claim_step(a_claim(task_id=task_id))
    await store.advance_run("two", RunStatus.RUNNING, now=after(3))
    assert len(await log(store, "one")) == 2
    assert len(await log(store, "two")) == 3


async def test_an_event_of_any_size_is_in_the_log(store: StateStore) -> None:
    event: RunEvent
    await store.create_run(a_run(input={"topic": "x" * 900_000}))
    await store.claim_step(a_claim())
    await store.record_step("run-1", "research", owner="first", result=a_result("y" * 900_000), now=after(2))
    event = (await log(store))[-1].event
    assert event.kind == "step_recorded"
    assert event.result.output == "y" * 900_000
    assert by_step(await store.read_run("run-1")) == by_step(replay(await log(store)))
