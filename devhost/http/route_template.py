"""Route templates in the syntax of ASP.NET Core, which `httpTrigger.route` is written in.

Segments are text, parameters (`{id}`), or both (`v{major}.{minor}`). A parameter may have constraints
(`{id:int:min(1)}`), a default (`{page=1}`), be optional (`{id?}`), or, as the last one, take the rest of the path
(`{*path}`, `{**path}`).
Source: ASP.NET Core's documentation of routing, "Route templates" and "Route constraints".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from devhost.http.route_constraints import Constraint, parse_constraint


class RouteTemplateError(ValueError):
    """The template is not one ASP.NET Core would accept, or uses a constraint that is not supported."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One `{...}` of a template."""

    name: str
    constraints: tuple[Constraint, ...] = ()
    optional: bool = False
    catch_all: bool = False
    default: str | None = None

    def admits(self, value: str) -> bool:
        """Whether every constraint holds."""
        return all(constraint(value) for constraint in self.constraints)


@dataclass(frozen=True, slots=True)
class Segment:
    """What stands between two slashes: literals and parameters in turn."""

    parts: tuple[str | Parameter, ...]

    @property
    def sole(self) -> Parameter | None:
        """The parameter, when the segment is nothing else."""
        part = self.parts[0] if len(self.parts) == 1 else None
        return part if isinstance(part, Parameter) else None

    @property
    def precedence(self) -> int:
        """How specific the segment is: smaller is more specific (literal, mixed, constrained, free, catch-all)."""
        sole = self.sole
        if sole is None:
            return 1 if all(isinstance(part, str) for part in self.parts) else 2
        if sole.catch_all:
            return 5 if sole.constraints else 6
        return 3 if sole.constraints else 4


@dataclass(frozen=True, slots=True)
class RouteTemplate:
    """A parsed template. `match` takes a path without leading slash, still percent-encoded."""

    text: str
    segments: tuple[Segment, ...]

    @property
    def precedence(self) -> tuple[int, ...]:
        """Sorts templates from the most to the least specific."""
        return tuple(segment.precedence for segment in self.segments)

    def match(self, path: str) -> Mapping[str, str] | None:
        """The parameters' values, or None. Optional parameters that are absent are left out; defaults are filled in."""
        given = [unquote(step) for step in path.strip("/").split("/")] if path.strip("/") else []
        values: dict[str, str] = {}
        for index, segment in enumerate(self.segments):
            sole = segment.sole
            if sole is not None and sole.catch_all:
                return _take_rest(sole, given[index:], values)
            if index >= len(given):
                if sole is None or not _leave_out(sole, values):
                    return None
                continue
            if not _match_segment(segment, given[index], values):
                return None
        return values if len(given) <= len(self.segments) else None


_PARAMETER: Final = re.compile(
    r"(?P<catch>\*{0,2})(?P<name>[^/{}=:?*()]+)(?P<constraints>(?::[^:=?(]+(?:\((?:[^()]|\([^()]*\))*\))?)*)"
    r"(?:=(?P<default>[^?]*))?(?P<optional>\?)?\Z"
)
_CONSTRAINT: Final = re.compile(r":([^:=?(]+(?:\((?:[^()]|\([^()]*\))*\))?)")


def parse_template(text: str) -> RouteTemplate:
    """Read a template; raises `RouteTemplateError` with the reason."""
    if text.startswith(("/", "~")):
        raise RouteTemplateError(f"route '{text}' must not start with '{text[0]}'")
    segments = tuple(_segment(step, text) for step in _split(text)) if text else ()
    names = [part.name.lower() for segment in segments for part in segment.parts if isinstance(part, Parameter)]
    for name in names:
        if names.count(name) > 1:
            raise RouteTemplateError(f"route '{text}' has the parameter '{name}' more than once")
    for segment in segments[:-1]:
        if segment.sole is not None and segment.sole.catch_all:
            raise RouteTemplateError(f"route '{text}': only the last segment may take the rest of the path")
    return RouteTemplate(text, segments)


