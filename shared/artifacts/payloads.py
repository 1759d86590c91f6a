"""Large values of orchestrations, kept as artifacts, so that histories and messages between them stay small.

The Durable SDK hands every input and output over its threshold to a `PayloadStore` and sends the token instead. The
artifacts belong to the run whose orchestration they are of, as far as the SDK says which; see `docs/state.md`.
"""

from typing import NoReturn, override

from durabletask.payload.store import LargePayloadStorageOptions, PayloadStore

from shared.artifacts.store import MAX_ARTIFACT_BYTES, ArtifactStore, parse_address
from shared.errors import InvalidRequest

THRESHOLD_BYTES = 48 * 1024
"""As for messages: a history of a hundred such values is still read in one go."""

_TOKEN = "artifact:"  # noqa: S105 - the SDK calls its references tokens
_SHARED_RUN = "payloads"
_CONTENT_TYPE = "application/json"


class ArtifactPayloads(PayloadStore):
    """A `PayloadStore` over an artifact store. Only its async half is there: every function of the app is async."""

    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts
        self._options = LargePayloadStorageOptions(
            threshold_bytes=THRESHOLD_BYTES, max_stored_payload_bytes=MAX_ARTIFACT_BYTES, enable_compression=False
        )

    @property
    @override
    def options(self) -> LargePayloadStorageOptions:
        return self._options

    @override
    async def upload_async(self, data: bytes, *, instance_id: str | None = None) -> str:
        """Keep a payload and return its token. Raises what `ArtifactStore.put` raises."""
        kept = await self._artifacts.put(data, _CONTENT_TYPE, run=instance_id or _SHARED_RUN)
        return _TOKEN + kept.address

    @override
    async def download_async(self, token: str) -> bytes:
        """The payload of a token. Raises what `ArtifactStore.get` raises."""
        return await self._artifacts.get(token.removeprefix(_TOKEN))

    @override
    def is_known_token(self, value: str) -> bool:
        """Whether a value is a token of this store, which no JSON text is."""
        if not value.startswith(_TOKEN):
            return False
        try:
            parse_address(value.removeprefix(_TOKEN))
        except InvalidRequest:
            return False
        return True

    @override
    def upload(self, data: bytes, *, instance_id: str | None = None) -> NoReturn:
        raise TypeError("this app's functions are async, and so are its payloads")

    @override
    def download(self, token: str) -> NoReturn:
        raise TypeError("this app's functions are async, and so are its payloads")
