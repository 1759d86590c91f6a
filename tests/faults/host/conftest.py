"""The process that forks the host's lives, one for all tests, and a ground for each test to live them on."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

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
