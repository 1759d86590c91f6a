"""The embedded twin of the artifact store: a folder of files named by their content."""

import asyncio
import os
import tempfile
from pathlib import Path

from shared.artifacts.store import address_of, digest_of, verified
from shared.contracts import ArtifactRef
from shared.errors import NotFound, StoreUnavailable


class FileArtifacts:
    """Artifacts as files under `root`, two levels deep. A file appears whole or not at all."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, content: bytes, content_type: str) -> ArtifactRef:
        """Store `content` and return its reference; see `ArtifactStore.put`."""
        address = address_of(content)
        path = self._path(address)
        await asyncio.to_thread(_write_once, path, content)
        return ArtifactRef(
            address=address, size=len(content), content_type=content_type, location=path.resolve().as_uri()
        )

    async def get(self, address: str) -> bytes:
        """The bytes at `address`; see `ArtifactStore.get`."""
        path = self._path(address)
        try:
            content = await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            raise NotFound(f"no artifact at {address}") from None
        except OSError as error:
            raise StoreUnavailable(f"cannot read the artifact at {path}: {error}") from error
        return verified(content, address)

    async def close(self) -> None:
        """Nothing is held open."""

    def _path(self, address: str) -> Path:
        digest = digest_of(address)
        return self._root / digest[:2] / digest[2:]


def _write_once(path: Path, content: bytes) -> None:
    try:
        if path.exists() and path.read_bytes() == content:
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".put-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"cannot write the artifact at {path}: {error}") from error
