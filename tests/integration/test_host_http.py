"""A real host on a small app with HTTP triggers of every kind."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.support.host_process import HostProcess

APP = Path(__file__).parent / "apps" / "http_app"


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[HostProcess]:
    async with HostProcess(APP, state_dir=tmp_path / "state") as running:
        yield running


async def test_a_function_sees_the_request_and_its_response_comes_back(host: HostProcess) -> None:
    async with (
        aiohttp.ClientSession(host.url) as http,
        http.post("/api/echo?a=1&a=2&empty=", data=b"\x00\xff", headers={"X-Mark": "m"}) as response,
    ):
        seen = await response.json()
    assert response.status == 200
    assert seen["method"] == "POST"
    assert seen["query"] == {"a": "1,2"}
    assert seen["headers"]["x-mark"] == "m"
    assert seen["body"] == [0, 255]
