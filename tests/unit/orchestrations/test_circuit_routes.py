"""Circuits over HTTP: everyone sees them, a person may hold them, and nobody makes one up."""

import json
from typing import Any

import azure.functions as func
import pytest

from orchestrations.operation_routes import operation_routes
from shared.circuit import Refused
from tests.support.app_world import World
from tests.support.documents import a_card


class Routes:
    """The two routes, called as the worker calls them."""

    def __init__(self, world: World) -> None:
        blueprint: Any = operation_routes({"writer": a_card("writer")}, world.resources)
        functions = [builder.build() for builder in blueprint._function_builders]
        self._functions: dict[str, Any] = {f.get_function_name(): f.get_user_function() for f in functions}

    async def list(self) -> list[dict[str, Any]]:
        request = func.HttpRequest("GET", "http://h/api/circuits", body=b"")
        response = await self._functions["list_circuits"](req=request)
        found: list[dict[str, Any]] = json.loads(response.get_body())["circuits"]
        return found

    async def force(self, name: str, body: bytes, content_type: str = "application/json") -> tuple[int, Any]:
        request = func.HttpRequest(
            "POST", "http://h/api", headers={"content-type": content_type}, route_params={"name": name}, body=body
        )
        response = await self._functions["force_circuit"](req=request)
        return response.status_code, json.loads(response.get_body())


@pytest.fixture
def routes(world: World) -> Routes:
    return Routes(world)


async def test_every_agent_and_every_endpoint_that_failed_is_listed(routes: Routes, world: World) -> None:
    await world.resources.circuits.failed("model.example.org", "ModelUnavailable: away")
    writer, endpoint = await routes.list()
    assert (writer["name"], writer["state"], writer["failures"]) == ("agent.writer", "closed", 0)
    assert (endpoint["name"], endpoint["state"], endpoint["failures"]) == ("model.example.org", "closed", 1)


async def test_a_person_holds_a_circuit_open_and_lets_go_of_it(routes: Routes, world: World) -> None:
    status, held = await routes.force("agent.writer", b'{"state": "open"}')
    assert (status, held["state"], held["forced"]) == (200, "open", True)
    assert await world.resources.circuits.admit("agent.writer") == Refused(None)
    status, free = await routes.force("agent.writer", b'{"state": "auto"}')
    assert (status, free["state"], free["forced"]) == (200, "closed", False)


@pytest.mark.parametrize("name", ["agent.ghost", "writer", "model.", "model.a/b", "x" * 5000, "model.UPPER", ""])
async def test_a_circuit_that_cannot_be_is_not_found(routes: Routes, name: str) -> None:
    status, problem = await routes.force(name, b'{"state": "open"}')
    assert (status, problem["type"]) == (404, "urn:muster:problem:not-found")


@pytest.mark.parametrize(
    ("body", "field"),
    [(b'{"state": "half_open"}', "state"), (b"{}", "state"), (b'{"state": "open", "x": 1}', "x"), (b"[]", None)],
)
async def test_a_body_that_is_none_is_refused_by_its_field(routes: Routes, body: bytes, field: str | None) -> None:
    status, problem = await routes.force("agent.writer", body)
    assert (status, problem.get("field")) == (400, field)
