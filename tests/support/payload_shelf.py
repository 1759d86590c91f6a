"""A payload store in memory, as an app may have one of its own."""

from typing import override

from durabletask.payload import LargePayloadStorageOptions, PayloadStore

SHELF_THRESHOLD = 100


class PayloadShelf(PayloadStore):
    """Keeps what is over 100 bytes under `shelf:0`, `shelf:1`, ... While `broken`, it takes and gives nothing."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.broken = False
        self._options = LargePayloadStorageOptions(threshold_bytes=SHELF_THRESHOLD, enable_compression=False)

    @property
    @override
    def options(self) -> LargePayloadStorageOptions:
        return self._options

    @override
    def upload(self, data: bytes, *, instance_id: str | None = None) -> str:
        if self.broken:
            raise ConnectionError("the shelf has fallen down")
        self.kept.append(data)
        return f"shelf:{len(self.kept) - 1}"

    @override
    async def upload_async(self, data: bytes, *, instance_id: str | None = None) -> str:
        return self.upload(data, instance_id=instance_id)

    @override
    def download(self, token: str) -> bytes:
        if self.broken:
            raise ConnectionError("the shelf has fallen down")
        return self.kept[int(token.removeprefix("shelf:"))]

    @override
    async def download_async(self, token: str) -> bytes:
        return self.download(token)

    @override
    def is_known_token(self, value: str) -> bool:
        return value.startswith("shelf:")
