"""The one way into the app: every trigger's call goes through here and leaves one line in the log.

Wiring: trigger -> `Invoker` (adds durable clients, measures, logs, counts) -> `Worker` -> the app.
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from azure_functions_runtime.bindings.datumdef import Datum

from devhost.clock import Clock
from devhost.worker.durable_client import DurableClientBinding
from devhost.worker.model import FunctionMetadata, InvocationResult
from devhost.worker.worker import Returned, Worker

_log = logging.getLogger(__name__)

# Turns of orchestrators and entities are the engine's own steps: many to one piece of the app's work.
_ENGINE_TRIGGERS = frozenset({"orchestrationTrigger", "entityTrigger"})


class Invoker:
    """An `Invoke` over the worker. Calls run to their end even when whoever asked for them is cancelled."""

    def __init__(self, worker: Worker, clock: Clock, durable_client: DurableClientBinding | None = None) -> None:
        self._worker = worker
        self._clock = clock
        self._durable_client = durable_client
        self._running: set[asyncio.Task[InvocationResult]] = set()

    @property
    def running(self) -> int:
        """How many calls have not come back yet."""
        return len(self._running)

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
            value = self._durable_client.value()
            inputs += [(each.name, Datum(value, "string")) for each in function.inputs("durableClient")]
        # A task of its own gives the call its own context variables and keeps it whole when the caller goes away.
        task = asyncio.create_task(self._run(function, inputs, metadata or {}, trace_parent, reason))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def drain(self, within: float) -> int:
        """Wait up to `within` seconds until no call runs; how many still do."""
        if self._running:
            await asyncio.wait(self._running, timeout=within)
        return len(self._running)

    async def _run(
        self,
        function: FunctionMetadata,
        inputs: list[tuple[str, Datum]],
        metadata: Mapping[str, Datum],
        trace_parent: str,
        reason: str,
    ) -> InvocationResult:
        started = self._clock.now()
        returned = await self._worker.invoke(function, inputs, metadata=metadata, trace_parent=trace_parent)
        result = InvocationResult(
            returned.invocation_id,
            returned.return_value,
            returned.outputs,
            returned.error,
            self._clock.now() - started,
        )
        self._report(function, returned, result.duration, reason)
        return result

    @staticmethod
    def _report(function: FunctionMetadata, returned: Returned, duration: timedelta, reason: str) -> None:
        error = returned.error
        level = _level(function, failed=error is not None)
        if not _log.isEnabledFor(level):
            return
        milliseconds = duration.total_seconds() * 1000
        outcome = "ok" if error is None else f"failed: {error}"
        why = f" ({reason})" if reason else ""
        fields: dict[str, Any] = {
            "function": function.name,
            "reason": reason,
            "succeeded": error is None,
            "duration_ms": round(milliseconds, 3),
            "invocation_id": returned.invocation_id,
        }
        _log.log(level, "%s%s %s in %.0f ms", function.name, why, outcome, milliseconds, extra=fields)
        if error is not None and error.traceback:
            _log.log(level, "%s", error.traceback.rstrip(), extra={"invocation_id": returned.invocation_id})


def _level(function: FunctionMetadata, *, failed: bool) -> int:
    if failed:
        return logging.ERROR
    return logging.DEBUG if function.trigger.type in _ENGINE_TRIGGERS else logging.INFO
