"""The artifact stores that the contract is held against."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from shared.artifacts.files import FileArtifacts
from shared.artifacts.store import ArtifactStore


class Kept:
    """A store over fresh data, and the way to change what it keeps behind its back."""

    def __init__(self, store: ArtifactStore, damage: Callable[[str, bytes], None]) -> None:
        self.store = store
        self.damage = damage


@pytest.fixture(params=["files"])
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kept]:
    """A store over fresh data."""
    assert request.param == "files"
    root = tmp_path / "artifacts"

    def damage(address: str, content: bytes) -> None:
        digest = address.removeprefix("sha256:")
        (root / digest[:2] / digest[2:]).write_bytes(content)

    store = FileArtifacts(root)
    yield Kept(store, damage)
    await store.close()


@pytest.fixture
def store(kept: Kept) -> ArtifactStore:
    """The store alone."""
    return kept.store
