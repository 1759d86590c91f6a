"""Runs the functions of a `DFApp` in this process, without the worker: what the engine's tests put behind `Invoke`.

The SDK's own wrappers and converters are used, so that what crosses the seam is what crosses it in a host.
"""

import asyncio
import inspect
import traceback
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
from azure.durable_functions.internal.converters import ActivityTriggerConverter
from azure.functions import EntityContext, OrchestrationContext
from azure_functions_runtime.bindings.datumdef import Datum

from devhost.worker.model import Binding, FunctionMetadata, InvocationError, InvocationResult


class SdkApp:
    """An `Invoke` over a `DFApp`; `functions` is what a host would have indexed."""

    def __init__(self, app: df.DFApp) -> None:
        self.calls: list[tuple[str, str]] = []
        self.trace_parents: list[tuple[str, str]] = []
        self.functions: list[FunctionMetadata] = []
        self._callables: dict[str, Callable[..., Any]] = {}
        for builder in app.get_functions():
            name = str(builder.get_function_name())
            raw = [binding.get_dict_repr() for binding in builder.get_bindings()]
            bindings = tuple(Binding(each["name"], each["type"], is_output=False, properties=each) for each in raw)
            trigger = next(each for each in bindings if each.type.endswith("Trigger"))
            self.functions.append(FunctionMetadata(name, f"id-{name}", trigger, bindings))
            self._callables[name] = builder.get_user_function()

    def callable_of(self, function: FunctionMetadata) -> Callable[..., Any]:
        """What a worker would call for `function`."""
        return self._callables[function.name]

    async def __call__(
        self,
        function: FunctionMetadata,
        trigger: Datum,
        *,
        metadata: Mapping[str, Datum] | None = None,
        trace_parent: str = "",
        reason: str = "",
    ) -> InvocationResult:
        """Run the function; see `Invoke`."""
        self.calls.append((function.name, reason))
        self.trace_parents.append((function.name, trace_parent))
        try:
            value = await self._call(function, trigger)
        except Exception as failure:
            error = InvocationError(type(failure).__name__, str(failure), traceback.format_exc())
            return InvocationResult("test", None, {}, error, timedelta(0))
        return InvocationResult("test", value, {}, None, timedelta(0))

    async def _call(self, function: FunctionMetadata, trigger: Datum) -> Datum | None:
        target = self._callables[function.name]
        argument: Any
        match function.trigger.type:
            case "orchestrationTrigger":
                argument = OrchestrationContext(trigger.value)
            case "entityTrigger":
                argument = EntityContext(trigger.value)
            case _:
                argument = ActivityTriggerConverter.decode(trigger, trigger_metadata=None)
        if inspect.iscoroutinefunction(target):
            result = await target(**{function.trigger.name: argument})
        else:
            result = await asyncio.to_thread(target, **{function.trigger.name: argument})
        if function.trigger.type == "activityTrigger":
            encoded = ActivityTriggerConverter.encode(result, expected_type=None)
            return Datum(encoded.value, encoded.type)
        return Datum(result, "string")
