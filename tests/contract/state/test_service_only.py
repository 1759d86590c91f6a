"""What only the service itself, or Microsoft's emulator, can show; run with `--cosmos-endpoint` and `--cosmos-key`.

The server from npm cannot: it carries a batch out piece by piece and keeps what was done of one that failed, charges
1 RU for everything, and takes documents of any size. The client's side of these is shown with prepared answers by
`tests/faults/test_cosmos_faults.py`.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.artifacts.files import FileArtifacts
from shared.errors import DocumentTooLarge, StateCorrupted
from shared.state.charges import Charges
from shared.state.cosmos import CosmosState
from shared.state.cosmos_container import CosmosConnection, CosmosContainer
from tests.support.documents import a_claim, a_result, a_run, after


@pytest.fixture
async def connection(request: pytest.FixtureRequest, cosmos_connection: CosmosConnection) -> CosmosConnection:
    if not request.config.getoption("--cosmos-endpoint"):
        pytest.skip("the server from npm cannot; name an account or Microsoft's emulator by --cosmos-endpoint")
    return cosmos_connection


@pytest.fixture
async def store(connection: CosmosConnection, tmp_path: Path) -> AsyncIterator[CosmosState]:
    made = CosmosState(connection, FileArtifacts(tmp_path))
    yield made
    await made.close()


async def test_of_an_import_that_meets_left_overs_nothing_is_written(
    store: CosmosState, connection: CosmosConnection
) -> None:
    await store.create_run(a_run())
    await store.claim_step(a_claim())
    log = await store.read_log("run-1")
    assert log is not None
    container = CosmosContainer(connection, Charges())
    await container.delete("run.run-1", "run-1")
    with pytest.raises(StateCorrupted, match="purge it first"):
        await store.import_run(log)
    assert await store.read_run("run-1") is None
    await container.close()


async def test_the_service_charges_more_for_a_write_than_for_a_read(store: CosmosState) -> None:
    await store.create_run(a_run())
    await store.claim_step(a_claim())
    await store.record_step("run-1", "research", owner="first", result=a_result(), now=after(1))
    log = await store.read_log("run-1")
    assert log is not None
    assert log.request_units is not None
    spent = store.charges.request_units
    assert spent["create"] / 2 > spent["read"] > 0
    assert log.request_units == pytest.approx(sum(spent.values()), abs=0.1)


async def test_the_service_refuses_a_document_that_is_too_large(connection: CosmosConnection) -> None:
    container = CosmosContainer(connection, Charges())
    with pytest.raises(DocumentTooLarge):
        await container.create({"id": "x", "task_id": "x", "body": "x" * 3_000_000}, "x")
    await container.close()
