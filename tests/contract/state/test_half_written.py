"""Documents of Cosmos DB that are not all there: a purge or an import was broken off, or a person removed one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.artifacts.files import FileArtifacts
from shared.errors import ClaimLost, NotFound, StateCorrupted
from shared.state.charges import Charges
from shared.state.cosmos import CosmosState
from shared.state.cosmos_container import CosmosConnection, CosmosContainer
from shared.state.decisions import Foreign
from shared.state.listing import RunFilter
from shared.status import RunStatus
from tests.support.documents import a_claim, a_result, a_run, after


@pytest.fixture
async def store(cosmos_connection: CosmosConnection, tmp_path: Path) -> AsyncIterator[CosmosState]:
    """A store with one run, one step of which is claimed, and whose log has been read."""
    made = CosmosState(cosmos_connection, FileArtifacts(tmp_path))
    await made.create_run(a_run())
    await made.claim_step(a_claim())
    await made.read_log("run-1")
    yield made
    await made.close()


@pytest.fixture
async def by_hand(cosmos_connection: CosmosConnection) -> AsyncIterator[CosmosContainer]:
    """The container, as a person with a database tool sees it."""
    container = CosmosContainer(cosmos_connection, Charges())
    yield container
    await container.close()


async def test_a_run_whose_own_document_is_gone_is_not_there_and_its_rest_can_be_purged(
    store: CosmosState, by_hand: CosmosContainer
) -> None:
    await by_hand.delete("run.run-1", "run-1")
    assert await store.read_run("run-1") is None
    assert await store.read_log("run-1") is None
    assert (await store.list_runs(RunFilter(), limit=5)).runs == ()
    assert isinstance(await store.claim_step(a_claim(owner="second", at=999)), Foreign)
    with pytest.raises(NotFound):
        await store.advance_run("run-1", RunStatus.RUNNING, now=after(1))
    assert await store.purge_run("run-1") == 1
    assert await by_hand.query("select * from c where c.task_id = 'run-1'", {}, partition="run-1") == []


async def test_a_step_that_is_gone_is_told_to_who_held_it_and_to_who_reads_the_log(
    store: CosmosState, by_hand: CosmosContainer
) -> None:
    await by_hand.delete("step.run-1.research", "run-1")
    with pytest.raises(ClaimLost):
        await store.record_step("run-1", "research", owner="first", result=a_result(), now=after(1))
    with pytest.raises(StateCorrupted, match="no document has"):
        await store.read_log("run-1")
    record = await store.read_run("run-1")
    assert record is not None
    assert record.steps == ()


async def test_numbers_that_are_gone_are_given_again_in_the_order_of_time(
    store: CosmosState, by_hand: CosmosContainer
) -> None:
    before = await store.read_log("run-1")
    await by_hand.delete("log.run-1", "run-1")
    again = await store.read_log("run-1")
    assert before is not None
    assert again is not None
    assert again.events == before.events


async def test_a_step_edited_by_hand_is_refused_by_name_and_every_other_run_goes_on(
    store: CosmosState, by_hand: CosmosContainer
) -> None:
    await store.create_run(a_run("run-2"))
    edit = [{"op": "set", "path": "/status", "value": "succeeded"}]
    await by_hand.patch("step.run-1.research", "run-1", edit)
    for call in (store.read_run("run-1"), store.claim_step(a_claim(owner="second", at=999))):
        with pytest.raises(StateCorrupted, match=r"step\.run-1\.research .* its status is 'succeeded'"):
            await call
    assert await store.read_run("run-2") is not None
    assert len((await store.list_runs(RunFilter(), limit=5)).runs) == 2
    assert await store.purge_run("run-1") == 2
