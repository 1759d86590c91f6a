"""What the rest of the host knows of a function: its bindings, and how to call it.

The host never sees the app's Python callables. It sees a `FunctionMetadata` for each function and calls it through an
`Invoke`, which is how a trigger, a work item and an HTTP request all reach the app in the same way.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from azure_functions_runtime.bindings.datumdef import Datum


@dataclass(frozen=True, slots=True)
class Binding:
    """One binding of a function, as the app's SDK emitted it.

    `properties` holds the raw binding (camelCase keys: `queueName`, `connection`, `route`, ...).
    """

    name: str
    type: str
    is_output: bool
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FunctionMetadata:
    """One indexed function. `function_id` is stable for a name; `trigger` is the one binding that starts it."""

    name: str
    function_id: str
    trigger: Binding
    bindings: tuple[Binding, ...]
    retry: Mapping[str, Any] = field(default_factory=dict)

    def inputs(self, binding_type: str) -> tuple[Binding, ...]:
        """The input bindings of one type other than the trigger, such as `durableClient`."""
        return tuple(b for b in self.bindings if b.type == binding_type and not b.is_output and b is not self.trigger)


@dataclass(frozen=True, slots=True)
class InvocationError:
    """How a function failed: the exception's type name, its message, and the app's traceback as text."""

    type: str
    message: str
    traceback: str

    def __str__(self) -> str:
        return f"{self.type}: {self.message}"


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """What one call of a function came to. Exactly one of `error` and a usable `return_value` is meaningful."""

    invocation_id: str
    return_value: Datum | None
    outputs: Mapping[str, Datum]
    error: InvocationError | None
    duration: timedelta

    @property
    def succeeded(self) -> bool:
        """Whether the function returned."""
        return self.error is None


class Invoke(Protocol):
    """Calls a function of the app and returns what it came to; an app's failure is a value, never an exception."""

    async def __call__(
        self,
        function: FunctionMetadata,
        trigger: Datum,
        *,
        metadata: Mapping[str, Datum] | None = None,
        trace_parent: str = "",
        reason: str = "",
    ) -> InvocationResult:
        """Run `function` with `trigger` as its trigger's value and `metadata` as the trigger's metadata.

        `reason` is a short phrase for the log line, such as `message 7 of research-tasks, delivery 1`.
        """
        ...
