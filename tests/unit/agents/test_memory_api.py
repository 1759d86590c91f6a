"""What is remembered over HTTP, called as the worker calls it: looked at, forgotten, and nothing of anybody else's."""

import json
from typing import Any
from urllib.parse import parse_qsl

import azure.functions as func
import pytest

from agents.memory_api import memory_routes
from shared.errors import StoreUnavailable
from shared.memory.entries import Scope
from tests.support.app_world import FlakyStore, World
from tests.support.documents import NOW, after
from tests.support.memories import a_fact, a_turn


class Routes:
    """The routes over a world; each call gives status and body."""

    def __init__(self, world: World, **changes: Any) -> None:
        builders: list[Any] = list(memory_routes(world.but(**changes))._function_builders)
        functions = [builder.build() for builder in builders]
        self._functions: dict[str, Any] = {f.get_function_name(): f.get_user_function() for f in functions}

    async def __call__(self, name: str, query: str = "", **parameters: str) -> tuple[int, Any]:
        request = func.HttpRequest(
            "GET", "http://localhost/api/x", params=dict(parse_qsl(query)), route_params=parameters, body=b""
        )
        response = await self._functions[name](request)
        return response.status_code, json.loads(response.get_body())


@pytest.fixture
async def routes(world: World) -> Routes:
    for at, text in enumerate(("Salt is old", "Snow is white", "Salt is salt")):
        await world.memory.put(a_fact(text, key=str(at), at=at), now=NOW)
    await world.memory.put(a_fact("Salt of research", scope=Scope(tenant="acme", agent="research")), now=NOW)
    await world.memory.put(a_fact("Salt of another", scope=Scope(tenant="other")), now=NOW)
    for at in range(2):
        await world.memory.put(a_turn(f"turn {at}", at=at, expires_at=after(100)), now=NOW)
    return Routes(world)


async def test_facts_are_shown_with_their_sources_the_newest_first(routes: Routes) -> None:
    status, body = await routes("list_facts", "code=the-function-key", tenant="acme")
    assert (status, [fact["text"] for fact in body["facts"]]) == (200, ["Salt is salt", "Snow is white", "Salt is old"])
    assert body["facts"][2] == {
        "key": "0",
        "text": "Salt is old",
        "source": {"run": "run-1", "step": "research", "agent": "research"},
        "at": "2026-01-01T12:00:00Z",
        "expires_at": None,
    }


async def test_facts_are_searched_and_cut_to_the_limit_and_counted(routes: Routes) -> None:
    _, body = await routes("list_facts", "text=old+SALT&limit=1", tenant="acme")
    assert ([fact["key"] for fact in body["facts"]], body["found"]) == (["0"], 2)


async def test_an_agents_own_facts_are_asked_for_by_its_name(routes: Routes) -> None:
    _, body = await routes("list_facts", "agent=research", tenant="acme")
    assert [fact["text"] for fact in body["facts"]] == ["Salt of research"]


async def test_a_session_is_shown_in_its_order(routes: Routes) -> None:
    status, body = await routes("get_session", tenant="acme", session="s-1")
    assert (status, [turn["lines"][0]["text"] for turn in body["turns"]]) == (200, ["turn 0", "turn 1"])
    assert body["turns"][0]["expires_at"] == "2026-01-01T12:01:40Z"


async def test_a_session_is_forgotten_and_the_facts_are_not(routes: Routes) -> None:
    gone = {"tenant": "acme", "session": "s-1", "forgotten": 2}
    assert await routes("forget_session", tenant="acme", session="s-1") == (200, gone)
    assert await routes("forget_session", tenant="acme", session="s-1") == (200, {**gone, "forgotten": 0})
    assert (await routes("get_session", tenant="acme", session="s-1"))[1] == {"turns": []}
    assert (await routes("list_facts", tenant="acme"))[1]["found"] == 3


async def test_a_tenant_is_forgotten_and_no_other(routes: Routes) -> None:
    assert await routes("forget_tenant", tenant="acme") == (200, {"tenant": "acme", "forgotten": 6})
    assert (await routes("list_facts", "agent=research", tenant="acme"))[1] == {"facts": [], "found": 0}
    assert (await routes("list_facts", tenant="other"))[1]["found"] == 1


@pytest.mark.parametrize(
    ("name", "query", "parameters", "named"),
    [
        ("list_facts", "", {"tenant": "a/b"}, "tenant"),
        ("list_facts", "", {"tenant": "x" * 101}, "tenant"),
        ("list_facts", "agent=NO AGENT", {"tenant": "acme"}, "agent"),
        ("list_facts", "limit=0", {"tenant": "acme"}, "limit"),
        ("list_facts", "limit=101", {"tenant": "acme"}, "limit"),
        ("list_facts", "text=%3F%21", {"tenant": "acme"}, "text"),
        ("list_facts", "colour=red", {"tenant": "acme"}, "colour"),
        ("get_session", "", {"tenant": "acme", "session": "a b"}, "session"),
        ("forget_session", "", {"tenant": "acme", "session": ""}, "session"),
        ("forget_session", "", {"tenant": "-", "session": "s-1"}, "tenant"),
        ("forget_tenant", "", {"tenant": "*"}, "tenant"),
    ],
)
async def test_a_bad_request_is_refused_by_field_and_forgets_nothing(
    routes: Routes, name: str, query: str, parameters: dict[str, str], named: str
) -> None:
    status, body = await routes(name, query, **parameters)
    assert (status, body["field"], body["type"]) == (400, named, "urn:muster:problem:invalid-request")
    assert (await routes("list_facts", tenant="acme"))[1]["found"] == 3


async def test_a_store_that_does_not_answer_is_a_503(world: World) -> None:
    broken = FlakyStore(world.memory, {"forget_tenant": [StoreUnavailable("no answer")]})
    status, body = await Routes(world, memory=broken)("forget_tenant", tenant="acme")
    assert (status, body["type"]) == (503, "urn:muster:problem:unavailable")
