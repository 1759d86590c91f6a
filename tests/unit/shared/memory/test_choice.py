"""Memory lies beside the runs, wherever the settings put those."""

from pathlib import Path

from shared.memory.choice import memory_store
from shared.memory.cosmos import CosmosMemory
from shared.memory.sqlite import SqliteMemory
from shared.settings import Settings

STRING = "AccountEndpoint=http://localhost:8081/;AccountKey=c2VjcmV0PT0=;"


def test_memory_is_kept_where_runs_are() -> None:
    assert isinstance(memory_store(Settings.read({})), SqliteMemory)
    assert isinstance(memory_store(Settings.read({"CosmosConnection": STRING})), CosmosMemory)


def test_nothing_is_made_before_it_is_used(tmp_path: Path) -> None:
    memory_store(Settings.read({"MUSTER_DATA_DIR": str(tmp_path / "data")}))
    assert list(tmp_path.iterdir()) == []
