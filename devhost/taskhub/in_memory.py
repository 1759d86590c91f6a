"""A task hub that keeps everything in memory: simple, quick to start, and gone with the process.

THIS HUB IS NOT DURABLE. Orchestrations in flight, their histories, timers, events and entities live in the host's
memory and end with it; after a restart nothing is left of them. It is the first engine behind the `TaskHub` seam, on
the backend that `durabletask` ships for tests (`ServedBackend`).

Wiring: client -> `Endpoint` -> `ServedBackend` -> work items -> here -> `WorkItemExecutor` -> `ServedBackend`.
Work items are taken from the backend in this process; no gRPC call lies between the hub and the app.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, Final

from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.clock import Clock, SystemClock
from devhost.taskhub.alarms import Alarms
from devhost.taskhub.concurrency import Concurrency
from devhost.taskhub.endpoint import CallContext, Endpoint
from devhost.taskhub.hub import Turn, WorkItemExecutor
from devhost.taskhub.served_backend import ServedBackend

_log = logging.getLogger(__name__)

RERUN_AFTER: Final = timedelta(seconds=1)


class InMemoryTaskHub:
    """The `TaskHub` over `ServedBackend`. Start it once, on the event loop that everything else of the host runs on."""

    def __init__(
        self,
        clock: Clock | None = None,
        concurrency: Concurrency | None = None,
        *,
        drain_within: timedelta = timedelta(seconds=30),
    ) -> None:
        """`drain_within` bounds how long `stop` waits for running work items before it cancels them."""
        self._clock = clock or SystemClock()
        limits = concurrency or Concurrency()
        self._alarms = Alarms(self._clock)
        self._backend = ServedBackend(self._clock, self._alarms, self._ring)
        self._endpoint = Endpoint(self._backend)
        self._drain_within = drain_within
        self._slots = {
            "orchestratorRequest": asyncio.Semaphore(limits.orchestrators),
            "activityRequest": asyncio.Semaphore(limits.activities),
            "entityRequestV2": asyncio.Semaphore(limits.entities),
        }
        self._executor: WorkItemExecutor | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._rung = False

    @property
    def address(self) -> str:
        """`127.0.0.1:port` of the gRPC endpoint. Raises `RuntimeError` before `start`."""
        return self._endpoint.address

    async def start(self, executor: WorkItemExecutor) -> None:
        """Serve `address` and begin to hand out work items."""
        await self._endpoint.start()
        self._executor = executor
        _log.info("orchestrations are kept in memory: runs in flight end with this process")

    async def stop(self) -> None:
        """Hand out nothing more, let running items finish within the limit, cancel the rest, close the endpoint."""
        self._executor = None
        try:
            await self._drain()
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            self._backend.end_waits()
            await self._alarms.stop()
            await self._endpoint.stop()

    async def _drain(self) -> None:
        if not self._running:
            return
        limit = self._clock.now() + self._drain_within
        waits: set[asyncio.Task[Any]] = {
            asyncio.create_task(self._clock.sleep_until(limit)),
            asyncio.create_task(asyncio.wait(self._running)),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self._running:
            _log.warning("%d work items were still running and are cancelled", len(self._running))

    def _ring(self) -> None:
        # Handing out waits for the event loop's next turn, so that what completes together is delivered together.
        if not self._rung:
            self._rung = True
            asyncio.get_running_loop().call_soon(self._hand_out)

    def _hand_out(self) -> None:
        self._rung = False
        if self._executor is None:
            return
        for item in self._backend.take_work():
            self._begin(item)

    def _begin(self, item: pb.WorkItem) -> None:
        if self._executor is None:
            return
        task = asyncio.get_running_loop().create_task(self._run(item, self._executor))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, item: pb.WorkItem, executor: WorkItemExecutor) -> None:
        kind = item.WhichOneof("request")
        run = _RUN[kind]
        async with self._slots[kind]:
            try:
                complete = await run(item, executor)
            except Exception:
                _log.exception("a work item could not be run and is tried again in %s", RERUN_AFTER)
                self._alarms.at(self._clock.now() + RERUN_AFTER, partial(self._begin, item))
                return
        complete(self._backend)


type _Complete = Callable[[ServedBackend], object]


async def _run_orchestrator(item: pb.WorkItem, executor: WorkItemExecutor) -> _Complete:
    response = await executor.orchestrator(_turn(item.orchestratorRequest))
    response.completionToken = item.completionToken
    return lambda backend: backend.CompleteOrchestratorTask(response, CallContext())


def _turn(request: pb.OrchestratorRequest) -> Turn:
    turn = Turn(request.instanceId, "", request.pastEvents, request.newEvents)
    return replace(turn, execution_id=turn.started().orchestrationInstance.executionId.value)


async def _run_activity(item: pb.WorkItem, executor: WorkItemExecutor) -> _Complete:
    response = await executor.activity(item.activityRequest)
    response.completionToken = item.completionToken
    return lambda backend: backend.CompleteActivityTask(response, CallContext())


async def _run_entity(item: pb.WorkItem, executor: WorkItemExecutor) -> _Complete:
    # The backend speaks the second version of the entity request; the SDK's functions take the first.
    request, operations = helpers.convert_to_entity_batch_request(item.entityRequestV2)
    result = await executor.entity(request)
    del result.operationInfos[:]
    result.operationInfos.extend(operations)
    result.completionToken = item.completionToken
    return lambda backend: backend.CompleteEntityTask(result, CallContext())


_RUN: Final[dict[str, Callable[[pb.WorkItem, WorkItemExecutor], Awaitable[_Complete]]]] = {
    "orchestratorRequest": _run_orchestrator,
    "activityRequest": _run_activity,
    "entityRequestV2": _run_entity,
}
