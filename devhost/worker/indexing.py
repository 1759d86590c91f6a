"""From the worker's function metadata to the host's, refusing by name what the host cannot run.

A function is kept only when its trigger and all its bindings are supported: a host that skipped one quietly would look
as if it ran the app while a part of it never starts.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from devhost.worker.model import Binding, FunctionMetadata
from devhost.worker.protos import RpcFunctionMetadata

TRIGGERS: Final = frozenset(
    {
        "httpTrigger",
        "orchestrationTrigger",
        "activityTrigger",
        "entityTrigger",
        "serviceBusTrigger",
        "timerTrigger",
    }
)
INPUTS: Final = frozenset({"durableClient"})
OUTPUTS: Final = frozenset({"http", "serviceBus"})


class IndexingError(Exception):
    """The app cannot be run. The text is the diagnosis; `traceback` is the app's own, when it failed by itself."""

    def __init__(self, message: str, traceback: str = "") -> None:
        super().__init__(message)
        self.traceback = traceback


def functions_from(indexed: Sequence[RpcFunctionMetadata]) -> tuple[FunctionMetadata, ...]:
    """The host's view of every indexed function, sorted by name.

    Raises `IndexingError` naming every function whose trigger or binding the host does not support, all at once.
    """
    functions = [_function(each) for each in indexed]
    refusals = [line for function in functions for line in _refusals(function)]
    if refusals:
        raise IndexingError("\n".join(refusals))
    return tuple(sorted(functions, key=lambda function: function.name.lower()))


def _function(indexed: RpcFunctionMetadata) -> FunctionMetadata:
    bindings = tuple(_binding(json.loads(raw)) for raw in indexed.raw_bindings)
    trigger = next((b for b in bindings if not b.is_output and b.type.lower().endswith("trigger")), None)
    if trigger is None:
        kinds = ", ".join(b.type for b in bindings) or "none"
        raise IndexingError(f"function '{indexed.name}' has no trigger the host knows (bindings: {kinds})")
    retry = asdict(indexed.retry_options) if indexed.retry_options else {}
    return FunctionMetadata(
        name=indexed.name,
        function_id=indexed.function_id,
        trigger=trigger,
        bindings=bindings,
        retry={key: value for key, value in retry.items() if value is not None},
    )


def _binding(raw: Mapping[str, Any]) -> Binding:
    direction = str(raw.get("direction", "IN")).upper()
    return Binding(name=raw["name"], type=raw["type"], is_output=direction == "OUT", properties=raw)


def _refusals(function: FunctionMetadata) -> Iterable[str]:
    trigger = function.trigger
    if trigger.type not in TRIGGERS:
        yield (
            f"function '{function.name}' has a {trigger.type}, which this host does not support"
            f" (supported triggers: {', '.join(sorted(TRIGGERS))})"
        )
    for binding in function.bindings:
        if binding is trigger:
            continue
        supported = OUTPUTS if binding.is_output else INPUTS
        if binding.type not in supported:
            kind = "output" if binding.is_output else "input"
            yield (
                f"function '{function.name}' has the {kind} binding '{binding.name}' of type {binding.type}, which this"
                f" host does not support (supported {kind} bindings: {', '.join(sorted(supported))})"
            )
