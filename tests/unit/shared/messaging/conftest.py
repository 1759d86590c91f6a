"""What the tests of messages share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.app_world import World, make_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """The app's resources as twins, over a fresh folder."""
    async with make_world(tmp_path) as made:
        yield made
