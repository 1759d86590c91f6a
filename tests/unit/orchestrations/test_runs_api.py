"""The routes of lists, logs, export and removal, called as the worker calls them."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import azure.functions as func
import grpc
import pytest
from durabletask.client import PurgeInstancesResult

from orchestrations.runs_api import runs_routes
from shared.errors import NotFound, StateCorrupted, StoreUnavailable
from shared.state.export import read_export
from shared.state.store import StateStore
from shared.status import RunStatus
from tests.support.app_world import FlakyStore, World
from tests.support.documents import NOW, a_claim, a_result, a_run, a_run_result, after


@dataclass
class FakeClient:
    """A durable client that forgets histories; `error` is raised while it is set."""

    error: Exception | None = None
    purged: list[str] = field(default_factory=list)

    async def purge_orchestration(self, instance_id: str, *, recursive: bool) -> PurgeInstancesResult:
        if self.error:
            raise self.error
        self.purged.append(instance_id)
        return PurgeInstancesResult(deleted_instance_count=1, is_complete=None)


class Routes:
    """The routes over a world; each call gives status and body."""

    def __init__(self, world: World, **changes: Any) -> None:
        self.client = FakeClient()
        blueprint: Any = runs_routes(world.but(**changes))
        functions = [builder.build() for builder in blueprint._function_builders]
        self._functions: dict[str, Any] = {f.get_function_name(): f.get_user_function() for f in functions}

    async def __call__(self, name: str, query: str = "", task_id: str = "run-1") -> tuple[int, Any]:
        params = dict(parse_qsl(query, keep_blank_values=True))
        request = func.HttpRequest("GET", "http://h/api", params=params, route_params={"id": task_id}, body=b"")
        function = self._functions[name]
        if name == "delete_task":
            response = await function.__wrapped__(req=request, client=self.client)
        else:
            response = await function(req=request)
        return response.status_code, json.loads(response.get_body())


@pytest.fixture
def routes(world: World) -> Routes:
    """The routes over the world's own resources."""
    return Routes(world)


async def live(store: StateStore, task_id: str = "run-1") -> None:
    await store.create_run(a_run(task_id))
    await store.advance_run(task_id, RunStatus.RUNNING, now=after(1))
    await store.claim_step(a_claim(task_id=task_id, at=2))
    await store.record_step(task_id, "research", owner="first", result=a_result(), now=after(3))
    await store.advance_run(task_id, RunStatus.COMPLETED, now=after(4), result=a_run_result())


async def test_runs_are_listed_page_by_page(routes: Routes, world: World) -> None:
    for number in range(3):
        await world.store.create_run(a_run(f"run-{number}", created_at=after(number)))
    status, first = await routes("list_tasks", "limit=2&code=the-function-key")
    assert (status, [task["task_id"] for task in first["tasks"]]) == (200, ["run-2", "run-1"])
    assert first["tasks"][0]["topic"] == "tides"
    status, second = await routes("list_tasks", f"limit=2&continuation={first['continuation']}")
    assert (status, [task["task_id"] for task in second["tasks"]], second["continuation"]) == (200, ["run-0"], None)


async def test_every_condition_of_a_list_reaches_the_store(routes: Routes, world: World) -> None:
    await world.store.create_run(a_run("run-1", created_at=NOW))
    good = "status=pending&type=sequential&agent=writer&text=Tid&from=2026-01-01T12:00:00Z&to=2026-01-01T13:00:00Z"
    assert [task["task_id"] for task in (await routes("list_tasks", good))[1]["tasks"]] == ["run-1"]
    for other in (
        "status=running",
        "type=parallel",
        "agent=editor",
        "text=salt",
        "from=2026-01-01T12:00:01Z",
        "to=2026-01-01T12:00:00Z",
    ):
        assert (await routes("list_tasks", other)) == (200, {"tasks": [], "continuation": None})
        assert (await routes("count_tasks", other))[1]["total"] == 0


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("status=dancing", "status"),
        ("agent=NOT AN AGENT", "agent"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("from=yesterday", "from"),
        ("to=2026-01-01T12:00:00", "to"),
        ("text=" + "x" * 201, "text"),
        ("text=!!!", "text"),
        ("continuation=nonsense", "continuation"),
        ("colour=red", "colour"),
    ],
)
async def test_a_bad_query_of_a_list_is_400_and_names_the_parameter(routes: Routes, query: str, named: str) -> None:
    status, problem = await routes("list_tasks", query)
    assert (status, problem["type"], problem["field"]) == (400, "urn:muster:problem:invalid-request", named)


async def test_counts_are_by_status_with_their_sum(routes: Routes, world: World) -> None:
    await live(world.store)
    await world.store.create_run(a_run("run-2"))
    status, body = await routes("count_tasks")
    assert (status, body["total"]) == (200, 2)
    assert (body["by_status"]["completed"], body["by_status"]["pending"], body["by_status"]["failed"]) == (1, 1, 0)


async def test_the_log_is_shown_whole_in_order(routes: Routes, world: World) -> None:
    await live(world.store)
    status, body = await routes("get_task_events")
    assert status == 200
    assert [(event["sequence"], event["kind"]) for event in body["events"]] == [
        (1, "run_created"),
        (2, "run_advanced"),
        (3, "step_claimed"),
        (4, "step_recorded"),
        (5, "run_advanced"),
    ]
    assert body["events"][3]["result"]["output"] == "done"
    assert (body["task_id"], body["next_after"], body["request_units"]) == ("run-1", None, None)


