"""The embedded artifact store's folder: out of reach, in the way, left tidy."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.artifacts.files import FileArtifacts
from shared.artifacts.store import place_of
from shared.errors import StoreUnavailable

PLACE = place_of(b"x", "run-1")


async def drained(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def test_nothing_is_touched_until_something_is_put(tmp_path: Path) -> None:
    store = FileArtifacts(tmp_path / "artifacts")
    assert not (tmp_path / "artifacts").exists()
    await store.put(b"x", "text/plain", run="run-1")
    assert (tmp_path / "artifacts").is_dir()


async def test_only_whole_artifacts_are_left_behind(tmp_path: Path) -> None:
    store = FileArtifacts(tmp_path)
    for number in range(5):
        await store.put(b"%d" % number, "text/plain", run="run-1")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(place_of(path.read_bytes(), "run-1").digest for path in files) == sorted(path.name for path in files)
    assert len(files) == 5


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = FileArtifacts(tmp_path / "file")
    for call in (
        store.put(b"x", "text/plain", run="run-1"),
        store.get(PLACE.address),
        drained(store.open(PLACE.address)),
    ):
        with pytest.raises(StoreUnavailable):
            await call


async def test_a_folder_where_a_file_should_be_is_unavailable_and_nothing_is_left_behind(tmp_path: Path) -> None:
    obstacle = tmp_path / PLACE.folder / PLACE.digest
    obstacle.mkdir(parents=True)
    store = FileArtifacts(tmp_path)
    for call in (store.put(b"x", "text/plain", run="run-1"), store.get(PLACE.address)):
        with pytest.raises(StoreUnavailable, match=PLACE.digest):
            await call
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_an_artifact_is_put_in_place_whole_and_never_written_over(tmp_path: Path) -> None:
    """Whoever has the old file open goes on reading the old file."""
    path = tmp_path / PLACE.folder / PLACE.digest
    path.parent.mkdir()
    path.write_bytes(b"damaged")
    with path.open("rb") as reader:
        await FileArtifacts(tmp_path).put(b"x", "text/plain", run="run-1")
        assert reader.read() == b"damaged"
    assert path.read_bytes() == b"x"
