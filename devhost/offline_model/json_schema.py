"""A minimal instance of a JSON schema, for requests that ask for structured output.

Covers what structured output uses: objects, arrays, texts, numbers, enums, constants, unions, references (recursive
ones too). Optional properties are left out, and null is chosen where it may be. What cannot be made is refused by name.
Between the values of an enum, and between true and false, a digest of the prompt chooses: askers differ, repetitions
do not.
"""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from devhost.offline_model.prompt import LABEL

_MAX_DEPTH: Final = 40
_FORMATS: Final = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "PT1M",
    "email": "offline-model@example.org",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.org/offline-model",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
# Tried in turn for a text that must match a pattern.
_CANDIDATES: Final = ("", "a", "A", "0", "1", "aa", "00", "000", "0000", "abc", "ABC", "a-b", "a1", "A1", "2026-01-01")


class UnsatisfiableSchemaError(ValueError):
    """The schema is malformed, or asks for a value this module cannot make."""


@dataclass(frozen=True, slots=True)
class _Maker:
    root: Mapping[str, Any]
    topic: str
    prompt: str

    def make(self, schema: Any, name: str, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise UnsatisfiableSchemaError(f"the schema at '{name}' never ends")
        if schema is True or schema == {}:
            return None
        if not isinstance(schema, Mapping):
            raise UnsatisfiableSchemaError(f"the schema at '{name}' must be an object, not {schema!r}")
        schema = self._resolved(schema, name)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._one_of(schema["enum"], name)
        for union in ("anyOf", "oneOf"):
            if union in schema:
                return self._first_possible(schema, union, name, depth)
        return self._of_type(_type_of(schema, name), schema, name, depth)

    def _resolved(self, schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        """`schema` with its reference followed and its `allOf` merged in."""
        merged: dict[str, Any] = {key: value for key, value in schema.items() if key not in {"$ref", "allOf"}}
        parts = [*schema.get("allOf", ())]
        if "$ref" in schema:
            parts.append(self._referenced(str(schema["$ref"]), name))
        for part in parts:
            for key, value in self._resolved(part, name).items():
                if key == "properties":
                    merged[key] = {**value, **merged.get(key, {})}
                elif key == "required":
                    merged[key] = [*merged.get(key, ()), *value]
                else:
                    merged.setdefault(key, value)
        return merged

    def _referenced(self, reference: str, name: str) -> Mapping[str, Any]:
        target: Any = self.root
        for step in reference.removeprefix("#").strip("/").split("/"):
            if step:
                key = step.replace("~1", "/").replace("~0", "~")
                target = target.get(key) if isinstance(target, Mapping) else None
        if not reference.startswith("#") or not isinstance(target, Mapping) or target.get("$ref") == reference:
            raise UnsatisfiableSchemaError(f"the reference '{reference}' at '{name}' leads nowhere")
        return target

    def _first_possible(self, schema: Mapping[str, Any], union: str, name: str, depth: int) -> Any:
        rest = {key: value for key, value in schema.items() if key != union}
        reasons: list[str] = []
        # The smallest first: a recursive schema ends only where null, or something without a reference, is chosen.
        for choice in sorted(schema[union], key=_size):
            try:
                return self.make({**rest, "allOf": [*rest.get("allOf", ()), choice]}, name, depth + 1)
            except UnsatisfiableSchemaError as impossible:
                reasons.append(str(impossible))
        raise UnsatisfiableSchemaError(reasons[0] if reasons else f"'{union}' at '{name}' has no choices")

    def _of_type(self, kind: str, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        match kind:
            case "object":
                properties = schema.get("properties", {})
                return {
                    key: self.make(properties.get(key, True), f"{name}.{key}" if name else key, depth + 1)
                    for key in dict.fromkeys([*schema.get("required", ())])
                }
            case "array":
                return self._array(schema, name, depth)
            case "string":
                return _text(schema, name, self.topic)
            case "integer" | "number":
                return _number(schema, name, whole=kind == "integer")
            case "boolean":
                return self._one_of((False, True), name)
            case "null":
                return None
        raise UnsatisfiableSchemaError(f"the type '{kind}' at '{name}' is unknown")

    def _one_of(self, values: Sequence[Any], name: str) -> Any:
        """The first without a prompt. What is numbered gets successive values, so that a ranking can be made."""
        place = re.search(r"[\[_](\d+)\]?$", name)
        base, turn = (name[: place.start()], int(place.group(1))) if place else (name, 0)
        digest = hashlib.sha256(f"{base}\n{self.prompt}".encode()).digest() if self.prompt else b"\0\0"
        return values[(int.from_bytes(digest[:2]) + turn) % len(values)]

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        least = max(int(schema.get("minItems", 0)), len(schema.get("prefixItems", ())))
        items = [*schema.get("prefixItems", ()), *[schema.get("items", True)] * least][:least]
        return [self.make(item, f"{name}[{index}]", depth + 1) for index, item in enumerate(items)]


def _size(schema: Any) -> int:
    if not isinstance(schema, Mapping):
        return 2
    return 0 if schema.get("type") == "null" else 2 if "$ref" in schema else 1


def minimal_instance(schema: Mapping[str, Any], topic: str, prompt: str = "") -> Any:
    """A value that satisfies `schema`; texts without further limits carry the label and the topic.

    `prompt` is all that the model was told, which decides between values that are equally possible.

    Raises `UnsatisfiableSchemaError` naming the place for what cannot be made.
    """
    try:
        return _Maker(schema, topic, prompt).make(schema, "", 0)
    except UnsatisfiableSchemaError:
        raise
    except (TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as malformed:
        raise UnsatisfiableSchemaError(f"the schema is malformed: {malformed}") from malformed


def _type_of(schema: Mapping[str, Any], name: str) -> str:
    declared = schema.get("type")
    if isinstance(declared, list):
        return str(next((kind for kind in declared if kind != "null"), "null"))
    if declared is not None:
        return str(declared)
    hints = {"properties": "object", "required": "object", "items": "array", "minItems": "array", "pattern": "string"}
    found = next((kind for key, kind in hints.items() if key in schema), None)
    if found is None:
        raise UnsatisfiableSchemaError(f"the schema at '{name}' has no type")
    return found


def _text(schema: Mapping[str, Any], name: str, topic: str) -> str:
    least, most = int(schema.get("minLength", 0)), int(schema.get("maxLength", 1 << 20))
    given = schema.get("format")
    if given in _FORMATS:
        return _FORMATS[given]
    label = f"{LABEL} {name.rpartition('.')[2] or 'text'}: {topic}"
    sized = label[:most].ljust(least, ".")
    pattern = schema.get("pattern")
    if pattern is None:
        return sized
    for candidate in (sized, LABEL, *_CANDIDATES):
        if least <= len(candidate) <= most and re.search(str(pattern), candidate):
            return candidate
    raise UnsatisfiableSchemaError(f"the offline model cannot make a text for the pattern '{pattern}' at '{name}'")


def _number(schema: Mapping[str, Any], name: str, *, whole: bool) -> int | float:
    """0 when it fits, else the number nearest to a bound that does, on the grid of `multipleOf`."""
    step = schema.get("multipleOf", 1)
    low, above = schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf)
    high, below = schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf)
    least, most = max(low, above), min(high, below)
    candidates: list[float] = [0]
    if math.isfinite(least):
        candidates += [math.ceil(least / step) * step, math.ceil(least / step) * step + step]
    if math.isfinite(most):
        candidates += [math.floor(most / step) * step, math.floor(most / step) * step - step]
    if math.isfinite(least) and math.isfinite(most) and not whole and "multipleOf" not in schema:
        candidates.append((least + most) / 2)
    for value in candidates:
        if low <= value <= high and above < value < below:
            return int(value) if float(value).is_integer() else value
    raise UnsatisfiableSchemaError(f"no number fits the bounds at '{name}'")
