"""The embedded twin of the artifact store: a folder for each run, with files named by their content."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import IO

from shared.artifacts.store import (
    CHUNK_BYTES,
    Place,
    folder_of,
    parse_address,
    place_of,
    spooled,
    verified,
    verified_stream,
)
from shared.contracts import ArtifactRef
from shared.errors import NotFound, StoreUnavailable


class FileArtifacts:
    """Artifacts as files under `root`. A file appears whole or not at all."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, content: bytes, content_type: str, *, run: str) -> ArtifactRef:
        """Store `content` and return its reference; see `ArtifactStore.put`."""
        place = place_of(content, run)
        await asyncio.to_thread(_write_once, self._path(place), content)
        return self._reference(place, len(content), content_type)

    async def put_at(self, address: str, content: bytes, content_type: str) -> ArtifactRef:
        """Store `content` at its address; see `ArtifactStore.put_at`."""
        place = parse_address(address)
        await asyncio.to_thread(_write_once, self._path(place), verified(content, place))
        return self._reference(place, len(content), content_type)

    async def put_stream(self, chunks: AsyncIterable[bytes], content_type: str, *, run: str) -> ArtifactRef:
        """Store what comes in pieces; see `ArtifactStore.put_stream`."""
        async with spooled(chunks, run) as taken:
            await asyncio.to_thread(_place, self._path(taken.place), taken.file)
            return self._reference(taken.place, taken.size, content_type)

    async def get(self, address: str) -> bytes:
        """The bytes at `address`; see `ArtifactStore.get`."""
        place = parse_address(address)
        with await asyncio.to_thread(self._opened, place) as file:
            try:
                return verified(await asyncio.to_thread(file.read), place)
            except OSError as error:
                raise StoreUnavailable(f"cannot read the artifact at {self._path(place)}: {error}") from error

    async def open(self, address: str) -> AsyncIterator[bytes]:
        """The bytes at `address` in pieces; see `ArtifactStore.open`."""
        place = parse_address(address)
        async for chunk in verified_stream(self._chunks(place), place):
            yield chunk

    async def delete_run(self, run: str) -> int:
        """Delete the run's folder; see `ArtifactStore.delete_run`."""
        folder = self._root / folder_of(run)
        try:
            return await asyncio.to_thread(_delete, folder)
        except OSError as error:
            raise StoreUnavailable(f"cannot delete the artifacts in {folder}: {error}") from error

    async def close(self) -> None:
        """Nothing is held open."""

    async def _chunks(self, place: Place) -> AsyncIterator[bytes]:
        with await asyncio.to_thread(self._opened, place) as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk

    def _opened(self, place: Place) -> IO[bytes]:
        path = self._path(place)
        try:
            return path.open("rb")
        except FileNotFoundError:
            raise NotFound(f"no artifact at {place.address}") from None
        except OSError as error:
            raise StoreUnavailable(f"cannot read the artifact at {path}: {error}") from error

    def _path(self, place: Place) -> Path:
        return self._root / place.folder / place.digest

    def _reference(self, place: Place, size: int, content_type: str) -> ArtifactRef:
        location = self._path(place).resolve().as_uri()
        return ArtifactRef(address=place.address, size=size, content_type=content_type, location=location)


def _write_once(path: Path, content: bytes) -> None:
    try:
        if path.exists() and path.read_bytes() == content:
            return
        with tempfile.SpooledTemporaryFile(max_size=len(content) + 1) as file:
            file.write(content)
            file.seek(0)
            _place(path, file)
    except OSError as error:
        raise StoreUnavailable(f"cannot write the artifact at {path}: {error}") from error


def _place(path: Path, content: IO[bytes]) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".put-")
        try:
            with os.fdopen(handle, "wb") as file:
                shutil.copyfileobj(content, file, CHUNK_BYTES)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"cannot write the artifact at {path}: {error}") from error


def _delete(folder: Path) -> int:
    if not folder.is_dir():
        return 0
    count = sum(1 for path in folder.iterdir() if not path.name.startswith("."))
    shutil.rmtree(folder)
    return count
