"""The namespace the suite runs against, and the clients. One of each serves the whole run: opening them is slow."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.service_bus import Bus, ExternalNamespace, LocalNamespace, Namespace


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def namespace(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Namespace]:
    connection = request.config.getoption("--servicebus-connection")
    made: LocalNamespace | ExternalNamespace
    if connection:
        made = ExternalNamespace(connection)
    else:
        made = LocalNamespace(tmp_path_factory.mktemp("servicebus"))
        await made.start()
    yield made
    await made.close()


@pytest.fixture(autouse=True)
def present(namespace: Namespace) -> None:
    """Begin each test in the present: earlier ones may have taken longer than a lock lasts."""
    if isinstance(namespace, LocalNamespace):
        namespace.catch_up()


@pytest.fixture
def local(namespace: Namespace) -> LocalNamespace:
    """The namespace, for a test that moves its clock or looks inside."""
    if not isinstance(namespace, LocalNamespace):
        pytest.skip("moves the namespace's clock or looks inside, which only the local one lets it")
    return namespace


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def buses(namespace: Namespace) -> AsyncIterator[tuple[Bus, Bus]]:
    """The asynchronous client and the blocking one."""
    clients = Bus(namespace, blocking=False), Bus(namespace, blocking=True)
    yield clients
    await asyncio.gather(*(client.close() for client in clients))


@pytest.fixture(params=["async", "sync"])
def bus(buses: tuple[Bus, Bus], request: pytest.FixtureRequest) -> Bus:
    """One client after the other, for a test that moves the clock."""
    return buses[request.param == "sync"]
