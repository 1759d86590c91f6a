import pytest

from devhost.errors import StartError
from devhost.http.routes import build_routes
from devhost.worker.model import FunctionMetadata
from tests.support.functions import http_function


def answering(path: str, method: str, *functions: tuple[str, tuple[str, ...]]) -> str | None:
    table = build_routes([http_function(route, route, methods=methods) for route, methods in functions], "api")
    match = table.find(path, method)
    return match.route.function.name if match else None


def test_the_most_specific_route_wins_whatever_the_order_of_declaration() -> None:
    routes = [("{*any}", ()), ("items/{id}", ()), ("items/{id:int}", ()), ("items/special", ())]
    for functions in (routes, routes[::-1]):
        assert answering("api/items/special", "GET", *functions) == "items/special"
        assert answering("api/items/7", "GET", *functions) == "items/{id:int}"
        assert answering("api/items/x", "GET", *functions) == "items/{id}"
        assert answering("api/else/where", "GET", *functions) == "{*any}"


def test_a_route_that_does_not_take_the_method_leaves_the_request_to_the_next_one() -> None:
    functions = [("items/special", ("POST",)), ("items/{id}", ("GET",))]
    assert answering("api/items/special", "GET", *functions) == "items/{id}"
    assert answering("api/items/special", "DELETE", *functions) is None


def test_a_function_without_a_route_is_found_under_its_name_and_without_methods_takes_all() -> None:
    table = build_routes([http_function("hello", None)], "api")
    assert table.find("/api/hello", "PURGE") is not None
    assert table.find("/hello", "GET") is None


@pytest.mark.parametrize(("prefix", "path"), [("", "/x"), ("v1/api", "/v1/api/x"), ("/api/", "/api/x")])
def test_the_prefix_of_host_json_comes_before_every_route(prefix: str, path: str) -> None:
    assert build_routes([http_function("x", "x")], prefix).find(path, "GET") is not None


def test_the_root_can_be_a_route() -> None:
    assert build_routes([http_function("root", "")], "").find("/", "GET") is not None


def test_the_methods_of_a_path_are_known_for_the_answer_that_refuses_another() -> None:
    table = build_routes([http_function("a", "x", methods=("GET",)), http_function("b", "x", methods=("POST",))], "")
    assert table.methods_of("/x") == {"GET", "POST"}
    assert table.methods_of("/y") == frozenset()


@pytest.mark.parametrize(
    ("functions", "reason"),
    [
        ([http_function("f", "{id:uint}")], "function 'f': route 'api/{id:uint}'"),
        ([http_function("f", "x", auth_level="secret")], "auth level 'secret'"),
        ([http_function("f", "x"), http_function("g", "X")], "'f' and 'g' have the same route"),
        ([http_function("f", "x", methods=("GET",)), http_function("g", "x")], "have the same route"),
    ],
)
def test_an_impossible_route_is_refused_with_the_functions_name(functions: list[FunctionMetadata], reason: str) -> None:
    with pytest.raises(StartError) as refused:
        build_routes(functions, "api")
    assert reason in str(refused.value)


def test_two_functions_may_share_a_route_for_different_methods() -> None:
    table = build_routes([http_function("f", "x", methods=("GET",)), http_function("g", "x", methods=("POST",))], "")
    found = [match.route.function.name for method in ("GET", "POST") if (match := table.find("/x", method))]
    assert found == ["f", "g"]


def test_the_hosts_own_addresses_cannot_be_taken() -> None:
    with pytest.raises(StartError, match="/admin belongs to the host"):
        build_routes([http_function("f", "admin/x")], "")