async def test_the_log_is_read_on_from_where_one_was(routes: Routes, world: World) -> None:
    await live(world.store)
    seen: list[int] = []
    after_event: int | None = 0
    while after_event is not None:
        _, body = await routes("get_task_events", f"after={after_event}&limit=2")
        seen += [event["sequence"] for event in body["events"]]
        after_event = body["next_after"]
    assert seen == [1, 2, 3, 4, 5]
    assert (await routes("get_task_events", "after=5"))[1]["events"] == []
    assert (await routes("get_task_events", "after=99"))[1]["events"] == []


@pytest.mark.parametrize(("until", "last"), [("3", 3), ("2026-01-01T12:00:02Z", 3), ("0", 0), ("999", 5)])
async def test_the_log_is_cut_at_a_number_or_a_time(routes: Routes, world: World, until: str, last: int) -> None:
    await live(world.store)
    _, body = await routes("get_task_events", f"until={until}")
    assert [event["sequence"] for event in body["events"]] == list(range(1, last + 1))


async def test_a_task_is_shown_as_it_was(routes: Routes, world: World) -> None:
    await live(world.store)
    status, body = await routes("replay_task", "until=3")
    assert (status, body["sequence"], body["task"]["status"]) == (200, 3, "running")
    assert body["task"]["steps"][0]["status"] == "running"
    _, body = await routes("replay_task", "until=2026-01-01T12:00:03Z")
    assert body["task"]["steps"][0]["result"] == "done"
    assert (await routes("replay_task", "until=2025-01-01T00:00:00Z"))[0] == 404


@pytest.mark.parametrize("until", ["", "soon", "-1", "1.5", "2026-01-01", "2026-01-01T12:00:00", "٣"])
async def test_what_is_no_point_of_a_log_is_400(routes: Routes, world: World, until: str) -> None:
    await live(world.store)
    for route in ("replay_task", "get_task_events"):
        status, problem = await routes(route, f"until={until}")
        assert (status, problem["field"]) == (400, "until")


async def test_a_replay_needs_to_know_until_when(routes: Routes, world: World) -> None:
    await live(world.store)
    assert (await routes("replay_task"))[1]["field"] == "until"


@pytest.mark.parametrize("route", ["get_task_events", "export_task", "delete_task"])
@pytest.mark.parametrize("task_id", ["nothing", "ünïcode", "x" * 5000, "a b"])
async def test_what_there_is_not_is_404(routes: Routes, route: str, task_id: str) -> None:
    status, problem = await routes(route, task_id=task_id)
    assert (status, problem["type"]) == (404, "urn:muster:problem:not-found")


async def test_an_exported_run_is_one_that_can_be_read_back(routes: Routes, world: World) -> None:
    await live(world.store)
    status, body = await routes("export_task")
    assert (status, body["format"], body["version"]) == (200, "muster-run", 1)
    assert body["record"]["run"]["status"] == "completed"
    assert read_export(json.dumps(body).encode()).log == await world.store.read_log("run-1")


async def test_a_run_that_is_over_is_removed_with_its_history(routes: Routes, world: World) -> None:
    await live(world.store)
    article = await world.resources.artifacts.put(b"article", "text/markdown", run="run-1")
    status, body = await routes("delete_task")
    assert (status, body) == (200, {"task_id": "run-1", "documents": 2, "histories": 1, "artifacts": 1})
    assert routes.client.purged == ["run-1"]
    with pytest.raises(NotFound):
        await world.resources.artifacts.get(article.address)
    assert await world.store.read_run("run-1") is None
    assert (await routes("delete_task"))[0] == 404


async def test_a_run_that_is_not_over_is_not_removed(routes: Routes, world: World) -> None:
    await world.store.create_run(a_run())
    status, problem = await routes("delete_task")
    assert (status, problem["type"]) == (409, "urn:muster:problem:conflict")
    assert routes.client.purged == []
    assert await world.store.read_run("run-1") is not None


async def test_a_run_that_cannot_be_read_is_removed(world: World) -> None:
    await live(world.store)
    damaged = FlakyStore(world.store, {"read_run": [StateCorrupted("somebody edited it")]})
    assert (await Routes(world, store=damaged)("delete_task"))[0] == 200
    assert await world.store.read_run("run-1") is None


async def test_a_run_whose_history_cannot_be_removed_stays_to_be_asked_for_again(routes: Routes, world: World) -> None:
    await live(world.store)
    silent = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), details="secret-host"
    )
    routes.client.error = silent
    status, problem = await routes("delete_task")
    assert status == 503
    assert "secret" not in json.dumps(problem)
    routes.client.error = None
    assert (await routes("delete_task"))[0] == 200


async def test_a_store_that_does_not_answer_is_503(world: World) -> None:
    broken = FlakyStore(world.store, {"list_runs": [StoreUnavailable("secret-path is gone")]})
    status, problem = await Routes(world, store=broken)("list_tasks")
    assert (status, problem["type"]) == (503, "urn:muster:problem:unavailable")
    assert "secret" not in json.dumps(problem)
