"""What the conformance suite runs on: each program once a session on the reference, and once on each hub."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.conformance.catalog import Program
from tests.support.conformance.observations import Observations


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def observations(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Observations]:
    """Everything that has been seen so far. The reference runs each program that was selected, in the background."""
    calls = (getattr(item, "callspec", None) for item in request.session.items)
    selected = [call.params.get("program") for call in calls if call is not None]
    async with Observations(tmp_path_factory.mktemp("taskhub")) as made:
        made.begin(each for each in selected if isinstance(each, Program))
        yield made
