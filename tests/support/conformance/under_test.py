"""The hub under test, with the SDK's code behind it and the SDK's client in front: once by replay, once sticky."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from durabletask.client import AsyncTaskHubGrpcClient
from durabletask.worker import VersioningOptions

from devhost.taskhub.embedded import EmbeddedTaskHub
from devhost.taskhub.turns import ReplayedTurns, StickyTurns, Turns
from tests.support.conformance.catalog import Functions
from tests.support.conformance.reference import client_of
from tests.support.conformance.stock_executor import StockExecutor

# How turns are run, by the name of the way. Every third sticky turn is replayed too, to be compared.
WAYS: Final[dict[str, Callable[[], Turns]]] = {"replay": ReplayedTurns, "sticky": lambda: StickyTurns(check_every=3)}


@asynccontextmanager
async def hub_under_test(
    way: str, functions: Functions, versioning: VersioningOptions | None, folder: Path
) -> AsyncIterator[AsyncTaskHubGrpcClient]:
    """A client of a hub whose file is in `folder`."""
    hub = EmbeddedTaskHub(folder)
    await hub.start(StockExecutor(functions, WAYS[way](), versioning))
    client = client_of(hub.address)
    try:
        yield client
    finally:
        await client.close()
        await hub.stop()
