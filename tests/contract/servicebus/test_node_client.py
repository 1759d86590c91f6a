"""A second client that shares nothing with Python's: `@azure/service-bus` under Node. `node/` holds its operations.

It makes its own entities by the administration client, and its time is the machine's: locks and times to live are
short, and the operations run side by side.
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from devhost.administration.server import AdministrationServer
from devhost.amqp.listener import AmqpListener
from devhost.broker.broker import Broker
from devhost.broker.topology import Topology
from devhost.clock import SystemClock
from scripts.node_packages import NodeUnavailable, packages_of
from tests.support.node_program import Report, operations, run
from tests.support.service_bus import connection_string

PROGRAM = Path(__file__).parent / "node"
OPERATIONS = operations(PROGRAM)
ADMINISTRATION = "a queue is made with its options, read back, changed and removed"


@asynccontextmanager
async def local_namespace(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    """Our own namespace and its administration; what the program needs to know of them."""
    clock = SystemClock()
    async with AsyncExitStack() as parts:
        broker = await Broker.open(folder / "broker.db", Topology(), clock)
        parts.push_async_callback(broker.close)
        listener = AmqpListener(broker, clock, port=0)
        await listener.start()
        parts.push_async_callback(listener.stop)
        administration = AdministrationServer(broker, clock, port=0, state_dir=folder)
        await administration.start()
        parts.push_async_callback(administration.stop)
        yield {
            "SERVICEBUS_CONNECTION": connection_string(listener.port),
            "SERVICEBUS_ADMINISTRATION": connection_string(administration.port),
            "NODE_EXTRA_CA_CERTS": str(administration.certificate),
        }


@asynccontextmanager
async def external_namespace(connection: str) -> AsyncIterator[Mapping[str, str]]:
    """Somebody else's: Microsoft's emulator, which is administered by plain HTTP on another port, or one in Azure."""
    emulator = "usedevelopmentemulator=true" in connection.lower()
    administration = connection.replace("sb://localhost;", "http://localhost:5300;") if emulator else connection
    yield {"SERVICEBUS_CONNECTION": connection, "SERVICEBUS_ADMINISTRATION": administration}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def packages() -> Path:
    """The client's packages. Where nobody watches for skipped tests, not to have them is a failure."""
    try:
        return await packages_of(PROGRAM)
    except NodeUnavailable as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def report(request: pytest.FixtureRequest, packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What became of every operation, all run once."""
    connection = request.config.getoption("--servicebus-connection")
    namespace = (
        external_namespace(connection) if connection else local_namespace(tmp_path_factory.mktemp("servicebus-node"))
    )
    async with namespace as environment:
        return await run(PROGRAM, packages, tmp_path_factory.mktemp("node"), environment)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_node_client_shows_that(operation: str, report: Report) -> None:
    report.require(operation)


def test_the_node_client_runs_each_operation_once_and_ends_by_itself(report: Report) -> None:
    assert OPERATIONS
    assert sorted(report.failures) == sorted(OPERATIONS)
    assert "killed" not in report.ending


async def test_the_node_client_administers_without_tls_when_it_is_told_to(
    request: pytest.FixtureRequest, packages: Path, tmp_path: Path
) -> None:
    if request.config.getoption("--servicebus-connection"):
        pytest.skip("only the local namespace is administered both with TLS and without")
    (tmp_path / "run").mkdir()
    async with local_namespace(tmp_path) as environment:
        plain = environment["SERVICEBUS_ADMINISTRATION"].replace("sb://", "http://")
        changed = {**environment, "SERVICEBUS_ADMINISTRATION": plain, "NODE_EXTRA_CA_CERTS": ""}
        report = await run(PROGRAM, packages, tmp_path / "run", changed, ADMINISTRATION)
    assert len(report.failures) == 1
    report.require(ADMINISTRATION)
