"""An `Invoke` for tests of triggers: it records every call and answers as it was told."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from azure_functions_runtime.bindings.datumdef import Datum

from devhost.worker.model import Binding, FunctionMetadata, InvocationError, InvocationResult


@dataclass(frozen=True)
class Call:
    """One call as it reached the function."""

    function: str
    trigger: Datum
    metadata: Mapping[str, Datum]
    trace_parent: str
    reason: str


class FakeInvoke:
    """Records calls. `behaviour` runs as the function's body: to raise is to fail."""

    def __init__(self, behaviour: Callable[[Call], Awaitable[None]] | None = None) -> None:
        self.calls: list[Call] = []
        self.running = 0
        self.most_at_once = 0
        self.behaviour = behaviour

    async def __call__(
        self,
        function: FunctionMetadata,
        trigger: Datum,
        *,
        metadata: Mapping[str, Datum] | None = None,
        trace_parent: str = "",
        reason: str = "",
    ) -> InvocationResult:
        call = Call(function.name, trigger, metadata or {}, trace_parent, reason)
        self.calls.append(call)
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        error: InvocationError | None = None
        try:
            if self.behaviour is not None:
                await self.behaviour(call)
        except Exception as raised:
            error = InvocationError(type(raised).__name__, str(raised), "")
        finally:
            self.running -= 1
        return InvocationResult(str(uuid.uuid4()), None, {}, error, timedelta(0))


def trigger_function(
    name: str, kind: str, retry: Mapping[str, Any] | None = None, **properties: Any
) -> FunctionMetadata:
    """A function whose one binding is a trigger of type `kind` with these properties."""
    binding = Binding("arg", kind, is_output=False, properties=properties)
    return FunctionMetadata(name, f"id-{name}", binding, (binding,), retry or {})
