"""The backend as clients meet it: calls that wait, and calls that Azure turns down.

The original lets an event for a finished orchestration pass and forgets it, suspends what has ended, and holds a thread
for each call that waits. Here such a call costs a future; what cannot be done is refused as the Durable extension does.
"""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, override

import grpc
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.testing.in_memory_backend import OrchestrationInstance

from devhost.clock import Clock
from devhost.taskhub.alarms import Alarms
from devhost.taskhub.backend import LoopBackend
from devhost.taskhub.endpoint import CallContext, Refused


class ServedBackend(LoopBackend):
    """A `LoopBackend` with the client's half of the protocol made ready to be served by `Endpoint`."""

    def __init__(self, clock: Clock, alarms: Alarms, ring: Callable[[], None]) -> None:
        super().__init__(clock, alarms, ring)
        self._waiters: dict[str, list[tuple[bool, asyncio.Future[None]]]] = {}

    async def wait_for(self, request: pb.GetInstanceRequest, *, finished: bool) -> pb.GetInstanceResponse:
        """The instance once it has started, or finished; one that does not exist yet is waited for.

        There is no time limit: the caller's own deadline cancels the wait. Raises `Refused` when the hub stops.
        """
        while not self._has_come(self._instances.get(request.instanceId), finished=finished):
            waiter = (finished, asyncio.get_running_loop().create_future())
            waiters = self._waiters.setdefault(request.instanceId, [])
            waiters.append(waiter)
            try:
                await waiter[1]
            finally:
                waiters.remove(waiter)
                if not waiters:
                    self._waiters.pop(request.instanceId, None)
        return self._build_instance_response(self._instances[request.instanceId], request.getInputsAndOutputs)

    def end_waits(self) -> None:
        """Turn down every waiting call, because the hub stops."""
        for _, waiter in itertools.chain.from_iterable(self._waiters.values()):
            if not waiter.done():
                waiter.set_exception(Refused(grpc.StatusCode.UNAVAILABLE, "the task hub stops"))

    def _has_come(self, instance: OrchestrationInstance | None, *, finished: bool) -> bool:
        if instance is None:
            return False
        return (
            self._is_terminal_status(instance.status)
            if finished
            else instance.status != pb.ORCHESTRATION_STATUS_PENDING
        )

    @override
    def _notify_waiters(self, instance_id: str) -> None:
        instance = self._instances[instance_id]
        for finished, waiter in self._waiters.get(instance_id, ()):
            if not waiter.done() and self._has_come(instance, finished=finished):
                waiter.set_result(None)
        super()._notify_waiters(instance_id)

    @override
    def RaiseEvent(self, request: pb.RaiseEventRequest, context: Any) -> pb.RaiseEventResponse:
        self._require_unfinished(request.instanceId, context)
        return super().RaiseEvent(request, context)

    @override
    def TerminateInstance(self, request: pb.TerminateRequest, context: Any) -> pb.TerminateResponse:
        self._require_unfinished(request.instanceId, context)
        return super().TerminateInstance(request, context)

    @override
    def SuspendInstance(self, request: pb.SuspendRequest, context: Any) -> pb.SuspendResponse:
        self._require_unfinished(request.instanceId, context)
        return super().SuspendInstance(request, context)

    @override
    def ResumeInstance(self, request: pb.ResumeRequest, context: Any) -> pb.ResumeResponse:
        self._require_unfinished(request.instanceId, context)
        return super().ResumeInstance(request, context)

    def _require_unfinished(self, instance_id: str, context: CallContext) -> None:
        instance = self._instances.get(instance_id)
        if instance is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no orchestration has the instance id '{instance_id}'")
        if self._is_terminal_status(instance.status):
            state = pb.OrchestrationStatus.Name(instance.status).removeprefix("ORCHESTRATION_STATUS_").lower()
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"the orchestration '{instance_id}' is {state}")

    @override
    def GetEntity(self, request: pb.GetEntityRequest, context: Any) -> pb.GetEntityResponse:
        entity = self._entities.get(request.instanceId)
        if entity is not None and entity.serialized_state is None:
            return pb.GetEntityResponse(exists=False)
        return super().GetEntity(request, context)
