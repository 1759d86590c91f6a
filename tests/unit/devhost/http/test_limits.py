import asyncio
from typing import Any

import pytest

from devhost.errors import StartError
from devhost.host_json import HostJson
from devhost.http.limits import RequestLimits, TooManyRequestsError
from tests.support.eventually import eventually


class Requests:
    """Requests that are served until told to leave."""

    def __init__(self, limits: RequestLimits) -> None:
        self.limits = limits
        self.inside = 0
        self.leave = asyncio.Event()

    async def one(self) -> None:
        async with self.limits.admitted():
            self.inside += 1
            await self.leave.wait()
            self.inside -= 1


async def test_no_more_requests_run_at_once_than_allowed_and_the_others_wait() -> None:
    requests = Requests(RequestLimits(max_concurrent=2))
    tasks = [asyncio.create_task(requests.one()) for _ in range(5)]
    await eventually(lambda: requests.inside == 2)
    await asyncio.sleep(0)
    assert requests.inside == 2
    requests.leave.set()
    await asyncio.gather(*tasks)


async def test_beyond_the_outstanding_ones_a_request_is_turned_away_until_one_has_left() -> None:
    limits = RequestLimits(max_concurrent=1, max_outstanding=2)
    requests = Requests(limits)
    tasks = [asyncio.create_task(requests.one()) for _ in range(2)]
    await eventually(lambda: requests.inside == 1)
    with pytest.raises(TooManyRequestsError):
        await requests.one()
    requests.leave.set()
    await asyncio.gather(*tasks)
    await requests.one()


async def test_a_request_given_up_while_waiting_frees_its_place() -> None:
    requests = Requests(RequestLimits(max_concurrent=1, max_outstanding=2))
    tasks = [asyncio.create_task(requests.one()) for _ in range(2)]
    await eventually(lambda: requests.inside == 1)
    tasks[1].cancel()
    await asyncio.gather(tasks[1], return_exceptions=True)
    third = asyncio.create_task(requests.one())
    requests.leave.set()
    await asyncio.gather(tasks[0], third)


@pytest.mark.parametrize("value", [0, -2, 1.5, "4", True])
def test_a_limit_that_is_no_number_above_0_is_refused_by_its_key(value: Any) -> None:
    host_json = HostJson({"extensions": {"http": {"maxConcurrentRequests": value}}}, ())
    with pytest.raises(StartError, match=r"extensions\.http\.maxConcurrentRequests must be"):
        RequestLimits.from_host_json(host_json)
