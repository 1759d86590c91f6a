"""The Python worker in process: Microsoft's own `azure_functions_runtime` indexes the app and calls its functions.

Wiring: `Worker.load` -> `worker_init_request` (imports the app, checks it, keeps it in the library's registry);
`Worker.invoke` -> `invocation_request_native` (decodes inputs with the bindings' converters, calls, encodes).

The library keeps the indexed app in a module global, so a process runs exactly one app. `async def` functions run on
the event loop that calls `invoke`, `def` functions on the library's thread pool, as in the worker in Azure.
"""

import asyncio
import os
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import azure_functions_runtime as runtime
from azure_functions_runtime.bindings.datumdef import Datum
from azure_functions_runtime.handle_event import _functions as registry
from azure_functions_runtime.http_v2 import HttpV2Registry
from azure_functions_runtime.native_invocation import invocation_request_native
from azure_functions_runtime.utils.app_setting_manager import get_app_setting
from azure_functions_runtime.utils.constants import PYTHON_SCRIPT_FILE_NAME, PYTHON_SCRIPT_FILE_NAME_DEFAULT

from devhost.worker import protos
from devhost.worker.direct import DirectActivity, direct_activity
from devhost.worker.indexing import IndexingError, functions_from
from devhost.worker.model import FunctionMetadata, InvocationError
from devhost.worker.package_versions import remember_versions
from devhost.worker.tracebacks import error_from


@dataclass(frozen=True, slots=True)
class Returned:
    """What one call gave back: a return value and outputs, or an error."""

    invocation_id: str
    return_value: Datum | None
    outputs: Mapping[str, Datum]
    error: InvocationError | None


class Worker:
    """The one app of this process, ready to be called."""

    def __init__(self, functions: tuple[FunctionMetadata, ...]) -> None:
        self._functions = functions
        self._direct: dict[str, DirectActivity] = {}
        for function in functions:
            direct = direct_activity(function, registry.get_function(function.function_id))
            if direct is not None:
                self._direct[function.function_id] = direct

    @classmethod
    async def load(cls, app_dir: Path) -> Self:
        """Index the app in `app_dir` and start the thread pool for its `def` functions.

        The directory becomes the current one and comes first on `sys.path`, as it does for the real worker.
        Raises `IndexingError` with the worker's own diagnosis when the app cannot be imported or is invalid.
        """
        _enter(app_dir)
        remember_versions()
        try:
            await _init(app_dir)
            functions = functions_from(await _indexed(app_dir))
            _refuse_extensions(functions)
        except SystemExit as stopped:
            raise IndexingError(f"SystemExit: the app ended the process while it was imported ({stopped})") from stopped
        runtime.start_threadpool_executor()
        return cls(functions)

    @property
    def functions(self) -> tuple[FunctionMetadata, ...]:
        """Every function of the app, sorted by name."""
        return self._functions

    def callable_of(self, function: FunctionMetadata) -> Callable[..., Any] | None:
        """What the library calls for `function`: the app's own, as its decorators left it."""
        info = registry.get_function(function.function_id)
        return None if info is None else info.func

    async def invoke(
        self,
        function: FunctionMetadata,
        inputs: Sequence[tuple[str, Datum]],
        *,
        metadata: Mapping[str, Datum],
        trace_parent: str = "",
    ) -> Returned:
        """Call `function` with `inputs` (binding name and value). The app's failure is a value, never an exception.

        Must run in an `asyncio` task of its own, so that the invocation id in context variables stays with this call.
        """
        invocation_id = str(uuid.uuid4())
        direct = self._direct.get(function.function_id)
        try:
            if direct is not None:
                outcome = await direct.call(invocation_id, inputs[0][1])
                if isinstance(outcome, InvocationError):
                    return Returned(invocation_id, None, {}, outcome)
                return Returned(invocation_id, outcome, {}, None)
            ok, value, outputs, error, traceback = await invocation_request_native(
                invocation_id, function.function_id, list(inputs), dict(metadata), trace_parent=trace_parent
            )
        except (SystemExit, KeyboardInterrupt) as stopped:
            # Left alone, these would leave the event loop and take the whole host down.
            failed = InvocationError(type(stopped).__name__, f"the function ended the process ({stopped})", "")
            return Returned(invocation_id, None, {}, failed)
        if not ok:
            return Returned(invocation_id, None, {}, error_from(error or "", traceback or ""))
        return Returned(invocation_id, value, dict(outputs), None)

    async def close(self) -> None:
        """Stop the thread pool once every `def` function has come back."""
        await asyncio.get_running_loop().run_in_executor(None, runtime.stop_threadpool_executor)


def _enter(app_dir: Path) -> None:
    packages = app_dir / ".python_packages" / "lib" / "site-packages"
    for path in (packages, app_dir):
        if path.is_dir():
            sys.path.insert(0, str(path))
    os.chdir(app_dir)


def _refuse_extensions(functions: Iterable[FunctionMetadata]) -> None:
    """Refuse what the library's protobuf-free calls leave out: HTTP streaming, SDK types, settling by hand."""
    if HttpV2Registry.http_v2_enabled():
        raise IndexingError("HTTP streaming (azurefunctions-extensions-http-fastapi) is not supported by this host")
    for function in functions:
        info = registry.get_function(function.function_id)
        if info.deferred_bindings_enabled or info.settlement_client_arg is not None:
            raise IndexingError(f"function '{function.name}' uses SDK type bindings, which this host does not support")


async def _init(app_dir: Path) -> None:
    request = protos.WorkerRequest(
        request=protos.StreamingMessage(protos.WorkerInitRequest(str(app_dir))),
        properties={"host": "127.0.0.1", "protos": protos},
    )
    response: protos.WorkerInitResponse = await runtime.worker_init_request(request)
    exception = response.result.exception
    if exception is not None:
        raise IndexingError(exception.message, exception.stack_trace)


async def _indexed(app_dir: Path) -> Sequence[protos.RpcFunctionMetadata]:
    response: protos.FunctionMetadataResponse = await runtime.functions_metadata_request(None)
    script = app_dir / str(get_app_setting(PYTHON_SCRIPT_FILE_NAME, PYTHON_SCRIPT_FILE_NAME_DEFAULT))
    if response.function_metadata_results is None and not script.exists():
        raise IndexingError(f"there is no {script.name} in {app_dir}")
    return response.function_metadata_results or ()
