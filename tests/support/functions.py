"""Functions as the host knows them, made without an app."""

from typing import Any
from uuid import NAMESPACE_OID, uuid5

from devhost.worker.model import Binding, FunctionMetadata


def binding(kind: str, name: str, *, is_output: bool = False, **properties: Any) -> Binding:
    """A binding with the raw properties an SDK would emit."""
    raw = {"type": kind, "name": name, "direction": "OUT" if is_output else "IN", **properties}
    return Binding(name=name, type=kind, is_output=is_output, properties=raw)


def function(name: str, trigger: Binding, *others: Binding) -> FunctionMetadata:
    """A function with a trigger and other bindings."""
    return FunctionMetadata(
        name=name,
        function_id=str(uuid5(NAMESPACE_OID, name)),
        trigger=trigger,
        bindings=(*others, trigger),
    )


def http_function(
    name: str, route: str | None = None, *, methods: tuple[str, ...] = (), auth_level: str = "anonymous"
) -> FunctionMetadata:
    """A function with an HTTP trigger and its response."""
    trigger = binding("httpTrigger", "req", route=route, methods=list(methods), authLevel=auth_level)
    return function(name, trigger, binding("http", "$return", is_output=True))