def _split(text: str) -> list[str]:
    """Steps between slashes, where a slash inside braces (a regular expression) does not count."""
    steps, depth = [""], 0
    for char in text.strip("/"):
        depth += (char == "{") - (char == "}")
        if char == "/" and depth == 0:
            steps.append("")
        else:
            steps[-1] += char
    if depth or "" in steps:
        raise RouteTemplateError(f"route '{text}' has an empty segment or unbalanced braces")
    return steps


def _segment(step: str, text: str) -> Segment:
    parts: list[str | Parameter] = []
    position = 0
    while position < len(step):
        if step.startswith(("{{", "}}"), position):
            parts.append(step[position])
            position += 2
        elif step[position] == "{":
            end = _closing(step, position, text)
            parts.append(_parameter(step[position + 1 : end], text))
            position = end + 1
        elif step[position] == "}":
            raise RouteTemplateError(f"route '{text}' has a '}}' without a '{{'")
        else:
            end = next((n for n in range(position, len(step)) if step[n] in "{}"), len(step))
            parts.append(step[position:end])
            position = end
    return _checked(Segment(_joined(parts)), text)


def _closing(step: str, start: int, text: str) -> int:
    depth, position = 0, start
    while position < len(step):
        if step.startswith(("{{", "}}"), position) and depth == 1:
            position += 2
            continue
        depth += (step[position] == "{") - (step[position] == "}")
        if depth == 0:
            return position
        position += 1
    raise RouteTemplateError(f"route '{text}' has a '{{' without a '}}'")


def _joined(parts: list[str | Parameter]) -> tuple[str | Parameter, ...]:
    joined: list[str | Parameter] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, str) and isinstance(last, str):
            joined[-1] = last + part
        else:
            joined.append(part)
    return tuple(joined)


def _checked(segment: Segment, text: str) -> Segment:
    for before, after in zip(segment.parts, segment.parts[1:], strict=False):
        if isinstance(before, Parameter) and isinstance(after, Parameter):
            raise RouteTemplateError(f"route '{text}': two parameters need a text between them")
    for part in segment.parts:
        if isinstance(part, Parameter) and part.catch_all and segment.sole is None:
            raise RouteTemplateError(
                f"route '{text}': '{part.name}' can take the rest of the path only as a whole segment"
            )
    return segment


def _parameter(body: str, text: str) -> Parameter:
    found = _PARAMETER.match(body)
    if found is None:
        raise RouteTemplateError(f"route '{text}' has the malformed parameter '{{{body}}}'")
    try:
        constraints = tuple(parse_constraint(each) for each in _CONSTRAINT.findall(found["constraints"]))
    except ValueError as unsupported:
        raise RouteTemplateError(f"route '{text}': {unsupported}") from unsupported
    if found["optional"] and found["default"] is not None:
        raise RouteTemplateError(f"route '{text}': '{found['name']}' cannot be optional and have a default")
    return Parameter(found["name"], constraints, bool(found["optional"]), bool(found["catch"]), found["default"])


def _match_segment(segment: Segment, given: str, values: dict[str, str]) -> bool:
    pattern = "".join(
        re.escape(part) if isinstance(part, str) else f"(?P<p{index}>.+)" for index, part in enumerate(segment.parts)
    )
    found = re.fullmatch(pattern, given, re.IGNORECASE | re.DOTALL)
    if found is None:
        return False
    for index, part in enumerate(segment.parts):
        if isinstance(part, Parameter):
            value = found[f"p{index}"]
            if not part.admits(value):
                return False
            values[part.name] = value
    return True


def _take_rest(parameter: Parameter, rest: list[str], values: dict[str, str]) -> Mapping[str, str] | None:
    if rest:
        values[parameter.name] = "/".join(rest)
        return values if parameter.admits(values[parameter.name]) else None
    if parameter.default is not None:
        values[parameter.name] = parameter.default
    return values


def _leave_out(parameter: Parameter, values: dict[str, str]) -> bool:
    if parameter.default is not None:
        values[parameter.name] = parameter.default
        return True
    return parameter.optional
