"""The artifact store: large values kept once in a run, under an address made from the run and their content.

An artifact belongs to the run that made it, so that purging a run can take its artifacts along without asking whether
another run needs them.
"""

import hashlib
import re
import tempfile
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO, Protocol
from urllib.parse import quote

from shared.contracts import ArtifactRef
from shared.errors import ArtifactCorrupted, ArtifactTooLarge, InvalidRequest

MAX_ARTIFACT_BYTES = 256 * 1024 * 1024
"""What a person downloads in one piece, and what still fits on the disk of the smallest instance."""

CHUNK_BYTES = 1024 * 1024
"""How much of a stream is held in memory at once."""

_ADDRESS = re.compile(r"(?P<folder>[A-Za-z0-9_~%-][A-Za-z0-9._~%-]{0,199})/sha256:(?P<digest>[0-9a-f]{64})", re.ASCII)
_LONGEST_FOLDER = 150
_IN_MEMORY_BYTES = 4 * CHUNK_BYTES


class ArtifactStore(Protocol):
    """Keeps bytes under the hash of those bytes, so that storing the same twice in a run is storing it once."""

    async def put(self, content: bytes, content_type: str, *, run: str) -> ArtifactRef:
        """Store `content` durably for a run and return its reference.

        Raises `ArtifactTooLarge` over `MAX_ARTIFACT_BYTES`, and `StoreUnavailable`.
        """
        ...

    async def put_stream(self, chunks: AsyncIterable[bytes], content_type: str, *, run: str) -> ArtifactRef:
        """The same for content that comes in pieces, of which only a few are held in memory at once."""
        ...

    async def put_at(self, address: str, content: bytes, content_type: str) -> ArtifactRef:
        """Store `content` at the address that it had in another store.

        Raises `InvalidRequest` when it is no address, `ArtifactCorrupted` when it is not this content's, and what
        `put` raises.
        """
        ...

    async def get(self, address: str) -> bytes:
        """The bytes stored at `address`.

        Raises `NotFound`, `ArtifactCorrupted` when the bytes no longer match their address, `InvalidRequest` when
        that is no address, and `StoreUnavailable`.
        """
        ...

    def open(self, address: str) -> AsyncIterator[bytes]:
        """The same in pieces, at the first of which the errors of `get` are raised.

        That the bytes are damaged is known only at their end: `ArtifactCorrupted` is raised instead of ending.
        """
        ...

    async def delete_run(self, run: str) -> int:
        """Delete every artifact of a run and return how many there were. Raises `StoreUnavailable`."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where an artifact lies: its run's folder, and the hexadecimal digest of its content."""

    folder: str
    digest: str

    @property
    def address(self) -> str:
        """The address that names this place."""
        return f"{self.folder}/sha256:{self.digest}"


def folder_of(run: str) -> str:
    """The folder of a run's artifacts: its id with every character that a path may not have written as `%XX`."""
    quoted = quote(run, safe="").replace(".", "%2E")
    return quoted if 0 < len(quoted) <= _LONGEST_FOLDER else "sha256-" + hashlib.sha256(run.encode()).hexdigest()


def place_of(content: bytes, run: str) -> Place:
    """The place that `content` has in a run. Raises `ArtifactTooLarge`."""
    if len(content) > MAX_ARTIFACT_BYTES:
        raise ArtifactTooLarge(f"an artifact may have {MAX_ARTIFACT_BYTES} bytes, not {len(content)}")
    return Place(folder_of(run), hashlib.sha256(content).hexdigest())


def is_address(text: str) -> bool:
    """Whether a text is the address of an artifact."""
    return _ADDRESS.fullmatch(text) is not None


def parse_address(address: str) -> Place:
    """The place that an address names. Raises `InvalidRequest`."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise InvalidRequest(f"not an artifact address: {address[:80]!r}", field="address")
    return Place(found["folder"], found["digest"])


def verified(content: bytes, place: Place) -> bytes:
    """`content`, once it is shown to be what belongs there. Raises `ArtifactCorrupted`."""
    if hashlib.sha256(content).hexdigest() != place.digest:
        raise ArtifactCorrupted(f"the bytes stored at {place.address} are not those that were put there")
    return content


async def verified_stream(chunks: AsyncIterable[bytes], place: Place) -> AsyncIterator[bytes]:
    """`chunks`, and `ArtifactCorrupted` at their end when they are not what belongs there."""
    digest = hashlib.sha256()
    async for chunk in chunks:
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != place.digest:
        raise ArtifactCorrupted(f"the bytes stored at {place.address} are not those that were put there")


@dataclass(frozen=True, slots=True)
class Spooled:
    """A stream that has been taken in: a file to be read from its beginning, and what is known of it."""

    file: IO[bytes]
    place: Place
    size: int


@asynccontextmanager
async def spooled(chunks: AsyncIterable[bytes], run: str) -> AsyncIterator[Spooled]:
    """Take a stream in, on disk once it is large: its address is known only when all of it is there.

    Raises `ArtifactTooLarge` as soon as it is.
    """
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as file:
        digest, size = hashlib.sha256(), 0
        async for chunk in chunks:
            size += len(chunk)
            if size > MAX_ARTIFACT_BYTES:
                raise ArtifactTooLarge(f"an artifact may have {MAX_ARTIFACT_BYTES} bytes, and this one has more")
            digest.update(chunk)
            file.write(chunk)
        file.seek(0)
        yield Spooled(file, Place(folder_of(run), digest.hexdigest()), size)
