"""One Cosmos DB container: the only module that knows the SDK, which is imported when it is first used.

It turns the SDK's answers into values and its errors into the app's, and counts what each operation was charged.
Consistency is that of the session: a process sees its own writes. Every write is decided by the service itself, so
that what a process sees late can make it ask again, and never write over anything.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shared.credentials import entra_credential
from shared.errors import ConfigurationError, DocumentTooLarge, MusterError, StateCorrupted, StoreUnavailable
from shared.state.charges import Charges

if TYPE_CHECKING:
    from azure.cosmos.aio import ContainerProxy, CosmosClient
    from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError

    type _ServiceError = CosmosHttpResponseError | CosmosBatchOperationError

type Item = dict[str, Any]
type _Hook = Callable[[Mapping[str, Any], object], None]

_CONNECT_SECONDS = 5
_READ_SECONDS = 15
# The SDK waits as long as the service asks, so often and so long in all; then the caller hears of it.
_THROTTLED_TRIES = 5
_THROTTLED_SECONDS = 10
_CHARGE = "x-ms-request-charge"
_RETRY_AFTER = "x-ms-retry-after-ms"
# "Owner resource does not exist": not the document is missing, but what it would be in.
_NO_CONTAINER = 1003
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

log = logging.getLogger("muster.state")


@dataclass(frozen=True, slots=True)
class CosmosConnection:
    """Where the container is. Without a key, the app's Entra ID identity named by `client_id` is used."""

    endpoint: str
    database: str
    container: str
    key: str | None = None
    client_id: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether an emulator on this machine is meant."""
        return urlsplit(self.endpoint).hostname in _LOOPBACK


class AlreadyThere(Exception):
    """There is a document with this id."""


class NotThere(Exception):
    """There is no document with this id."""


class Changed(Exception):
    """The document is not as the write required."""


class CosmosContainer:
    """Reads and writes the documents of one container. Connects on first use.

    Beside what each method says, all raise `StoreUnavailable`, which passes on how long the service asked to wait;
    `ConfigurationError` when the account refuses the app or has no such container; `DocumentTooLarge`.
    """

    def __init__(self, connection: CosmosConnection, charges: Charges) -> None:
        self._connection = connection
        self._charges = charges
        self._client: CosmosClient | None = None
        self._opening = asyncio.Lock()

    async def read(self, item_id: str, partition: str) -> Item | None:
        """One document, by a point read."""

        async def call(container: ContainerProxy, hook: _Hook) -> Item | None:
            return dict(await container.read_item(item_id, partition, response_hook=hook))

        try:
            return await self._call("read", partition, call)
        except NotThere:
            return None

    async def create(self, item: Item, partition: str) -> None:
        """Create a document. Raises `AlreadyThere`."""

        async def call(container: ContainerProxy, hook: _Hook) -> None:
            # With its answer: without one the client does not learn the session's token.
            await container.create_item(item, response_hook=hook)

        await self._call("create", partition, call)

    async def create_together(self, items: Sequence[Item], partition: str) -> None:
        """Create up to 100 documents of a partition, or none of them. Raises `AlreadyThere`."""

        async def call(container: ContainerProxy, hook: _Hook) -> None:
            operations = [("create", (item,)) for item in items]
            await container.execute_item_batch(operations, partition, response_hook=hook)

        await self._call("batch", partition, call)

    async def patch(
        self,
        item_id: str,
        partition: str,
        operations: Sequence[Item],
        *,
        condition: str | None = None,
        etag: str | None = None,
    ) -> Item:
        """Change a document if `condition` holds of it, or it is still as `etag` says; what it is then.

        A condition is text of the query language, so it is made of constants and digests only. Raises `NotThere` and
        `Changed`.
        """
        guards = _unless_changed(etag)
        if condition is not None:
            guards["filter_predicate"] = f"from c where {condition}"

        async def call(container: ContainerProxy, hook: _Hook) -> Item:
            return dict(await container.patch_item(item_id, partition, list(operations), response_hook=hook, **guards))

        return await self._call("patch", partition, call)

    async def delete(self, item_id: str, partition: str, *, etag: str | None = None) -> bool:
        """Delete a document; False when there is none. Raises `Changed` when it is not as `etag` says any more."""
        guards = _unless_changed(etag)

        async def call(container: ContainerProxy, hook: _Hook) -> None:
            await container.delete_item(item_id, partition, response_hook=hook, **guards)

        try:
            await self._call("delete", partition, call)
        except NotThere:
            return False
        return True

    async def query(self, text: str, parameters: Mapping[str, Any], *, partition: str | None = None) -> list[Any]:
        """All results of a query, over one partition or over all of them."""
        given = [{"name": f"@{name}", "value": value} for name, value in parameters.items()]
        where: dict[str, Any] = {"partition_key": partition} if partition is not None else {}

        async def call(container: ContainerProxy, hook: _Hook) -> list[Any]:
            found = container.query_items(text, parameters=given, response_hook=hook, **where)
            return [item async for item in found]

        return await self._call("query", partition, call)

    async def close(self) -> None:
        """Let go of the connections; the next call opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _call[T](
        self, operation: str, partition: str | None, call: Callable[[ContainerProxy, _Hook], Awaitable[T]]
    ) -> T:
        from azure.core.exceptions import AzureError, ClientAuthenticationError
        from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError

        charged = 0.0

        def hook(headers: Mapping[str, Any], _: object) -> None:
            nonlocal charged
            charged += _number(headers.get(_CHARGE))

        try:
            return await call(await self._container(), hook)
        except (CosmosHttpResponseError, CosmosBatchOperationError) as error:
            charged += _number((error.headers or {}).get(_CHARGE))
            raise self._told(error, operation) from error
        except ClientAuthenticationError as error:
            raise ConfigurationError(f"Entra ID gave no token for the state store: {error.message}") from error
        except (AzureError, TimeoutError, OSError) as error:
            raise StoreUnavailable(f"the state store did not answer: {type(error).__name__}: {error}") from error
        finally:
            self._charges.add(operation, partition, charged)
            log.debug("%s of run %s: %g RU", operation, partition, charged)

    async def _container(self) -> ContainerProxy:
        async with self._opening:
            if self._client is None:
                self._client = await self._connected()
        return self._client.get_database_client(self._connection.database).get_container_client(
            self._connection.container
        )

    async def _connected(self) -> CosmosClient:
        from azure.cosmos.aio import CosmosClient

        where = self._connection
        client = CosmosClient(
            where.endpoint,
            where.key or entra_credential(where.client_id),
            consistency_level="Session",
            connection_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retry_throttle_total=_THROTTLED_TRIES,
            retry_throttle_backoff_max=_THROTTLED_SECONDS,
            # An emulator names itself by an address of its own, and its certificate is its own too.
            enable_endpoint_discovery=not where.is_local,
            connection_verify=not where.is_local,
        )
        try:
            await client.__aenter__()
        except BaseException:
            await client.close()
            raise
        return client

    def _told(self, error: _ServiceError, operation: str) -> Exception:
        """The error in the app's words. The service's own text may be long and goes to the log."""
        log.debug("%s failed: %s", operation, error)
        where = f"container {self._connection.container} of database {self._connection.database}"
        match error.status_code:
            case 404 if error.sub_status == _NO_CONTAINER:
                return ConfigurationError(f"the Cosmos DB account has no {where}")
            case 404:
                return NotThere()
            case 409:
                return AlreadyThere()
            case 412:
                return Changed()
            case status:
                return _refused(status, error, where, operation)


def _unless_changed(etag: str | None) -> dict[str, Any]:
    from azure.core import MatchConditions

    return {} if etag is None else {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def _refused(status: int | None, error: _ServiceError, where: str, operation: str) -> MusterError:
    headers = error.headers or {}
    match status:
        case 401 | 403:
            return ConfigurationError(f"the Cosmos DB account refuses this app ({status}) at the {where}")
        case 413:
            return DocumentTooLarge("a document is larger than Cosmos DB takes")
        case 400:
            return StateCorrupted(f"Cosmos DB refused a {operation} at the {where}: {str(error.message)[:300]}")
        case 429:
            wait = timedelta(milliseconds=_number(headers.get(_RETRY_AFTER)))
            return StoreUnavailable("the state store is at its limit of request units (429)", retry_after=wait)
        case _:
            return StoreUnavailable(f"the state store answered {status} to a {operation}")


def _number(text: object) -> float:
    try:
        return float(str(text or 0))
    except ValueError:
        return 0.0
