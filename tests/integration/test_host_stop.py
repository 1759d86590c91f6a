"""How a host ends: gently, at once, or by being killed, and what is left for the next one."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests.support.eventually import eventually
from tests.support.host_process import HostProcess

APP = Path(__file__).parent / "apps" / "http_app"


async def get(host: HostProcess, path: str) -> int:
    async with aiohttp.ClientSession(host.url) as http, http.get(path) as response:
        await response.read()
        return response.status


@pytest.mark.parametrize("signal", ["interrupt", "terminate"])
@pytest.mark.parametrize("function", ["slow", "slow-thread"])
async def test_the_first_signal_lets_a_running_call_finish_and_the_exit_status_is_0(
    tmp_path: Path, signal: str, function: str
) -> None:
    async with HostProcess(APP, state_dir=tmp_path / "state") as host:
        call = asyncio.create_task(get(host, f"/api/{function}/1.5"))
        await eventually(lambda: f"{function.replace('-', '_')} began" in host.log)
        getattr(host, signal)()
        assert await call == 200
        assert await host.wait() == 0
        assert "1 calls are still running" in host.log
        assert "stopped" in host.log


@pytest.mark.parametrize("function", ["slow", "slow-thread"])
async def test_a_call_that_does_not_finish_in_time_is_cut_off_and_the_exit_status_is_0(
    tmp_path: Path, function: str
) -> None:
    async with HostProcess(APP, state_dir=tmp_path / "state", arguments=["--drain-seconds", "0.5"]) as host:
        call = asyncio.create_task(get(host, f"/api/{function}/60"))
        await eventually(lambda: f"{function.replace('-', '_')} began" in host.log)
        host.interrupt()
        assert await host.wait(within=10) == 0
        assert "1 calls were still running after" in host.log
        await asyncio.gather(call, return_exceptions=True)


@pytest.mark.parametrize("function", ["slow", "slow-thread", "blocking"])
async def test_the_second_signal_ends_the_host_at_once_whatever_runs(tmp_path: Path, function: str) -> None:
    async with HostProcess(APP, state_dir=tmp_path / "state") as host:
        call = asyncio.create_task(get(host, f"/api/{function}/60"))
        await eventually(lambda: f"{function.replace('-', '_')} began" in host.log)
        host.interrupt()
        await asyncio.sleep(0.2)
        host.interrupt()
        assert await host.wait(within=3) == 130
        await asyncio.gather(call, return_exceptions=True)


async def test_a_killed_host_leaves_nothing_that_blocks_the_next_one(tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = await HostProcess(APP, state_dir=state).start()
    key = first.key("master")
    port = int(first.url.rpartition(":")[2])
    assert await get(first, "/api/hello") == 200
    first.kill()
    async with HostProcess(APP, state_dir=state, port=port) as second:
        assert await get(second, "/api/hello") == 200
        assert second.key("master") == key


async def test_keys_are_shown_at_the_first_start_only(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with HostProcess(APP, state_dir=state) as first:
        key = first.key("master")
        shown = first.log
    async with HostProcess(APP, state_dir=state) as second:
        again = second.log.removeprefix(shown)
    assert shown.count(key) == 1
    assert key not in again
    assert str(state / "keys") in again
