"""The process that forks the host's lives, one for all tests, and a ground for each test to live them on."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from scripts.cosmos_server import cosmos_server
from scripts.node_packages import NodeUnavailable
from tests.faults.host.ground import Forks, Ground, SickModel
from tests.support.chat_model import chat_model


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    with Forks.started(tmp_path_factory.mktemp("forks") / "log") as forks:
        yield forks


@pytest.fixture
async def ground(tmp_path: Path, forks: Forks) -> AsyncIterator[Ground]:
    model = SickModel()
    async with chat_model(model):
        yield Ground(tmp_path, forks, model)


@pytest.fixture
async def cosmos() -> AsyncIterator[str]:
    """The endpoint of a Cosmos DB server from npm. In CI, to have none is a failure."""
    try:
        async with cosmos_server() as endpoint:
            yield endpoint
    except NodeUnavailable as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))
