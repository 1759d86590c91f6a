"""The embedded artifact store's folder: out of reach, in the way, left tidy."""

from pathlib import Path

import pytest

from shared.artifacts.files import FileArtifacts
from shared.artifacts.store import address_of
from shared.errors import StoreUnavailable


async def test_nothing_is_touched_until_something_is_put(tmp_path: Path) -> None:
    store = FileArtifacts(tmp_path / "artifacts")
    assert not (tmp_path / "artifacts").exists()
    await store.put(b"x", "text/plain")
    assert (tmp_path / "artifacts").is_dir()


async def test_only_whole_artifacts_are_left_behind(tmp_path: Path) -> None:
    store = FileArtifacts(tmp_path)
    for number in range(5):
        await store.put(b"%d" % number, "text/plain")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(address_of(path.read_bytes()) for path in files) == sorted(
        f"sha256:{path.parent.name}{path.name}" for path in files
    )
    assert len(files) == 5


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = FileArtifacts(tmp_path / "file")
    with pytest.raises(StoreUnavailable):
        await store.put(b"x", "text/plain")
    with pytest.raises(StoreUnavailable):
        await store.get(address_of(b"x"))


async def test_a_folder_where_a_file_should_be_is_unavailable_and_nothing_is_left_behind(tmp_path: Path) -> None:
    digest = address_of(b"x").removeprefix("sha256:")
    obstacle = tmp_path / digest[:2] / digest[2:]
    obstacle.mkdir(parents=True)
    store = FileArtifacts(tmp_path)
    for call in (store.put(b"x", "text/plain"), store.get(address_of(b"x"))):
        with pytest.raises(StoreUnavailable, match=digest[2:]):
            await call
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_an_artifact_is_put_in_place_whole_and_never_written_over(tmp_path: Path) -> None:
    """Whoever has the old file open goes on reading the old file."""
    digest = address_of(b"tides").removeprefix("sha256:")
    path = tmp_path / digest[:2] / digest[2:]
    path.parent.mkdir()
    path.write_bytes(b"damaged")
    with path.open("rb") as reader:
        await FileArtifacts(tmp_path).put(b"tides", "text/plain")
        assert reader.read() == b"damaged"
    assert path.read_bytes() == b"tides"
