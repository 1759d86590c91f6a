"""The artifact stores that the contract is held against: files, and Blob Storage through the stock client."""

import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from azure.storage.blob.aio import BlobServiceClient

from scripts.node_packages import NodeUnavailable
from shared.artifacts.blob import BlobArtifacts, Container
from shared.artifacts.files import FileArtifacts
from shared.artifacts.store import ArtifactStore, parse_address
from tests.support.azurite import azurite, make_container


class Kept:
    """A store over fresh data, and the way to change what it keeps behind its back."""

    def __init__(self, store: ArtifactStore, damage: Callable[[str, bytes], Awaitable[None]]) -> None:
        self.store = store
        self.damage = damage


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def blob_service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str | NodeUnavailable]:
    """The connection string of an emulator that all tests of a process share, or why there is none."""
    try:
        async with azurite(tmp_path_factory.mktemp("azurite")) as connection:
            yield connection
    except NodeUnavailable as reason:
        yield reason


async def _files(root: Path) -> AsyncIterator[Kept]:
    async def damage(address: str, content: bytes) -> None:
        place = parse_address(address)
        (root / place.folder / place.digest).write_bytes(content)

    yield Kept(FileArtifacts(root), damage)


async def _blobs(connection: str) -> AsyncIterator[Kept]:
    name = f"artifacts-{uuid.uuid4().hex}"
    await make_container(connection, name)
    async with BlobServiceClient.from_connection_string(connection) as service:

        async def damage(address: str, content: bytes) -> None:
            place = parse_address(address)
            blob = service.get_blob_client(name, f"{place.folder}/{place.digest}")
            await blob.upload_blob(content, overwrite=True)

        store = BlobArtifacts(Container(connection_string=connection, name=name))
        yield Kept(store, damage)
        await store.close()


@pytest_asyncio.fixture(params=["files", "blob"], loop_scope="package")
async def kept(
    request: pytest.FixtureRequest, tmp_path: Path, blob_service: str | NodeUnavailable
) -> AsyncIterator[Kept]:
    """A store over fresh data. Where nobody sees skips, to have no emulator is a failure."""
    if request.param == "files":
        stores = _files(tmp_path / "artifacts")
    elif isinstance(blob_service, str):
        stores = _blobs(blob_service)
    elif os.environ.get("CI"):
        pytest.fail(str(blob_service), pytrace=False)
    else:
        pytest.skip(str(blob_service))
    async for each in stores:
        yield each


@pytest.fixture
def store(kept: Kept) -> ArtifactStore:
    """The store alone."""
    return kept.store
