"""The contract of the memory store. Two stores fulfil it: Cosmos DB, and one embedded in SQLite.

No call sees an entry whose time is over by the `now` that it is given, or one of another scope. All calls raise
`StoreUnavailable` when the store does not answer, and `StateCorrupted` for an entry that cannot be read.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from shared.memory.entries import Fact, Scope, Turn


class MemoryStore(Protocol):
    """Keeps entries by scope and key."""

    async def put(self, entry: Fact | Turn, *, now: datetime) -> bool:
        """Keep an entry, in place of an earlier one under its key; False, and no change, when a later one is there.

        Whatever the order in which entries under one key arrive, the one with the greatest stamp stays. A scope that
        is full forgets its oldest entry.
        """
        ...

    async def read(self, scope: Scope, *, now: datetime, words: Sequence[str] = ()) -> tuple[Fact | Turn, ...]:
        """The entries of a scope, the oldest first; of facts with `words` only those that have one of them whole."""
        ...

    async def forget(self, scope: Scope, key: str) -> bool:
        """Remove one entry; False when there is none."""
        ...

    async def forget_scope(self, scope: Scope) -> int:
        """Remove all entries of a scope; how many there were, those included whose time was over."""
        ...

    async def forget_tenant(self, tenant: str) -> int:
        """Remove everything of a tenant, in all its scopes; how many entries there were.

        What is left by a call that was broken off, another one removes.
        """
        ...

    async def close(self) -> None:
        """Let go of what is held open."""
        ...
