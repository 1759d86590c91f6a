"""The routes that start and show runs, called as the worker calls them, with a durable client that the test plays."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import azure.functions as func
import grpc
import pytest
from durabletask.client import OrchestrationStatus

from agents.catalog import CATALOG
from orchestrations.durable import DurableOrchestrations
from orchestrations.http_api import run_routes
from orchestrations.orchestrators import orchestrator_functions
from orchestrations.start_routes import start_routes
from shared.errors import StateCorrupted, TaskHubUnavailable
from shared.status import RunStatus
from tests.support.app_world import FlakyStore, World
from tests.support.documents import NOW, a_run, a_run_result


def rpc_error(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details="secret-host is silent")


@dataclass
class Failure:
    """Why an orchestration failed."""

    message: str


@dataclass
class State:
    """An orchestration's state, as far as the routes look at it."""

    runtime_status: OrchestrationStatus
    failure_details: Failure | None = None


@dataclass
class FakeClient:
    """A durable client over a dictionary; `error` is raised by every call while it is set."""

    states: dict[str, State] = field(default_factory=dict)
    error: Exception | None = None
    scheduled: list[tuple[str, str, Any]] = field(default_factory=list)
    while_asked: Callable[[], Any] | None = None

    async def get_orchestration_state(self, instance_id: str, *, fetch_payloads: bool = True) -> State | None:
        if self.error:
            raise self.error
        if self.while_asked:
            await self.while_asked()
        return self.states.get(instance_id)

    async def schedule_new_orchestration(self, orchestrator: str, *, input: Any, instance_id: str) -> str:  # noqa: A002
        if self.error:
            raise self.error
        self.scheduled.append((orchestrator, instance_id, input))
        return instance_id


class Routes:
    """The app's routes, over a world; each call gives status, body and headers."""

    def __init__(self, world: World, **changes: Any) -> None:
        self.client = FakeClient()
        resources = world.but(**changes)
        blueprints: list[Any] = [run_routes(resources), start_routes(CATALOG.cards, resources)]
        functions = [builder.build() for blueprint in blueprints for builder in blueprint._function_builders]
        self._functions: dict[str, Any] = {f.get_function_name(): f.get_user_function() for f in functions}

    async def _call(self, name: str, request: func.HttpRequest, **more: Any) -> tuple[int, Any, Mapping[str, str]]:
        function = self._functions[name]
        if more:
            # The SDK's outermost wrapper makes a client from the binding; the test has one already.
            function = function.__wrapped__
        response = await function(req=request, **more)
        return response.status_code, json.loads(response.get_body()), response.headers

    async def create(self, body: Any, **headers: str) -> tuple[int, Any, Mapping[str, str]]:
        """`POST create-content`."""
        request = func.HttpRequest(
            "POST",
            "http://localhost:7071/api/create-content",
            headers={"content-type": "application/json", **{n.replace("_", "-"): v for n, v in headers.items()}},
            body=json.dumps(body).encode(),
        )
        return await self._call("create_content", request, client=self.client)

    async def task(self, task_id: str) -> tuple[int, Any, Mapping[str, str]]:
        """`GET task/{id}`."""
        url = f"http://localhost:7071/api/task/{task_id}"
        request = func.HttpRequest("GET", url, route_params={"id": task_id}, body=b"")
        return await self._call("get_task", request, client=self.client)

    async def health(self) -> tuple[int, Any, Mapping[str, str]]:
        """`GET health`."""
        return await self._call("health", func.HttpRequest("GET", "http://localhost:7071/api/health", body=b""))


@pytest.fixture
def routes(world: World) -> Routes:
    """The routes over the world's own resources."""
    return Routes(world)


# -- create-content ---------------------------------------------------------------------------------------------


async def test_a_topic_is_answered_with_where_to_watch_its_run(routes: Routes, world: World) -> None:
    status, body, headers = await routes.create({"topic": "tides"})
    task_id = body["task_id"]
    assert status == 202
    assert (body["status"], body["workflow"]) == ("started", "sequential")
    assert body["steps"] == ["research", "writer", "editor", "publisher"]
    assert headers["Location"] == f"http://localhost:7071/api/task/{task_id}"
    assert headers["Location"] in body["message"]
    assert int(headers["Retry-After"]) >= 1
    assert (await world.record(task_id)).run.workflow == "content"
    [(orchestrator, instance, given)] = routes.client.scheduled
    assert (orchestrator, instance, given["request"]) == ("sequential", task_id, {"topic": "tides"})


