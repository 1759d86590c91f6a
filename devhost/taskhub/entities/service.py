"""The client's half of the Durable Task protocol for entities, over an engine."""

from typing import Final

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

from devhost.taskhub.endpoint import CallContext
from devhost.taskhub.engine import events
from devhost.taskhub.engine.engine import Engine
from devhost.taskhub.entities.entity import Entity
from devhost.taskhub.entities.outcome import entity_id, sent_signal
from devhost.taskhub.operations.page_tokens import PageTokens
from devhost.taskhub.operations.pages import page_of
from devhost.taskhub.operations.refusals import invalid_argument, page_size, position, settled, time_range

_LISTING: Final = "entities"
# Above every text that begins with what stands before it.
_LAST_CHARACTER: Final = "\U0010ffff"
_CLEANED_A_CALL: Final = 1_000


class EntityService:
    """Signals, reads, lists and cleans entities."""

    def __init__(self, engine: Engine, tokens: PageTokens) -> None:
        self._engine = engine
        self._entities = engine.entities
        self._tokens = tokens

    async def signal_entity(self, request: pb.SignalEntityRequest, _: CallContext) -> pb.SignalEntityResponse:
        """Have an entity take in an operation, now or at a given time."""
        with invalid_argument():
            sent = sent_signal(request, now=self._engine.context.clock.now(), request_id=request.requestId)
        self._entities.signal(sent)
        await settled(self._engine)
        return pb.SignalEntityResponse()

    async def get_entity(self, request: pb.GetEntityRequest, _: CallContext) -> pb.GetEntityResponse:
        """The entity; one without a state does not exist."""
        with invalid_argument():
            identity = entity_id(request.instanceId)
        await settled(self._engine)
        entity = self._entities.journal.find(identity)
        if entity is None or entity.state is None:
            return pb.GetEntityResponse(exists=False)
        return pb.GetEntityResponse(exists=True, entity=self._metadata(entity, with_state=request.includeState))

    async def query_entities(self, request: pb.QueryEntitiesRequest, _: CallContext) -> pb.QueryEntitiesResponse:
        """One page of entities in the order of their ids."""
        query = request.query
        with invalid_argument():
            size = page_size(query.pageSize.value)
            after = position(self._tokens, _LISTING, query.continuationToken.value)
        prefix = _with_name_in_lower_case(query.instanceIdStartsWith.value)
        earliest, latest = time_range(query, "lastModifiedFrom", "lastModifiedTo")
        await settled(self._engine)

        def show(entity: Entity) -> pb.EntityMetadata | None:
            exists = entity.state is not None or query.includeTransient
            if not exists or not earliest <= entity.modified_at < latest:
                return None
            return self._metadata(entity, with_state=query.includeState)

        first = prefix if after is None else max(prefix, f"{after[0]}\0")
        rows = self._entities.journal.scan(first, prefix + _LAST_CHARACTER)
        page = page_of(rows, show, size)
        token = None if page.last is None else StringValue(value=self._tokens.write(_LISTING, (page.last.id,)))
        return pb.QueryEntitiesResponse(entities=page.items, continuationToken=token)

    async def clean_entity_storage(
        self, request: pb.CleanEntityStorageRequest, _: CallContext
    ) -> pb.CleanEntityStorageResponse:
        """Forget entities without a state, so many a call, and release locks whose owner has ended."""
        with invalid_argument():
            after = position(self._tokens, _LISTING, request.continuationToken.value)
        released = self._entities.release_orphaned() if request.releaseOrphanedLocks else 0
        removed, last = 0, None
        if request.removeEmptyEntities:
            await settled(self._engine)
            removed, last = self._entities.forget_empty("" if after is None else f"{after[0]}\0", _CLEANED_A_CALL)
        await settled(self._engine)
        return pb.CleanEntityStorageResponse(
            emptyEntitiesRemoved=removed,
            orphanedLocksReleased=released,
            continuationToken=None if last is None else StringValue(value=self._tokens.write(_LISTING, (last,))),
        )

    def _metadata(self, entity: Entity, *, with_state: bool) -> pb.EntityMetadata:
        lock = entity.mailbox.lock
        return pb.EntityMetadata(
            instanceId=entity.id,
            lastModifiedTime=events.timestamp(entity.modified_at),
            backlogQueueSize=self._entities.roster.backlog(entity.id),
            lockedBy=None if lock is None else StringValue(value=lock.owner),
            serializedState=events.text(entity.state) if with_state else None,
        )


def _with_name_in_lower_case(prefix: str) -> str:
    if not prefix:
        return "@"
    name, at, key = prefix.removeprefix("@").partition("@")
    return f"@{name.lower()}{at}{key}"
