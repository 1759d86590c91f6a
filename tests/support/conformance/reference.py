"""The reference: durabletask's own in-memory backend, as it is, with the stock worker, over gRPC and threads."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from durabletask.client import AsyncTaskHubGrpcClient
from durabletask.testing.in_memory_backend import InMemoryOrchestrationBackend
from durabletask.worker import TaskHubGrpcWorker, VersioningOptions

from scripts.local_host import free_port
from tests.support.conformance.catalog import Functions


def register(functions: Functions, worker: TaskHubGrpcWorker, versioning: VersioningOptions | None) -> None:
    """Give the worker every function under its name."""
    for name, orchestrator in functions.orchestrators.items():
        worker._registry.add_named_orchestrator(name, orchestrator)
    for name, activity in functions.activities.items():
        worker._registry.add_named_activity(name, activity)
    for name, entity in functions.entities.items():
        worker._registry.add_named_entity(name, entity)
    if versioning is not None:
        worker.use_versioning(versioning)


def client_of(address: str) -> AsyncTaskHubGrpcClient:
    """The SDK's client."""
    return AsyncTaskHubGrpcClient(host_address=address, emit_trace_spans=False, logger=_quiet())


def _quiet() -> logging.Logger:
    """The SDK tells of every call and turn."""
    logger = logging.getLogger(f"{__name__}.durabletask")
    logger.setLevel(logging.CRITICAL)
    return logger


@contextmanager
def _backend(functions: Functions, versioning: VersioningOptions | None) -> Iterator[str]:
    port = free_port()
    backend = InMemoryOrchestrationBackend(port=port)
    backend.start()
    # Its methods have no types.
    worker: Any = TaskHubGrpcWorker(host_address=f"localhost:{port}", emit_trace_spans=False, logger=_quiet())
    register(functions, worker, versioning)
    worker.start()
    try:
        yield f"localhost:{port}"
    finally:
        worker.stop()
        backend.stop()


@asynccontextmanager
async def reference(
    functions: Functions, versioning: VersioningOptions | None = None
) -> AsyncIterator[AsyncTaskHubGrpcClient]:
    """A client of a started backend with a worker for these functions."""
    with _backend(functions, versioning) as address:
        client = client_of(address)
        try:
            yield client
        finally:
            await client.close()
