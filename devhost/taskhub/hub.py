"""The seam between the host and whatever engine keeps orchestrations.

A task hub serves the Durable Task protocol over gRPC at `address`, for the app's durable clients and for the host's
management API, and hands work items to a `WorkItemExecutor`, which runs them as functions of the app.
"""

from typing import Protocol

from durabletask.internal import orchestrator_service_pb2 as pb


class WorkItemExecutor(Protocol):
    """Runs work items. A failure of the app is part of the response; an exception means the item was not run."""

    async def orchestrator(self, request: pb.OrchestratorRequest) -> pb.OrchestratorResponse:
        """Run one turn of an orchestrator over its history."""
        ...

    async def activity(self, request: pb.ActivityRequest) -> pb.ActivityResponse:
        """Run one activity."""
        ...

    async def entity(self, request: pb.EntityBatchRequest) -> pb.EntityBatchResult:
        """Run a batch of operations of one entity."""
        ...


class TaskHub(Protocol):
    """An engine that keeps orchestrations and entities."""

    @property
    def address(self) -> str:
        """`host:port` of the gRPC endpoint, known once started."""
        ...

    async def start(self, executor: WorkItemExecutor) -> None:
        """Serve `address` and begin to hand out work items."""
        ...

    async def stop(self) -> None:
        """Stop handing out work, let running items finish, close the endpoint."""
        ...
