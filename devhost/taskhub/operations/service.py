"""The client's half of the Durable Task protocol that looks back: purge, restart, rewind, and read histories."""

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Final

import grpc
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import BoolValue

from devhost.broker.instants import NEVER
from devhost.taskhub.endpoint import CallContext, Refused
from devhost.taskhub.engine.engine import Engine
from devhost.taskhub.engine.instance import FINISHED, Instance
from devhost.taskhub.engine.lifecycle import Beginning
from devhost.taskhub.engine.schema import chunk_range
from devhost.taskhub.entities.outcome import entity_id
from devhost.taskhub.operations.listing import ListingService
from devhost.taskhub.operations.purging import Purging
from devhost.taskhub.operations.refusals import invalid_argument, settled, time_range
from devhost.taskhub.operations.rewind import rewind

# Well below what a gRPC client takes in by default; a chunk goes over it by one event at most.
_CHUNK_BYTES: Final = 1024 * 1024
_CHUNK_EVENTS: Final = 100


class OperationsService:
    """What a client may do to orchestrations after the fact."""

    def __init__(self, engine: Engine, listing: ListingService) -> None:
        self._engine = engine
        self._purging = Purging(engine, listing)

    async def purge_instances(self, request: pb.PurgeInstancesRequest, _: CallContext) -> pb.PurgeInstancesResponse:
        """Remove finished orchestrations: one, a batch by id, or those of a filter; or one entity at rest."""
        await settled(self._engine)
        complete = True
        which = request.WhichOneof("request")
        if which == "instanceId" and request.instanceId.startswith("@") and not request.isOrchestration:
            with invalid_argument():
                removed = self._engine.entities.purge(entity_id(request.instanceId))
        elif which == "instanceId":
            removed = self._purging.purge([request.instanceId], recursive=request.recursive)
        elif which == "instanceBatch":
            removed = self._purging.purge(request.instanceBatch.instanceIds, recursive=request.recursive)
        elif which == "purgeInstanceFilter":
            removed, complete = await self._purge_matching(request)
        else:
            why = "which orchestrations to purge is not said: an instance id, a batch, or a filter"
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, why)
        await settled(self._engine)
        return pb.PurgeInstancesResponse(deletedInstanceCount=removed, isComplete=BoolValue(value=complete))

    async def _purge_matching(self, request: pb.PurgeInstancesRequest) -> tuple[int, bool]:
        wanted = request.purgeInstanceFilter
        if wanted.runtimeStatus and not FINISHED & set(wanted.runtimeStatus):
            return 0, True
        earliest, end = time_range(wanted, "createdTimeFrom", "createdTimeTo")
        until = NEVER
        if wanted.HasField("timeout"):
            until = self._engine.context.timers.now() + wanted.timeout.ToMicroseconds()
        return await self._purging.purge_matching(
            wanted.runtimeStatus, earliest, end, recursive=request.recursive, until=until
        )

    async def restart_instance(self, request: pb.RestartInstanceRequest, _: CallContext) -> pb.RestartInstanceResponse:
        """Start a finished orchestration once more with its input, under a new id or its own."""
        await settled(self._engine)
        instance = self._existing(request.instanceId)
        if not instance.finished:
            why = f"the orchestration '{instance.id}' has not finished, so it cannot be restarted"
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, why)
        beginning = Beginning(
            name=instance.name,
            instance_id="" if request.restartWithNewInstanceId else instance.id,
            version=instance.version,
            input=self._engine.context.journal.input_text(instance.key),
            tags=dict(instance.tags),
        )
        started = self._engine.begin(beginning)
        await settled(self._engine)
        return pb.RestartInstanceResponse(instanceId=started.id)

    async def rewind_instance(self, request: pb.RewindInstanceRequest, _: CallContext) -> pb.RewindInstanceResponse:
        """Have a failed orchestration try again what failed."""
        await settled(self._engine)
        if self._existing(request.instanceId).status != pb.ORCHESTRATION_STATUS_FAILED:
            why = f"the orchestration '{request.instanceId}' has not failed, so it cannot be rewound"
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, why)
        instance = self._engine.context.instances.find(request.instanceId)
        if instance is not None:
            rewind(self._engine, instance, request.reason.value if request.HasField("reason") else None)
        await settled(self._engine)
        return pb.RewindInstanceResponse()

    async def stream_instance_history(
        self, request: pb.StreamInstanceHistoryRequest, _: CallContext
    ) -> AsyncIterator[pb.HistoryChunk]:
        """The history of an orchestration as it was when the call came, in chunks."""
        await settled(self._engine)
        instance = self._existing(request.instanceId)
        sql = "SELECT events FROM history WHERE id BETWEEN ? AND ? ORDER BY id"
        blobs = self._engine.context.commits.connection.execute(sql, chunk_range(instance.key)).fetchall()
        events = (event for (blob,) in blobs for event in pb.HistoryChunk.FromString(blob).events)
        for chunk in _chunks(events):
            yield chunk

    def _existing(self, instance_id: str) -> Instance:
        instance = self._engine.context.instances.peek(instance_id)
        if instance is None:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"no orchestration has the instance id '{instance_id}'")
        return instance


def _chunks(events: Iterable[pb.HistoryEvent]) -> Iterator[pb.HistoryChunk]:
    chunk, size = pb.HistoryChunk(), 0
    for event in events:
        chunk.events.append(event)
        size += event.ByteSize()
        if size >= _CHUNK_BYTES or len(chunk.events) >= _CHUNK_EVENTS:
            yield chunk
            chunk, size = pb.HistoryChunk(), 0
    if chunk.events:
        yield chunk