async def test_the_same_idempotency_key_gives_the_same_run(routes: Routes) -> None:
    first = (await routes.create({"topic": "tides"}, idempotency_key="k"))[1]["task_id"]
    routes.client.states[first] = State(OrchestrationStatus.PENDING)
    status, body, _ = await routes.create({"topic": "tides"}, idempotency_key="k")
    assert (status, body["task_id"]) == (202, first)
    assert len(routes.client.scheduled) == 1


async def test_the_same_idempotency_key_for_another_topic_is_409(routes: Routes) -> None:
    await routes.create({"topic": "tides"}, idempotency_key="k")
    status, body, _ = await routes.create({"topic": "volcanoes"}, idempotency_key="k")
    assert (status, body["type"]) == (409, "urn:muster:problem:conflict")


@pytest.mark.parametrize("body", [{}, {"topic": ""}, {"topic": "x" * 2001}, {"topic": "x", "more": 1}, [], None])
async def test_a_bad_request_is_400_and_starts_nothing(routes: Routes, body: Any) -> None:
    status, problem, _ = await routes.create(body)
    assert (status, problem["type"]) == (400, "urn:muster:problem:invalid-request")
    assert routes.client.scheduled == []


async def test_an_unusable_idempotency_key_is_400_and_names_the_header(routes: Routes) -> None:
    status, problem, _ = await routes.create({"topic": "x"}, idempotency_key="x" * 256)
    assert (status, problem["field"]) == (400, "Idempotency-Key")


async def test_a_task_hub_that_does_not_answer_is_503_and_says_nothing_of_the_inside(routes: Routes) -> None:
    routes.client.error = rpc_error(grpc.StatusCode.UNAVAILABLE)
    status, problem, _ = await routes.create({"topic": "tides"}, idempotency_key="k")
    assert (status, problem["type"]) == (503, "urn:muster:problem:unavailable")
    assert "secret" not in json.dumps(problem)
    routes.client.error = None
    assert (await routes.create({"topic": "tides"}, idempotency_key="k"))[0] == 202


# -- task/{id} --------------------------------------------------------------------------------------------------


async def test_a_run_under_way_is_shown_with_when_to_ask_again(routes: Routes, world: World) -> None:
    await world.store.create_run(a_run(status=RunStatus.RUNNING))
    routes.client.states["run-1"] = State(OrchestrationStatus.RUNNING)
    status, body, headers = await routes.task("run-1")
    assert (status, body["id"], body["status"]) == (200, "run-1", "running")
    assert [step["name"] for step in body["steps"]] == ["research", "writer"]
    assert "Retry-After" in headers


async def test_a_run_that_is_over_is_shown_from_the_record_alone(routes: Routes, world: World) -> None:
    await world.store.create_run(a_run())
    await world.store.advance_run("run-1", RunStatus.COMPLETED, now=NOW, result=a_run_result())
    routes.client.error = AssertionError("there is nothing to ask the task hub")
    status, body, headers = await routes.task("run-1")
    assert (status, body["status"], body["result"]) == (200, "completed", "article")
    assert "Retry-After" not in headers


@pytest.mark.parametrize("task_id", ["nothing", "' or 1=1", "x" * 5000, "..", "\x00"])
async def test_an_unknown_run_is_404_in_brief(routes: Routes, task_id: str) -> None:
    status, problem, _ = await routes.task(task_id)
    assert (status, problem["type"]) == (404, "urn:muster:problem:not-found")
    assert len(problem["detail"]) < 200


@pytest.mark.parametrize(
    ("ended", "status", "cause"),
    [
        (State(OrchestrationStatus.FAILED, Failure("it broke")), "failed", "it broke"),
        (State(OrchestrationStatus.TERMINATED), "cancelled", "its orchestration was terminated"),
    ],
)
async def test_an_orchestration_that_ended_without_saying_so_ends_its_run(
    routes: Routes, world: World, ended: State, status: str, cause: str
) -> None:
    await world.store.create_run(a_run(status=RunStatus.RUNNING))
    routes.client.states["run-1"] = ended
    for _ in range(2):
        body = (await routes.task("run-1"))[1]
        assert (body["status"], body["error"]["message"]) == (status, cause)
    assert (await world.record()).run.status == status


