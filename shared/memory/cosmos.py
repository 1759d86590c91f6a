"""The memory store in Cosmos DB: one partition for each scope, a document for each entry.

A write is a create, or a patch that the service makes only over an earlier entry; so nobody reads before they write,
and many may write at once. A document is the entry as JSON text and a head of what queries and conditions look at.
The service deletes what is over by its time to live; until it has, no query finds it.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import batched
from math import ceil
from typing import Any

from pydantic import ValidationError

from shared.errors import StateCorrupted, StoreUnavailable
from shared.memory.entries import MAX_ENTRIES, MEMORY, Fact, Scope, Turn, microseconds
from shared.memory.search import searched_words
from shared.state.charges import Charges
from shared.state.cosmos_container import AlreadyThere, Changed, CosmosConnection, CosmosContainer, Item, NotThere

SCHEMA_VERSION = 1
_ROUNDS = 4
_FOR_EVER = -1
_DELETED_AT_ONCE = 20
_LIVES = "(c.expires_at = null or c.expires_at > @now)"


class CosmosMemory:
    """Entries in one container; each scope keeps the newest `limits` of a kind. Connects on first use.

    `charges` counts what every operation cost.
    """

    def __init__(self, connection: CosmosConnection, *, limits: Mapping[str, int] = MAX_ENTRIES) -> None:
        self.charges = Charges()
        self._container = CosmosContainer(connection, self.charges)
        self._limits = limits

    async def put(self, entry: Fact | Turn, *, now: datetime) -> bool:
        """Create the document, or patch an earlier one; see `MemoryStore.put`."""
        item, scope = memory_item(entry, now), entry.scope.path
        for _ in range(_ROUNDS):
            try:
                await self._container.create(item, scope)
            except AlreadyThere:
                written = await self._replace(item, scope)
                if written is not None:
                    return written
            else:
                await self._make_room(scope, self._limits[entry.kind], now)
                return True
        raise StoreUnavailable(f"an entry of {scope} changed under every try to change it")

    async def read(self, scope: Scope, *, now: datetime, words: Sequence[str] = ()) -> tuple[Fact | Turn, ...]:
        """One query over the scope's partition; see `MemoryStore.read`."""
        conditions, parameters = ["c.scope = @scope", _LIVES], {"scope": scope.path, "now": microseconds(now)}
        if words:
            conditions.append(f"({' or '.join(f'contains(c.words, @word{n})' for n in range(len(words)))})")
        given: dict[str, Any] = parameters | {f"word{n}": f" {word} " for n, word in enumerate(words)}
        items = await self._query(f"select * from c where {' and '.join(conditions)}", given, scope.path)
        entries = [entry_of(item) for item in items]
        return tuple(sorted(entries, key=lambda entry: (microseconds(entry.at), entry.key)))

    async def forget(self, scope: Scope, key: str) -> bool:
        """Delete one document; see `MemoryStore.forget`."""
        return await self._container.delete(memory_item_id(scope.path, key), scope.path)

    async def forget_scope(self, scope: Scope) -> int:
        """Delete the documents of a partition; see `MemoryStore.forget_scope`."""
        text = "select c.id, c.scope from c where c.scope = @scope"
        return await self._delete(await self._query(text, {"scope": scope.path}, scope.path))

    async def forget_tenant(self, tenant: str) -> int:
        """Delete the documents of all partitions of a tenant; see `MemoryStore.forget_tenant`."""
        text = "select c.id, c.scope from c where c.tenant = @tenant"
        return await self._delete(await self._query(text, {"tenant": tenant}, None))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._container.close()

    async def _query(self, text: str, parameters: Mapping[str, Any], partition: str | None) -> list[Item]:
        return await self._container.query(text, parameters, partition=partition)

    async def _replace(self, item: Item, scope: str) -> bool | None:
        """Patch an earlier entry; None when there is none any more."""
        changes = [
            {"op": "set", "path": f"/{name}", "value": value}
            for name, value in item.items()
            if name not in ("id", "scope", "tenant", "kind", "key")
        ]
        try:
            await self._container.patch(item["id"], scope, changes, condition=f"c.stamp < '{item['stamp']}'")
        except Changed:
            return False
        except NotThere:
            return None
        return True

    async def _make_room(self, scope: str, limit: int, now: datetime) -> None:
        """Delete the oldest entries of a scope that is full; those that are over count as the oldest."""
        [count] = await self._container.query(
            "select value count(1) from c where c.scope = @scope", {"scope": scope}, partition=scope
        )
        if count <= limit:
            return
        text = "select c.id, c.scope, c.key, c.at, c.expires_at from c where c.scope = @scope"
        items = await self._query(text, {"scope": scope}, scope)
        items.sort(key=lambda item: (_lives(item, now), item["at"], item["key"]))
        await self._delete(items[: len(items) - limit])

    async def _delete(self, items: Sequence[Item]) -> int:
        deleted = 0
        for some in batched(items, _DELETED_AT_ONCE, strict=False):
            calls = (self._container.delete(str(item["id"]), str(item["scope"])) for item in some)
            deleted += sum(await asyncio.gather(*calls))
        return deleted


def memory_item_id(scope: str, key: str) -> str:
    """The id of an entry's document. Ids are unique in the whole container."""
    return hashlib.sha256(f"{scope}\n{key}".encode()).hexdigest()[:40]


def memory_item(entry: Fact | Turn, now: datetime) -> Item:
    """An entry as it is stored. Its time to live is counted by the service, from its write."""
    over = entry.expires_at
    return {
        "id": memory_item_id(entry.scope.path, entry.key),
        "scope": entry.scope.path,
        "tenant": entry.scope.tenant,
        "kind": entry.kind,
        "key": entry.key,
        "schema_version": SCHEMA_VERSION,
        "stamp": entry.stamp,
        "at": microseconds(entry.at),
        "expires_at": None if over is None else microseconds(over),
        "words": searched_words(entry.text) if isinstance(entry, Fact) else "",
        "data": entry.model_dump_json(),
        "ttl": _FOR_EVER if over is None else max(1, ceil((over - now) / timedelta(seconds=1))),
    }


def entry_of(item: Item) -> Fact | Turn:
    """A document as the entry that it is. Raises `StateCorrupted` when its head and its body do not agree."""
    try:
        entry = MEMORY.validate_json(str(item.get("data")))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise _corrupted(item, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None
    if item.get("schema_version") != SCHEMA_VERSION:
        raise _corrupted(item, f"it has schema version {item.get('schema_version')}; this app reads {SCHEMA_VERSION}")
    if (item.get("scope"), item.get("key"), item.get("stamp")) != (entry.scope.path, entry.key, entry.stamp):
        raise _corrupted(item, "its head and its body do not agree")
    return entry


def _lives(item: Item, now: datetime) -> bool:
    return item["expires_at"] is None or item["expires_at"] > microseconds(now)


def _corrupted(item: Item, why: str) -> StateCorrupted:
    return StateCorrupted(f"document {item.get('id')} of memory {item.get('scope')} cannot be read: {why}")
