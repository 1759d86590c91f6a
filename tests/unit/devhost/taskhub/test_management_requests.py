"""What the management API refuses, by which name, and that nothing has happened then."""

import pytest

from tests.support.management import JSON, ROOT, api, ids, problem_field

pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")


@pytest.mark.parametrize(
    "name", ["showInput", "showHistory", "showHistoryOutput", "returnInternalServerErrorOnFailure"]
)
async def test_a_flag_that_is_neither_true_nor_false_is_refused_by_name(name: str) -> None:
    async with api() as it:
        assert await problem_field(await it.get("/instances/one", **{name: "maybe"})) == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("createdTimeFrom", "yesterday"),
        ("createdTimeTo", "32"),
        ("runtimeStatus", "Running,Sleeping"),
        ("top", "0"),
        ("top", "ten"),
        ("top", "1001"),
        ("showInput", "1"),
    ],
)
async def test_a_filter_that_cannot_be_read_is_refused_by_name(name: str, value: str) -> None:
    async with api() as it:
        assert await problem_field(await it.get("/instances", **{name: value})) == name


async def test_purging_everything_by_accident_is_refused() -> None:
    async with api() as it:
        await it.hub.run("greet", '"a"', instance_id="one")
        assert await problem_field(await it.call("DELETE", "/instances")) == "createdTimeFrom"
        assert (await it.get("/instances/one")).status == 200


async def test_an_unknown_orchestrator_is_refused_by_name() -> None:
    async with api() as it:
        assert await problem_field(await it.post("/orchestrators/shout")) == "functionName"
        assert await ids(await it.get("/instances")) == []


@pytest.mark.parametrize("instance_id", ["@counter@a", "a%20b", "%C3%A9", "x" * 101, "a%23b", "a%3Fb", "a%5Cb"])
async def test_an_id_that_azure_would_not_take_is_refused(instance_id: str) -> None:
    async with api() as it:
        response = await it.http.post(f"{ROOT}/orchestrators/greet/{instance_id}?code=system")
        assert await problem_field(response) == "instanceId"
        assert await ids(await it.get("/instances")) == []


@pytest.mark.parametrize("body", [b"{", b"ann", b"NaN", b"\xff\xfe", b"[" * 100_000])
async def test_input_that_is_not_json_is_refused_and_nothing_started(body: bytes) -> None:
    async with api() as it:
        assert await problem_field(await it.post("/orchestrators/greet", data=body)) == "body"
        assert await ids(await it.get("/instances")) == []


@pytest.mark.parametrize("value", ["soon", "-1", "inf", "nan"])
async def test_a_timeout_that_is_no_number_is_refused_before_anything_starts(value: str) -> None:
    async with api() as it:
        assert await problem_field(await it.post("/orchestrators/greet", query={"timeout": value})) == "timeout"
        assert await ids(await it.get("/instances")) == []


@pytest.mark.parametrize(
    ("headers", "body", "field"),
    [
        ({}, b"1", "Content-Type"),
        ({"Content-Type": "text/plain"}, b"1", "Content-Type"),
        (JSON, b"{", "body"),
        (JSON, b"\xff", "body"),
    ],
)
async def test_an_event_that_is_not_json_is_refused_by_field_and_not_raised(
    headers: dict[str, str], body: bytes, field: str
) -> None:
    async with api() as it:
        await it.hub.start("wait", instance_id="one")
        assert await problem_field(await it.post("/instances/one/raiseEvent/go", data=body, headers=headers)) == field
        await it.post("/instances/one/raiseEvent/go", data=b'"the right one"', headers=JSON)
        assert (await it.hub.finished("one")).serialized_output == '"the right one"'


@pytest.mark.parametrize(("path", "field"), [("/entities/Counter/a@b", "key"), ("/entities/x@y/k", "name")])
async def test_an_entity_id_that_cannot_be_is_refused_by_field(path: str, field: str) -> None:
    async with api() as it:
        assert await problem_field(await it.get(path)) == field


async def test_an_operation_whose_json_is_broken_is_refused_and_not_signalled() -> None:
    async with api() as it:
        response = await it.post("/entities/Counter/a", query={"op": "add"}, data="{", headers=JSON)
        assert await problem_field(response) == "body"
        assert await (await it.get("/entities")).json() == []


@pytest.mark.parametrize("name", ["lastOperationTimeFrom", "lastOperationTimeTo"])
async def test_a_time_that_cannot_be_read_is_refused_for_entities_too(name: str) -> None:
    async with api() as it:
        assert await problem_field(await it.get("/entities", **{name: "noon"})) == name
