"""An app that knows nothing of this project, on the local host: driven by its own HTTP functions and by the Durable
management API, as it would be in Azure; once with every turn replayed, once with orchestrators kept between turns.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.support.eventually import eventually
from tests.support.host_process import HostProcess

APP = Path(__file__).parent / "apps" / "durable_app"
FINISHED = ("Completed", "Failed", "Terminated")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[[], ["--sticky"]], ids=["replay", "sticky"])
async def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HostProcess]:
    state_dir = tmp_path_factory.mktemp("durable") / "state"
    async with HostProcess(APP, state_dir=state_dir, arguments=request.param) as running:
        yield running


class Client:
    """What a browser or a script outside the host has: addresses and keys."""

    def __init__(self, host: HostProcess, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._host = host
        self._key = host.key()

    async def post(self, path: str, value: object = None, *, code: str | None = None) -> tuple[int, Any]:
        """Status and JSON body, or text when it is not JSON."""
        data = None if value is None else json.dumps(value)
        headers = {"Content-Type": "application/json"}
        url = path if path.startswith("http") else f"{self._host.url}/api/{path}"
        key = {} if "code=" in url else {"code": self._key if code is None else code}
        async with self._session.post(url, data=data, params=key, headers=headers) as answer:
            return answer.status, _body(await answer.text())

    async def get(self, url: str, **query: str) -> tuple[int, Any, Mapping[str, str]]:
        if not url.startswith("http"):
            url, query = f"{self._host.url}/api/{url}", {"code": self._key, **query}
        async with self._session.get(url, params=query) as answer:
            return answer.status, _body(await answer.text()), answer.headers

    async def manage(self, method: str, path: str, **query: str) -> tuple[int, Any]:
        """A call of the management API with the system key."""
        url = f"{self._host.url}/runtime/webhooks/durabletask{path}"
        query = {"code": self._host.key("durabletask"), **query}
        async with self._session.request(method, url, params=query) as answer:
            return answer.status, _body(await answer.text())

    async def start(self, name: str, value: object = None) -> dict[str, str]:
        """The addresses to follow a new orchestration."""
        status, links = await self.post(f"start/{name}", value)
        assert status == 202, links
        return dict(links)

    async def finished(self, links: Mapping[str, str]) -> dict[str, Any]:
        """The status of the orchestration once it has finished, by the address the app gave."""

        async def probe() -> dict[str, Any] | None:
            _, body, _ = await self.get(links["statusQueryGetUri"])
            return body if body["runtimeStatus"] in FINISHED else None

        state = await eventually(probe)
        assert state is not None
        return state

    async def custom_status(self, links: Mapping[str, str], status: object) -> None:
        async def probe() -> bool:
            _, body, _ = await self.get(links["statusQueryGetUri"])
            return bool(body["customStatus"] == status)

        await eventually(probe)


def _body(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@pytest.fixture
async def client(host: HostProcess) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(host, session)


@pytest.mark.parametrize(
    ("name", "value", "output"),
    [
        ("chain", "abc", "CBA"),
        ("chain_v1", "abc", "CBA"),
        ("FanOutFanIn", list(range(30)), sum(number * number for number in range(30))),
        ("fanoutfanin", [3], 9),
        ("parent", "xy", ["YX", "YX"]),
        ("parent_of_who", None, True),
        ("nap", 0.2, True),
        ("approval", 0.1, "timed out"),
        ("flaky", 2, 3),
        ("catching", None, ["ValueError", "bang"]),
        ("countdown", 5, "lift-off"),
        ("counting", "of its own", 12),
    ],
)
async def test_each_way_to_orchestrate_ends_with_the_right_output(
    client: Client, name: str, value: object, output: object
) -> None:
    status, body = await client.post(f"run/{name}", value)
    assert (status, body) == (200, output)


async def test_the_check_status_response_leads_to_the_finished_orchestration(client: Client) -> None:
    links = await client.start("chain", "abc")
    state = await client.finished(links)
    assert (state["name"], state["instanceId"]) == ("chain", links["id"])
    assert (state["runtimeStatus"], state["input"], state["output"]) == ("Completed", "abc", "CBA")
    assert state["customStatus"] == {"step": "shout"}


async def test_a_durable_http_call_works(client: Client, host: HostProcess) -> None:
    assert await client.post("run/fetch", f"{host.url}/admin/host/ping") == (200, 200)


async def test_orchestrations_that_lock_the_same_entities_all_get_their_turn(client: Client) -> None:
    runs = [client.post("run/transfer", pair) for pair in (["l", "r"], ["r", "l"]) * 5]
    assert {status for status, _ in await asyncio.gather(*runs)} == {200}
    assert [(await client.get(f"counter/{key}"))[1] for key in "lr"] == [0, 0]


async def test_a_synchronous_function_has_a_client_too(client: Client) -> None:
    status, links = await client.post("start-from-thread/countdown")
    assert status == 202
    assert (await client.finished(links))["runtimeStatus"] == "Failed", "it was started without a number"


async def test_an_event_decides_the_race_with_the_timer(client: Client) -> None:
    links = await client.start("approval", 3600)
    await client.custom_status(links, "waiting")
    status, _ = await client.post(links["sendEventPostUri"].replace("{eventName}", "Answer"), {"yes": True})
    assert status == 202
    assert (await client.finished(links))["output"] == {"answer": {"yes": True}}


async def test_activities_that_go_on_failing_fail_the_orchestration_with_their_error(client: Client) -> None:
    state = await client.finished(await client.start("flaky", 5))
    assert state["runtimeStatus"] == "Failed"
    assert "attempt 3" in state["output"]
    status, message = await client.post("run/failing")
    assert status == 500
    assert "bang" in message


async def test_a_name_that_does_not_exist_fails_at_once_and_names_those_that_do(client: Client) -> None:
    for name, known in (("misspelt", "shout"), ("no_such_orchestrator", "FanOutFanIn")):
        state = await client.finished(await client.start(name))
        assert state["runtimeStatus"] == "Failed"
        assert "registered:" in state["output"]
        assert known in state["output"]


async def test_a_failed_orchestration_is_200_or_500_as_asked(client: Client) -> None:
    links = await client.start("failing")
    await client.finished(links)
    assert (await client.get(links["statusQueryGetUri"]))[0] == 200
    assert (await client.get(links["statusQueryGetUri"] + "&returnInternalServerErrorOnFailure=true"))[0] == 500


async def test_the_history_can_be_read_with_outputs(client: Client) -> None:
    links = await client.start("chain_v1", "abc")
    await client.finished(links)
    _, body, _ = await client.get(links["statusQueryGetUri"] + "&showHistory=true&showHistoryOutput=true")
    events = body["historyEvents"]
    assert [event["EventType"] for event in events] == [
        "ExecutionStarted",
        "TaskCompleted",
        "TaskCompleted",
        "ExecutionCompleted",
    ]
    assert [event["Result"] for event in events[1:]] == ["ABC", "CBA", "CBA"]


async def test_an_orchestration_is_suspended_resumed_and_terminated_by_its_addresses(client: Client) -> None:
    links = await client.start("approval", 3600)
    await client.custom_status(links, "waiting")

    async def has(status: str) -> bool:
        return bool((await client.get(links["statusQueryGetUri"]))[1]["runtimeStatus"] == status)

    assert (await client.post(links["suspendPostUri"].replace("{text}", "hold")))[0] == 202
    await eventually(lambda: has("Suspended"))
    assert (await client.post(links["resumePostUri"].replace("{text}", "go")))[0] == 202
    await eventually(lambda: has("Running"))
    assert (await client.post(links["terminatePostUri"].replace("{text}", "enough")))[0] == 202
    state = await client.finished(links)
    assert (state["runtimeStatus"], state["output"]) == ("Terminated", "enough")
    assert (await client.post(links["sendEventPostUri"].replace("{eventName}", "answer"), 1))[0] == 410


async def test_a_finished_orchestration_is_restarted_and_purged_by_its_addresses(client: Client) -> None:
    links = await client.start("chain", "abc")
    await client.finished(links)
    status, again = await client.post(links["restartPostUri"])
    assert status == 202
    assert (await client.finished(again))["output"] == "CBA"
    path = f"/instances/{links['id']}"
    assert await client.manage("DELETE", path) == (200, {"instancesDeleted": 1})
    assert (await client.manage("GET", path))[0] == 404


async def test_the_management_api_starts_lists_and_signals(client: Client) -> None:
    status, links = await client.manage("POST", "/orchestrators/chain_v1/managed-1")
    assert status == 202
    assert (await client.finished(links))["runtimeStatus"] == "Failed", "it was started without a text"
    status, listed = await client.manage("GET", "/instances", instanceIdPrefix="managed-")
    assert [each["instanceId"] for each in listed] == ["managed-1"]
    assert (await client.manage("POST", "/entities/Counter/managed", op="reset"))[0] == 202

    async def zero() -> bool:
        return await client.manage("GET", "/entities/Counter/managed") == (200, 0)

    await eventually(zero)
    assert (await client.get("counter/managed"))[:2] == (200, 0)
    assert (await client.get("counter/nobody"))[0] == 404


async def test_without_its_key_the_management_api_is_closed(client: Client, host: HostProcess) -> None:
    async with aiohttp.ClientSession() as session:
        for code in ("", host.key()):
            url = f"{host.url}/runtime/webhooks/durabletask/instances"
            async with session.get(url, params={"code": code}) as answer:
                assert answer.status == 401


async def test_fifty_orchestrations_at_once_all_end_right(client: Client) -> None:
    inputs = [list(range(width)) for width in range(1, 51)]
    outputs = await asyncio.gather(*(client.post("run/FanOutFanIn", numbers) for numbers in inputs))
    assert outputs == [(200, sum(each * each for each in numbers)) for numbers in inputs]


async def test_the_host_says_at_its_start_what_was_under_way(host: HostProcess) -> None:
    assert "hub.sqlite: nothing was under way" in host.log


async def test_a_host_with_a_timer_set_and_a_client_waiting_ends_cleanly(tmp_path: Path) -> None:
    async with HostProcess(APP, state_dir=tmp_path / "state") as host, aiohttp.ClientSession() as session:
        client = Client(host, session)
        await client.start("nap", 3600)
        links = await client.start("approval", 3600)
        await client.custom_status(links, "waiting")
        host.interrupt()
        assert await host.wait() == 0
        assert "Task was destroyed" not in host.log
        assert "Traceback" not in host.log