async def test_a_run_whose_orchestration_is_gone_is_failed_and_not_shown_as_running_for_ever(
    routes: Routes, world: World
) -> None:
    await world.store.create_run(a_run(status=RunStatus.RUNNING))
    for _ in range(2):
        body = (await routes.task("run-1"))[1]
        assert (body["status"], body["error"]["type"]) == ("failed", "OrchestrationLost")
    assert (await world.record()).run.status is RunStatus.FAILED


async def test_a_run_whose_orchestration_is_not_yet_scheduled_is_left_to_be_started(
    routes: Routes, world: World
) -> None:
    await world.store.create_run(a_run())
    assert (await routes.task("run-1"))[1]["status"] == "pending"
    assert (await world.record()).run.status is RunStatus.PENDING


async def test_a_run_that_ends_while_it_is_being_shown_is_shown_as_it_ended(routes: Routes, world: World) -> None:
    await world.store.create_run(a_run(status=RunStatus.RUNNING))
    routes.client.states["run-1"] = State(OrchestrationStatus.TERMINATED)

    async def end() -> None:
        await world.store.advance_run("run-1", RunStatus.COMPLETED, now=NOW, result=a_run_result())

    routes.client.while_asked = end
    status, body, _ = await routes.task("run-1")
    assert (status, body["status"], body["result"]) == (200, "completed", "article")


async def test_a_run_is_shown_as_recorded_when_the_task_hub_does_not_answer(routes: Routes, world: World) -> None:
    await world.store.create_run(a_run(status=RunStatus.RUNNING))
    routes.client.error = rpc_error(grpc.StatusCode.UNAVAILABLE)
    status, body, _ = await routes.task("run-1")
    assert (status, body["status"]) == (200, "running")


async def test_a_run_without_an_orchestration_is_not_held_against_one(routes: Routes, world: World) -> None:
    await world.store.create_run(a_run(type="agent", status=RunStatus.RUNNING))
    routes.client.error = AssertionError("there is nothing to ask the task hub")
    assert (await routes.task("run-1"))[0] == 200


async def test_a_run_whose_document_cannot_be_read_is_500_and_shows_nothing_of_it(world: World) -> None:
    store = FlakyStore(world.store, {"read_run": [StateCorrupted("secret field")]})
    status, problem, _ = await Routes(world, store=store).task("run-1")
    assert (status, problem["type"]) == (500, "urn:muster:problem:internal")
    assert "secret" not in json.dumps(problem)


# -- health -----------------------------------------------------------------------------------------------------


async def test_health_is_200_when_all_is_well_and_503_when_not(world: World) -> None:
    assert (await Routes(world).health())[0] == 503
    well = world.with_settings(service_bus="Endpoint=sb://x", model_api_key="k").settings
    status, body, _ = await Routes(world, settings=well).health()
    assert (status, body["status"]) == (200, "ok")


# -- the durable client -----------------------------------------------------------------------------------------


async def test_an_orchestration_that_was_scheduled_a_moment_ago_is_scheduled() -> None:
    client: Any = FakeClient(error=rpc_error(grpc.StatusCode.ALREADY_EXISTS))
    await DurableOrchestrations(client).schedule("sequential", "run-1", {})


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED])
async def test_any_other_failure_of_the_task_hub_is_one_that_may_pass(code: grpc.StatusCode) -> None:
    client: Any = FakeClient(error=rpc_error(code))
    with pytest.raises(TaskHubUnavailable):
        await DurableOrchestrations(client).schedule("sequential", "run-1", {})
    with pytest.raises(TaskHubUnavailable):
        await DurableOrchestrations(client).exists("run-1")


def test_the_orchestrators_bear_their_durable_names() -> None:
    builders: Any = orchestrator_functions()._function_builders
    functions = [builder.build() for builder in builders]
    [binding] = [f.get_bindings()[0].get_dict_repr() for f in functions if f.get_function_name() == "sequential"]
    assert (binding["type"], binding["orchestration"]) == ("orchestrationTrigger", "sequential")
