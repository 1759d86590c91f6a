"""The table of the app's HTTP triggers: which function answers a path and a method.

The most specific template that matches the path and the method wins; equal ones, in the order of the functions' names.
A path that only matches with another method is not found, as in the real host, which constrains routes by method.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from devhost.errors import StartError
from devhost.http.route_template import RouteTemplate, RouteTemplateError, parse_template
from devhost.worker.model import FunctionMetadata

RESERVED = frozenset({"admin", "runtime"})


class AuthLevel(StrEnum):
    """Which key opens a function."""

    ANONYMOUS = "anonymous"
    FUNCTION = "function"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Route:
    """One HTTP trigger. No `methods` means all of them."""

    function: FunctionMetadata
    template: RouteTemplate
    methods: frozenset[str]
    auth_level: AuthLevel

    def takes(self, method: str) -> bool:
        """Whether the trigger accepts the method."""
        return not self.methods or method.upper() in self.methods

    @property
    def path(self) -> str:
        """The template as an address from the root."""
        return f"/{self.template.text}"


@dataclass(frozen=True, slots=True)
class Match:
    """The route that answers a request, and the values of its parameters."""

    route: Route
    values: Mapping[str, str]


class RouteTable:
    """All routes of the app, most specific first."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(sorted(routes, key=lambda route: (route.template.precedence, route.function.name.lower())))

    def find(self, path: str, method: str) -> Match | None:
        """The route for a path (percent-encoded, with or without its leading slash) and a method."""
        for route in self.routes:
            if route.takes(method) and (values := route.template.match(path)) is not None:
                return Match(route, values)
        return None

    def methods_of(self, path: str) -> frozenset[str]:
        """The methods that some route on this path would accept."""
        found = [route.methods for route in self.routes if route.template.match(path) is not None]
        return frozenset().union(*found)


def build_routes(functions: Iterable[FunctionMetadata], prefix: str) -> RouteTable:
    """The table for every HTTP trigger among `functions`, each route under `prefix` (`host.json`'s `routePrefix`).

    Raises `StartError` naming the function whose route, methods or auth level are invalid, or clash with another's.
    """
    routes = [_route(each, prefix.strip("/")) for each in functions if each.trigger.type == "httpTrigger"]
    _refuse_clashes(routes)
    return RouteTable(routes)


def _route(function: FunctionMetadata, prefix: str) -> Route:
    properties = function.trigger.properties
    own = str(properties.get("route") if properties.get("route") is not None else function.name)
    text = "/".join(part for part in (prefix, own) if part)
    try:
        template = parse_template(text)
        level = AuthLevel(str(properties.get("authLevel") or "function").lower())
    except RouteTemplateError as invalid:
        raise StartError(f"function '{function.name}': {invalid}") from invalid
    except ValueError:
        levels = ", ".join(AuthLevel)
        raise StartError(
            f"function '{function.name}' has the auth level '{properties['authLevel']}', which is none of {levels}"
        ) from None
    first = text.partition("/")[0].lower()
    if first in RESERVED:
        raise StartError(f"function '{function.name}' has the route '{text}', but /{first} belongs to the host")
    return Route(function, template, _methods(properties), level)


def _methods(properties: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(str(method).upper() for method in properties.get("methods") or ())


def _refuse_clashes(routes: Iterable[Route]) -> None:
    seen: dict[str, list[Route]] = {}
    for route in routes:
        for other in seen.setdefault(route.template.text.lower(), []):
            both = route.methods & other.methods if route.methods and other.methods else route.methods | other.methods
            if both or not (route.methods or other.methods):
                names = f"'{other.function.name}' and '{route.function.name}'"
                raise StartError(f"functions {names} have the same route '{route.template.text}' for the same method")
        seen[route.template.text.lower()].append(route)
