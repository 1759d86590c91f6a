"""The management API over a running hub, asked as any HTTP client would."""

import json
from datetime import timedelta

import pytest
from durabletask.client import OrchestrationStatus

from tests.support.eventually import eventually
from tests.support.management import JSON, ROOT, Api, api, ids

pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")


@pytest.mark.parametrize("code", ["", "wrong", "function"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/instances"), ("POST", "/orchestrators/greet")])
async def test_without_the_system_key_nothing_is_told_and_nothing_started(method: str, path: str, code: str) -> None:
    async with api() as it:
        response = await it.call(method, path, code=code)
        assert response.status == 401
        assert "system" not in await response.text()
        assert await (await it.get("/instances")).json() == []


async def test_the_system_key_and_the_admin_key_open_it_in_the_query_or_the_header() -> None:
    async with api() as it:
        assert (await it.call("GET", "/instances", code="admin")).status == 200
        response = await it.http.get(f"{ROOT}/instances", headers={"x-functions-key": "system"})
        assert response.status == 200


async def test_a_completed_orchestration_is_200_with_all_it_has() -> None:
    async with api() as it:
        await it.hub.run("greet", '"ann"', instance_id="one")
        response = await it.get("/instances/one")
        assert response.status == 200
        assert await response.json() == {
            "name": "greet",
            "instanceId": "one",
            "runtimeStatus": "Completed",
            "input": "ann",
            "customStatus": {"greeting": "ann"},
            "output": ["ANN"],
            "createdTime": "2026-02-03T04:05:06Z",
            "lastUpdatedTime": "2026-02-03T04:05:06Z",
            "historyEvents": None,
        }


async def test_the_input_can_be_left_out() -> None:
    async with api() as it:
        await it.hub.run("greet", '"ann"', instance_id="one")
        assert (await (await it.get("/instances/one", showInput="False")).json())["input"] is None


async def test_one_in_progress_is_202_with_where_and_when_to_look_again() -> None:
    async with api() as it:
        await it.hub.start("wait", instance_id="one")
        response = await it.get("/instances/one")
        assert response.status == 202
        assert (await response.json())["runtimeStatus"] in ("Pending", "Running")
        assert response.headers["Location"] == str(response.url)
        assert response.headers["Retry-After"] == "5"


async def test_an_unknown_one_is_404() -> None:
    async with api() as it:
        assert (await it.get("/instances/none")).status == 404


@pytest.mark.parametrize(("flag", "status"), [("true", 500), ("false", 200)])
async def test_a_failed_one_is_200_or_500_as_asked_and_tells_its_error(flag: str, status: int) -> None:
    async with api() as it:
        await it.hub.run("fail", '"no luck"', instance_id="one")
        response = await it.get("/instances/one", returnInternalServerErrorOnFailure=flag)
        assert response.status == status
        body = await response.json()
        assert body["runtimeStatus"] == "Failed"
        assert body["output"] == "builtins.ValueError: no luck"


async def test_the_history_has_one_entry_for_each_piece_of_work_with_or_without_outputs() -> None:
    async with api() as it:
        await it.hub.run("greet", '"ann"', instance_id="one")
        with_outputs = (await (await it.get("/instances/one", showHistory="true", showHistoryOutput="true")).json())[
            "historyEvents"
        ]
        assert [event["EventType"] for event in with_outputs] == [
            "ExecutionStarted",
            "TaskCompleted",
            "ExecutionCompleted",
        ]
        assert with_outputs[0]["FunctionName"] == "greet"
        assert with_outputs[1]["FunctionName"] == "shout"
        assert with_outputs[1]["Result"] == "ANN"
        assert with_outputs[1]["ScheduledTime"].startswith("2026-02-03T04:05:06")
        assert with_outputs[2]["OrchestrationStatus"] == "Completed"
        without = (await (await it.get("/instances/one", showHistory="true")).json())["historyEvents"]
        assert not any("Result" in event for event in without)


async def test_orchestrations_are_listed_by_status_prefix_and_time() -> None:
    async with api() as it:
        await it.hub.run("greet", '"a"', instance_id="a-1")
        it.clock.advance(timedelta(hours=1))
        await it.hub.run("fail", '"x"', instance_id="b-1")
        it.clock.advance(timedelta(hours=1))
        await it.hub.start("wait", instance_id="b-2")
        await it.hub.has_status("b-2", OrchestrationStatus.RUNNING)
        assert await ids(await it.get("/instances")) == ["a-1", "b-1", "b-2"]
        assert await ids(await it.get("/instances", instanceIdPrefix="b-")) == ["b-1", "b-2"]
        assert await ids(await it.get("/instances", runtimeStatus="completed,Running")) == ["a-1", "b-2"]
        assert await ids(await it.get("/instances", createdTimeFrom="2026-02-03T05:00:00Z")) == ["b-1", "b-2"]
        assert await ids(await it.get("/instances", createdTimeTo="2026-02-03T05:00:00")) == ["a-1"]
        assert await ids(await it.get("/instances", createdTimeTo="2026-02-03T06:00:00 01:00")) == ["a-1"]


async def test_the_document_s_other_spelling_of_the_path_works() -> None:
    async with api() as it:
        assert (await it.http.get("/runtime/webhooks/durableTask/instances?code=system")).status == 200


async def test_a_list_comes_in_pages_that_can_be_followed_to_the_end() -> None:
    async with api() as it:
        for number in range(5):
            await it.hub.run("greet", '"a"', instance_id=f"n{number}")
        found, token = list[str](), ""
        for _ in range(3):
            headers = {"x-ms-continuation-token": token} if token else {}
            page = await it.call("GET", "/instances", query={"top": "2"}, headers=headers)
            found += await ids(page)
            token = page.headers.get("x-ms-continuation-token", "")
        assert found == ["n0", "n1", "n2", "n3", "n4"]
        assert token == ""


async def test_a_finished_orchestration_can_be_purged_and_is_gone_then() -> None:
    async with api() as it:
        await it.hub.run("greet", '"a"', instance_id="one")
        response = await it.call("DELETE", "/instances/one")
        assert (response.status, await response.json()) == (200, {"instancesDeleted": 1})
        assert (await it.get("/instances/one")).status == 404
        assert (await it.call("DELETE", "/instances/one")).status == 404


async def test_one_in_progress_cannot_be_purged() -> None:
    async with api() as it:
        await it.hub.start("wait", instance_id="one")
        response = await it.call("DELETE", "/instances/one")
        assert response.status == 412
        assert (await it.get("/instances/one")).status == 202


async def test_many_are_purged_by_filter_and_only_finished_ones() -> None:
    async with api() as it:
        await it.hub.run("greet", '"a"', instance_id="done")
        await it.hub.run("fail", '"a"', instance_id="failed")
        await it.hub.start("wait", instance_id="waits")
        query = {"createdTimeFrom": "2026-01-01T00:00:00Z", "runtimeStatus": "Completed,Running"}
        response = await it.call("DELETE", "/instances", query=query)
        assert (response.status, await response.json()) == (200, {"instancesDeleted": 1})
        assert await ids(await it.get("/instances")) == ["failed", "waits"]
        assert (await it.call("DELETE", "/instances", query=query)).status == 404


async def test_an_orchestration_is_started_and_its_answer_has_addresses_that_work() -> None:
    async with api() as it:
        response = await it.post("/orchestrators/greet/mine", data='"ann"')
        assert response.status == 202
        links = await response.json()
        assert links["id"] == "mine"
        assert response.headers["Location"] == links["statusQueryGetUri"]
        assert response.headers["Retry-After"] == "10"
        await it.hub.finished("mine")
        followed = await it.http.session.get(links["statusQueryGetUri"])
        assert (await followed.json())["output"] == ["ANN"]
        assert (await it.http.session.delete(links["purgeHistoryDeleteUri"])).status == 200


async def test_without_an_id_one_is_chosen() -> None:
    async with api() as it:
        links = await (await it.post("/orchestrators/GREET", data='"ann"')).json()
        assert (await it.hub.finished(links["id"])).serialized_output == '["ANN"]'


async def test_input_reaches_the_orchestrator_to_the_last_digit() -> None:
    exact = '{"big": 12345678901234567890123, "deep": [[[null, true, "\\u00e9"]]]}'
    async with api() as it:
        response = await it.post("/orchestrators/echo", data=exact, query={"timeout": "10"})
        assert response.status == 200
        assert await response.json() == json.loads(exact)


async def test_a_start_may_wait_for_the_end_and_then_answers_with_it() -> None:
    async with api() as it:
        done = await it.post("/orchestrators/greet", data='"ann"', query={"timeout": "10", "pollingInterval": "1"})
        assert (done.status, await done.json()) == (200, ["ANN"])
        failed = await it.post("/orchestrators/fail", data='"x"', query={"timeout": "10"})
        assert (await failed.json())["runtimeStatus"] == "Failed"
        waits = await it.post("/orchestrators/wait", query={"timeout": "0.05"})
        assert waits.status == 202


async def test_an_id_in_use_is_a_conflict() -> None:
    async with api() as it:
        await it.hub.start("wait", instance_id="one")
        assert (await it.post("/orchestrators/wait/one")).status == 409


async def test_an_event_reaches_the_orchestration_that_waits_for_it() -> None:
    async with api() as it:
        await it.hub.start("wait", instance_id="one")
        response = await it.post("/instances/one/raiseEvent/go", data='{"n": 1.50}', headers=JSON)
        assert response.status == 202
        assert (await it.hub.finished("one")).serialized_output == '{"n": 1.5}'


async def test_terminate_ends_it_with_the_reason_as_output() -> None:
    async with api() as it:
        await it.hub.start("wait", instance_id="one")
        assert (await it.post("/instances/one/terminate", query={"reason": "buggy"})).status == 202
        await it.hub.finished("one")
        body = await (await it.get("/instances/one")).json()
        assert (body["runtimeStatus"], body["output"]) == ("Terminated", "buggy")


async def test_suspend_and_resume() -> None:
    async with api() as it:
        await it.hub.start("wait", instance_id="one")
        assert (await it.post("/instances/one/suspend", query={"reason": "hold"})).status == 202
        await it.hub.has_status("one", OrchestrationStatus.SUSPENDED)
        response = await it.get("/instances/one")
        assert (response.status, (await response.json())["runtimeStatus"]) == (202, "Suspended")
        assert (await it.post("/instances/one/Resume")).status == 202
        await it.hub.has_status("one", OrchestrationStatus.RUNNING)


async def test_restart_makes_a_new_instance_or_takes_the_same_id() -> None:
    async with api() as it:
        await it.hub.run("greet", '"ann"', instance_id="one")
        new = await (await it.post("/instances/one/restart")).json()
        assert new["id"] != "one"
        assert (await it.hub.finished(new["id"])).serialized_output == '["ANN"]'
        same = await it.post("/instances/one/restart", query={"restartWithNewInstanceId": "false"})
        assert (same.status, (await same.json())["id"]) == (202, "one")
        assert (await it.hub.finished("one")).serialized_output == '["ANN"]'


async def test_rewind_runs_a_failed_one_again() -> None:
    async with api() as it:
        await it.hub.run("fail", '"x"', instance_id="one")
        assert (await it.post("/instances/one/rewind", query={"reason": "fixed"})).status == 202

        async def failed_again() -> bool:
            return (await it.hub.event_types("one")).count("ExecutionRewound") == 1

        await eventually(failed_again)


@pytest.mark.parametrize(
    ("operation", "status"),
    [("terminate", 410), ("suspend", 410), ("resume", 410), ("raiseEvent/go", 410), ("rewind", 412)],
)
async def test_a_finished_orchestration_cannot_be_controlled(operation: str, status: int) -> None:
    async with api() as it:
        await it.hub.run("greet", '"a"', instance_id="one")
        response = await it.post(f"/instances/one/{operation}", data="1", headers=JSON)
        assert response.status == status
        assert (await response.json())["runtimeStatus"] == "Completed"


@pytest.mark.parametrize("operation", ["terminate", "suspend", "resume", "rewind", "restart", "raiseEvent/go"])
async def test_control_of_an_unknown_orchestration_is_404(operation: str) -> None:
    async with api() as it:
        assert (await it.post(f"/instances/none/{operation}", data="1", headers=JSON)).status == 404


@pytest.mark.parametrize(("operation", "status"), [("rewind", 412), ("restart", 409)])
async def test_one_in_progress_can_be_neither_rewound_nor_restarted(operation: str, status: int) -> None:
    async with api() as it:
        await it.hub.start("wait", instance_id="one")
        assert (await it.post(f"/instances/one/{operation}")).status == status


async def test_an_unknown_operation_is_404() -> None:
    async with api() as it:
        await it.hub.start("wait", instance_id="one")
        assert (await it.post("/instances/one/explode")).status == 404


async def entity_is(it: Api, path: str, state: object) -> None:
    async def probe() -> bool:
        response = await it.get(path)
        return response.status == 200 and await response.json() == state

    await eventually(probe)


async def test_an_entity_is_signalled_read_listed_and_deleted() -> None:
    async with api() as it:
        assert (await it.get("/entities/Counter/a")).status == 404
        response = await it.post("/entities/Counter/a", query={"op": "add"}, data="5", headers=JSON)
        assert response.status == 202
        await entity_is(it, "/entities/counter/a", 5)
        await it.post("/entities/Counter/b", query={"op": "set"}, data="plain text")
        await entity_is(it, "/entities/counter/b", "plain text")
        listed = await (await it.get("/entities", fetchState="true")).json()
        assert listed == [
            {"entityId": {"name": "counter", "key": "a"}, "lastOperationTime": "2026-02-03T04:05:06Z", "state": 5},
            {
                "entityId": {"name": "counter", "key": "b"},
                "lastOperationTime": "2026-02-03T04:05:06Z",
                "state": "plain text",
            },
        ]
        assert await (await it.get("/entities/Nobody")).json() == []
        assert [each["state"] for each in await (await it.get("/entities/COUNTER")).json()] == [None, None]
        assert (await it.call("DELETE", "/entities/Counter/a")).status == 202

        async def gone() -> bool:
            return (await it.get("/entities/Counter/a")).status == 404

        await eventually(gone)


async def test_a_hub_that_is_gone_is_503() -> None:
    async with api() as it:
        await it.hub.hub.stop()
        assert (await it.get("/instances")).status == 503
