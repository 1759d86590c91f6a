"""A bench for each broker test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.support.brokers import Bench


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Brokers over one file and one clock, closed at the end."""
    made = Bench(tmp_path)
    yield made
    await made.close()
