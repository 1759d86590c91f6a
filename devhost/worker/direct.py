"""Calls plain async activities without what the worker library builds around every call and such a call never uses.

What an activity may notice is the same: its binding's converters, the invocation id in the library's context variable,
the event loop it runs on, and how its failure is told. Only functions with nothing but their trigger qualify, made by
the stock SDK's decorator. What that puts around them is for payload stores, and is left out while the app has none.
"""

import inspect
import sys
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from azure.durable_functions.internal.payloads import get_payload_store
from azure_functions_runtime.bindings.datumdef import Datum
from azure_functions_runtime.bindings.meta import get_binding, get_datum
from azure_functions_runtime.functions import FunctionInfo
from azure_functions_runtime.otel import otel_manager
from azure_functions_runtime.utils.executor import invocation_id_cv

from devhost.worker.model import FunctionMetadata, InvocationError
from devhost.worker.stock import stock_activity
from devhost.worker.tracebacks import error_from

_TRIGGER: Final = "activityTrigger"


@dataclass(frozen=True, slots=True)
class DirectActivity:
    """One activity, ready to be called: as the app wrote it, and as the SDK's decorator left it."""

    function: Callable[..., Coroutine[Any, Any, Any]]
    registered: Callable[..., Coroutine[Any, Any, Any]]
    input_name: str
    decode: Callable[..., Any]
    binding: str
    pytype: Any

    async def call(self, invocation_id: str, trigger: Datum) -> Datum | InvocationError:
        """Call the activity. What it raises is the error it returns."""
        token = invocation_id_cv.set(invocation_id)
        try:
            value = self.decode(trigger, trigger_metadata={})
            # An app may configure a payload store at any time.
            function = self.function if get_payload_store() is None else self.registered
            result = get_datum(self.binding, await function(**{self.input_name: value}), self.pytype)
        except Exception as failure:
            # The first frame is this one.
            stack = failure.__traceback__ and failure.__traceback__.tb_next
            return error_from(repr(failure), "".join(traceback.format_exception(type(failure), failure, stack)))
        finally:
            invocation_id_cv.reset(token)
        sys.stdout.flush()
        returned: Datum = result
        return returned


def direct_activity(function: FunctionMetadata, info: FunctionInfo) -> DirectActivity | None:
    """How to call `function`, which the library knows by `info`; None when only the library itself should."""
    plain = (
        function.trigger.type == _TRIGGER
        and len(function.bindings) == 1
        and info.is_async
        and not info.requires_context
        and not info.output_types
        and info.return_type is not None
    )
    traced = otel_manager.get_azure_monitor_available() or otel_manager.get_otel_libs_available()
    inner = stock_activity(info.func) if plain and not traced else None
    if inner is None or not inspect.iscoroutinefunction(inner):
        return None
    name, kind = function.trigger.name, info.input_types[function.trigger.name]
    decode = get_binding(kind.binding_name, kind.deferred_bindings_enabled).decode
    return DirectActivity(inner, info.func, name, decode, info.return_type.binding_name, info.return_type.pytype)
