"""Which memory store the settings choose: the one that lies beside the runs."""

from dataclasses import replace

from shared import names
from shared.memory.cosmos import CosmosMemory
from shared.memory.sqlite import SqliteMemory
from shared.memory.store import MemoryStore
from shared.settings import Settings
from shared.state.choice import cosmos_connection, uses_cosmos


def memory_store(settings: Settings) -> MemoryStore:
    """The store that keeps what agents remember; nothing is opened or reached yet. Raises `ConfigurationError`."""
    if uses_cosmos(settings):
        return CosmosMemory(replace(cosmos_connection(settings), container=names.COSMOS_MEMORY))
    return SqliteMemory(settings.data_dir / "memory.db")
