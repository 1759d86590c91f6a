"""The one way into the app: every trigger's call goes through here and leaves one line in the log.

Wiring: trigger -> `Invoker` (adds durable clients, bounds, measures, logs, counts) -> `Worker` -> the app.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

from azure_functions_runtime.bindings.datumdef import Datum

from devhost.clock import Clock
from devhost.worker.model import FunctionMetadata, InvocationError, InvocationResult
from devhost.worker.tracebacks import app_frames
from devhost.worker.worker import Returned

_log = logging.getLogger(__name__)


class CallsFunctions(Protocol):
    """What the invoker needs of the worker."""

    async def invoke(
        self,
        function: FunctionMetadata,
        inputs: Sequence[tuple[str, Datum]],
        *,
        metadata: Mapping[str, Datum],
        trace_parent: str = "",
    ) -> Returned:
        """Call `function`; see `Worker.invoke`."""
        ...


type WriteOutputs = Callable[[FunctionMetadata, Mapping[str, Datum], str], Awaitable[None]]


class Invoker:
    """An `Invoke` over the worker. Calls run to their end even when whoever asked for them is cancelled.

    `durable_client` gives the value of a `durableClient` binding. `timeout` is `host.json`'s `functionTimeout`: a call
    that lasts longer has failed; an `async def` function is cancelled, a `def` function cannot be and goes on unheeded.
    `write_outputs` gets what a call that succeeded put into its output bindings (`$return` is one), and the call's
    trace, before it is done.
    """

    def __init__(
        self,
        worker: CallsFunctions,
        clock: Clock,
        *,
        durable_client: Callable[[], str] | None = None,
        timeout: timedelta | None = None,
        write_outputs: WriteOutputs | None = None,
    ) -> None:
        self._worker = worker
        self._clock = clock
        self._durable_client = durable_client
        self._timeout = timeout
        self._write_outputs = write_outputs
        self._running: dict[asyncio.Task[InvocationResult], FunctionMetadata] = {}

    @property
    def running(self) -> int:
        """How many calls have not come back yet."""
        return len(self._running)

    def running_of(self, function: FunctionMetadata) -> int:
        """How many of them are calls of `function`."""
        return sum(each is function for each in self._running.values())

    async def __call__(
        self,
        function: FunctionMetadata,
        trigger: Datum,
        *,
        metadata: Mapping[str, Datum] | None = None,
        trace_parent: str = "",
        reason: str = "",
    ) -> InvocationResult:
        """Run `function` once; see `Invoke`."""
        inputs = [(function.trigger.name, trigger)]
        if self._durable_client is not None:
            clients = function.inputs("durableClient")
            inputs += [(each.name, Datum(self._durable_client(), "string")) for each in clients]
        # A task of its own gives the call its own context variables and keeps it whole when the caller goes away.
        task = _begun(self._run(function, inputs, metadata or {}, trace_parent, reason))
        if task.done():
            return task.result()
        self._running[task] = function
        task.add_done_callback(self._running.pop)
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Wait until no call runs."""
        while self._running:
            await asyncio.wait(self._running)

    async def _run(
        self,
        function: FunctionMetadata,
        inputs: Sequence[tuple[str, Datum]],
        metadata: Mapping[str, Datum],
        trace_parent: str,
        reason: str,
    ) -> InvocationResult:
        started = self._clock.now()
        call = self._worker.invoke(function, inputs, metadata=metadata, trace_parent=trace_parent)
        if self._timeout is None:
            returned = await call
        else:
            returned = await self._bounded(_begun(call), function, self._timeout)
        error = returned.error or await self._written(function, returned, trace_parent)
        result = InvocationResult(
            returned.invocation_id,
            returned.return_value,
            returned.outputs,
            error,
            self._clock.now() - started,
        )
        _report(function, result, reason)
        return result

    async def _written(
        self, function: FunctionMetadata, returned: Returned, trace_parent: str
    ) -> InvocationError | None:
        """Write the outputs; what prevents it fails the call."""
        if self._write_outputs is None:
            return None
        values = dict(returned.outputs)
        if returned.return_value is not None:
            values["$return"] = returned.return_value
        try:
            await self._write_outputs(function, values, trace_parent)
        except Exception as failed:
            message = f"an output binding could not be written: {type(failed).__name__}: {failed}"
            return InvocationError("OutputBindingError", message, "")
        return None

    async def _bounded(self, call: asyncio.Task[Returned], function: FunctionMetadata, longest: timedelta) -> Returned:
        if call.done():
            return call.result()
        limit = asyncio.create_task(self._clock.sleep_until(self._clock.now() + longest))
        await asyncio.wait({call, limit}, return_when=asyncio.FIRST_COMPLETED)
        limit.cancel()
        if call.done():
            return call.result()
        call.cancel()
        message = f"Timeout value of {longest} was exceeded by function: {function.name}"
        return Returned("", None, {}, InvocationError("FunctionTimeoutException", message, ""))


def _begun[T](call: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task that has run already as far as it gets without waiting: most calls of a no-op never meet the loop."""
    return asyncio.Task(call, loop=asyncio.get_running_loop(), eager_start=True)


def _report(function: FunctionMetadata, result: InvocationResult, reason: str) -> None:
    error = result.error
    if error is None and not _log.isEnabledFor(logging.INFO):
        return
    milliseconds = result.duration.total_seconds() * 1000
    fields: dict[str, Any] = {
        "function": function.name,
        "reason": reason,
        "succeeded": result.succeeded,
        "duration_ms": round(milliseconds, 3),
        "invocation_id": result.invocation_id,
    }
    level = logging.INFO if error is None else logging.ERROR
    outcome = "ok" if error is None else f"FAILED: {error}"
    why = f" ({reason})" if reason else ""
    _log.log(level, "%s%s: %s in %.0f ms", function.name, why, outcome, milliseconds, extra=fields)
    if error is not None and error.traceback:
        _log.log(level, "%s", app_frames(error.traceback), extra={"invocation_id": result.invocation_id})
