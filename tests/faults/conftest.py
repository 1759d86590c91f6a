"""The namespace that clients misbehave against, and the client that must not notice: one of each for the whole run."""

import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.amqp_ground import Bystander, Ground
from tests.support.service_bus import LocalNamespace


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def namespace(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalNamespace]:
    made = LocalNamespace(tmp_path_factory.mktemp("faults"))
    await made.start()
    yield made
    await made.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bystander(namespace: LocalNamespace) -> AsyncIterator[Bystander]:
    client = Bystander(namespace.listener.port, await namespace.queue())
    await client.open()
    yield client
    await client.close()


@pytest_asyncio.fixture(loop_scope="session")
async def ground(
    namespace: LocalNamespace, bystander: Bystander, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Ground]:
    # Clients compare the end of a lock with their own clock, and earlier tests may have taken longer than a lock lasts.
    namespace.catch_up()
    caplog.set_level(logging.INFO, "devhost")
    made = Ground(namespace, bystander, caplog)
    yield made
    await made.close()
