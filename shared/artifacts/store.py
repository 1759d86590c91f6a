"""The artifact store: large values kept once under an address made from their content."""

import hashlib
import re
from typing import Protocol

from shared.contracts import ArtifactRef
from shared.errors import ArtifactCorrupted, InvalidRequest

_ADDRESS = re.compile(r"sha256:[0-9a-f]{64}")


class ArtifactStore(Protocol):
    """Keeps bytes under the hash of those bytes, so that storing the same twice is storing it once."""

    async def put(self, content: bytes, content_type: str) -> ArtifactRef:
        """Store `content` durably and return its reference. Raises `StoreUnavailable`."""
        ...

    async def get(self, address: str) -> bytes:
        """The bytes stored at `address`.

        Raises `NotFound`, `ArtifactCorrupted` when the bytes no longer match their address, `InvalidRequest` when
        that is no address, and `StoreUnavailable`.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


def address_of(content: bytes) -> str:
    """The address that `content` is stored at."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def digest_of(address: str) -> str:
    """The hexadecimal digest in an address. Raises `InvalidRequest`."""
    if not _ADDRESS.fullmatch(address):
        raise InvalidRequest(f"not an artifact address: {address[:80]!r}", field="address")
    return address.removeprefix("sha256:")


def verified(content: bytes, address: str) -> bytes:
    """`content`, once it is shown to be what `address` names. Raises `ArtifactCorrupted`."""
    if address_of(content) != address:
        raise ArtifactCorrupted(f"the bytes stored at {address} are not those that were put there")
    return content
