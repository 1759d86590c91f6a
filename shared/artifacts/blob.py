"""The artifact store on Azure Blob Storage: a blob for each artifact, named by its run and its content.

The container is made by the templates, never by the app. `azure.storage.blob` is imported on the first call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Any

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
from shared.credentials import entra_credential
from shared.errors import ConfigurationError, MusterError, NotFound, StoreUnavailable

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

_CONNECT_SECONDS = 10
_READ_SECONDS = 60
# The transport sends a block in one go, and holds up the event loop with blocks that are larger.
_BLOCK_BYTES = CHUNK_BYTES


@dataclass(frozen=True, slots=True)
class Container:
    """Where artifacts go: the container's URL, reached with an identity, or a connection string and its name."""

    url: str | None = None
    client_id: str | None = None
    connection_string: str | None = None
    name: str = "artifacts"

    def __repr__(self) -> str:
        return f"Container({self.url or self.name})"


class BlobArtifacts:
    """Artifacts in one container."""

    def __init__(self, container: Container, *, retries: int = 3) -> None:
        """`retries` is how often the client repeats a request that the service did not answer, or said to repeat."""
        self._where = container
        self._retries = retries
        self._client: ContainerClient | None = None

    async def put(self, content: bytes, content_type: str, *, run: str) -> ArtifactRef:
        """Store `content` and return its reference; see `ArtifactStore.put`."""
        place = place_of(content, run)
        return await self._upload(place, content, len(content), content_type)

    async def put_at(self, address: str, content: bytes, content_type: str) -> ArtifactRef:
        """Store `content` at its address; see `ArtifactStore.put_at`."""
        place = parse_address(address)
        return await self._upload(place, verified(content, place), len(content), content_type)

    async def put_stream(self, chunks: AsyncIterable[bytes], content_type: str, *, run: str) -> ArtifactRef:
        """Store what comes in pieces; see `ArtifactStore.put_stream`."""
        async with spooled(chunks, run) as taken:
            return await self._upload(taken.place, taken.file, taken.size, content_type)

    async def get(self, address: str) -> bytes:
        """The bytes at `address`; see `ArtifactStore.get`."""
        place = parse_address(address)
        content = b"".join([chunk async for chunk in self._chunks(place)])
        return await asyncio.to_thread(verified, content, place)

    async def open(self, address: str) -> AsyncIterator[bytes]:
        """The bytes at `address` in pieces; see `ArtifactStore.open`."""
        place = parse_address(address)
        async for chunk in verified_stream(self._chunks(place), place):
            yield chunk

    async def delete_run(self, run: str) -> int:
        """Delete the blobs of the run; see `ArtifactStore.delete_run`."""
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        client, count = self._connected(), 0
        try:
            async for name in client.list_blob_names(name_starts_with=folder_of(run) + "/"):
                count += 1
                try:
                    await client.delete_blob(name)
                except ResourceNotFoundError:
                    # Another purge of the same run was faster.
                    continue
        except AzureError as error:
            raise _translated(error, self._where) from error
        return count

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _upload(self, place: Place, content: bytes | IO[bytes], size: int, content_type: str) -> ArtifactRef:
        from azure.core.exceptions import AzureError
        from azure.storage.blob import ContentSettings

        blob = self._connected().get_blob_client(_blob_name(place))
        try:
            # Writing over what is there already mends it, and is the same bytes otherwise.
            await blob.upload_blob(
                content, length=size, overwrite=True, content_settings=ContentSettings(content_type=content_type)
            )
        except AzureError as error:
            raise _translated(error, self._where) from error
        return ArtifactRef(address=place.address, size=size, content_type=content_type, location=blob.url)

    async def _chunks(self, place: Place) -> AsyncIterator[bytes]:
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        try:
            download = await self._connected().download_blob(_blob_name(place))
            async for chunk in download.chunks():
                yield chunk
        except ResourceNotFoundError as error:
            if _code(error) == "BlobNotFound":
                raise NotFound(f"no artifact at {place.address}") from None
            raise _translated(error, self._where) from error
        except AzureError as error:
            raise _translated(error, self._where) from error

    def _connected(self) -> ContainerClient:
        from azure.storage.blob.aio import ContainerClient

        if self._client is None:
            options: dict[str, Any] = {
                "connection_timeout": _CONNECT_SECONDS,
                "read_timeout": _READ_SECONDS,
                "retry_total": self._retries,
                "max_single_put_size": _BLOCK_BYTES,
                "max_block_size": _BLOCK_BYTES,
            }
            if self._where.url is not None:
                credential = entra_credential(self._where.client_id)
                self._client = ContainerClient.from_container_url(self._where.url, credential, **options)
            elif self._where.connection_string is not None:
                try:
                    self._client = ContainerClient.from_connection_string(
                        self._where.connection_string, self._where.name, **options
                    )
                except ValueError as error:
                    raise ConfigurationError(f"MUSTER_ARTIFACTS_CONNECTION cannot be used: {error}") from error
            else:
                raise ConfigurationError("set MUSTER_ARTIFACTS_URL, or MUSTER_ARTIFACTS_CONNECTION")
        return self._client


def _blob_name(place: Place) -> str:
    return f"{place.folder}/{place.digest}"


def _translated(error: Exception, where: Container) -> MusterError:
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError

    match error:
        case ResourceNotFoundError():
            return ConfigurationError(f"there is no {where!r}: {_code(error) or error.message}")
        case ClientAuthenticationError():
            return ConfigurationError(f"{where!r} refused this app's identity or key: {error.message}")
        case HttpResponseError() if error.status_code == 403:
            return ConfigurationError(f"{where!r} refused this app's identity or key: {error.message}")
        case HttpResponseError():
            return StoreUnavailable(
                f"{where!r} answered HTTP {error.status_code}: {error.message}", retry_after=_retry_after(error)
            )
        case _:
            return StoreUnavailable(f"{where!r} cannot be reached: {error}")


def _code(error: Exception) -> str:
    """The service's own code, which its client adds to the errors that it raises."""
    return str(getattr(error, "error_code", "") or "")


def _retry_after(error: Exception) -> timedelta | None:
    response = getattr(error, "response", None)
    try:
        return timedelta(seconds=float(response.headers["retry-after"])) if response is not None else None
    except (KeyError, ValueError, OverflowError):
        return None
