"""What each store does with entries and files that it cannot read, and what Cosmos DB is told of time and charged."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from shared.errors import StateCorrupted, StoreUnavailable
from shared.memory.cosmos import CosmosMemory, memory_item, memory_item_id
from shared.memory.sqlite import SqliteMemory
from shared.state.charges import Charges
from shared.state.cosmos_container import CosmosConnection, CosmosContainer
from tests.support.documents import NOW, after
from tests.support.memories import SHARED, a_fact

# -- Cosmos DB --------------------------------------------------------------------------------------------------


@pytest.fixture
async def cosmos(cosmos_connection: CosmosConnection) -> AsyncIterator[CosmosMemory]:
    store = CosmosMemory(cosmos_connection)
    yield store
    await store.close()


@pytest.fixture
async def container(cosmos_connection: CosmosConnection) -> AsyncIterator[CosmosContainer]:
    """The container itself, for what somebody else may do with it."""
    made = CosmosContainer(cosmos_connection, Charges())
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        ({"data": "{}"}, "kind"),
        ({"data": "no JSON"}, "JSON"),
        ({"schema_version": 2}, "schema version 2"),
        ({"stamp": "0"}, "do not agree"),
        ({"key": "another"}, "do not agree"),
    ],
)
async def test_a_document_that_was_edited_is_refused_by_name_and_can_still_be_forgotten(
    cosmos: CosmosMemory, container: CosmosContainer, edit: dict[str, Any], told: str
) -> None:
    item = memory_item(a_fact("x", key="k"), NOW)
    await container.create(item | edit, SHARED.path)
    with pytest.raises(StateCorrupted, match=told) as refused:
        await cosmos.read(SHARED, now=NOW)
    assert memory_item_id(SHARED.path, "k") in str(refused.value)
    assert await cosmos.forget_scope(SHARED) == 1
    assert await cosmos.read(SHARED, now=NOW) == ()


async def test_the_service_is_told_how_long_a_document_lives(cosmos: CosmosMemory, container: CosmosContainer) -> None:
    async def ttl() -> object:
        item = await container.read(memory_item_id(SHARED.path, "k"), SHARED.path)
        return item and item["ttl"]

    await cosmos.put(a_fact("x", key="k", lasts=100.5), now=NOW)
    assert await ttl() == 101
    await cosmos.put(a_fact("x", key="k", at=1), now=after(1))
    assert await ttl() == -1
    await cosmos.put(a_fact("x", key="k", at=2, lasts=10), now=after(2))
    assert await ttl() == 10


async def test_a_new_entry_is_a_create_and_a_count_and_a_later_one_a_create_and_a_patch(cosmos: CosmosMemory) -> None:
    await cosmos.put(a_fact("x", key="k"), now=NOW)
    assert dict(cosmos.charges.operations) == {"create": 1, "query": 1}
    await cosmos.put(a_fact("y", key="k", at=1), now=after(1))
    assert dict(cosmos.charges.operations) == {"create": 2, "query": 1, "patch": 1}
    await cosmos.read(SHARED, now=after(1))
    assert cosmos.charges.operations["query"] == 2


# -- SQLite -----------------------------------------------------------------------------------------------------


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteMemory]:
    store = SqliteMemory(tmp_path / "memory.db")
    yield store
    await store.close()


def changed(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement)


async def test_a_row_that_was_edited_is_refused_by_name_and_can_still_be_forgotten(
    sqlite: SqliteMemory, tmp_path: Path
) -> None:
    await sqlite.put(a_fact("x", key="k"), now=NOW)
    changed(tmp_path / "memory.db", """update memories set body = '{"kind": "fact"}'""")
    with pytest.raises(StateCorrupted, match="acme/shared holds as k"):
        await sqlite.read(SHARED, now=NOW)
    assert await sqlite.forget_scope(SHARED) == 1


async def test_a_file_of_a_later_version_is_left_as_it_is(sqlite: SqliteMemory, tmp_path: Path) -> None:
    changed(tmp_path / "memory.db", "pragma user_version = 9")
    before = (tmp_path / "memory.db").read_bytes()
    with pytest.raises(StateCorrupted, match="schema version 9"):
        await sqlite.put(a_fact("x"), now=NOW)
    assert (tmp_path / "memory.db").read_bytes() == before


async def test_a_file_that_is_no_database_is_refused(sqlite: SqliteMemory, tmp_path: Path) -> None:
    (tmp_path / "memory.db").write_bytes(b"no database" * 100)
    with pytest.raises(StateCorrupted, match=r"memory\.db cannot be read"):
        await sqlite.read(SHARED, now=NOW)


async def test_a_folder_that_cannot_be_made_is_worth_another_attempt(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = SqliteMemory(tmp_path / "file" / "memory.db")
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        await store.read(SHARED, now=NOW)
    await store.close()


async def test_what_is_forgotten_or_over_is_not_in_the_file_any_more(sqlite: SqliteMemory, tmp_path: Path) -> None:
    await sqlite.put(a_fact("a-secret", key="k"), now=NOW)
    await sqlite.put(a_fact("a-whisper", lasts=1), now=NOW)
    await sqlite.put(a_fact("stays", at=5), now=after(5))
    await sqlite.forget(SHARED, "k")
    await sqlite.close()
    content = b"".join(path.read_bytes() for path in tmp_path.glob("memory.db*"))
    assert b"stays" in content
    assert b"a-secret" not in content
    assert b"a-whisper" not in content
