"""A client of whatever task hub listens at an address: the SDK's own, plus queries that return one page at a time.

Payloads pass through as the JSON text they are: what a caller sends is what an orchestration gets, to the digit.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, override

import grpc.aio
from durabletask.client import (
    AsyncTaskHubGrpcClient,
    OrchestrationState,
    OrchestrationStatus,
    parse_orchestration_state,
)
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs
from durabletask.serialization import DataConverter
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import Int32Value

# The hub is on this machine and histories come in chunks of many events: there is nothing to protect with a limit.
_CHANNEL_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


@dataclass(frozen=True, slots=True)
class InstanceQuery:
    """Which orchestrations to list. Times are timezone-aware; `top` is the length of a page."""

    created_from: datetime | None = None
    created_to: datetime | None = None
    statuses: tuple[OrchestrationStatus, ...] = ()
    id_prefix: str | None = None
    top: int = 100
    continuation_token: str | None = None


@dataclass(frozen=True, slots=True)
class EntityPageQuery:
    """Which entities to list. `name` compares without regard to case; `top` is the length of a page."""

    name: str | None = None
    modified_from: datetime | None = None
    modified_to: datetime | None = None
    top: int = 100
    continuation_token: str | None = None


@dataclass(frozen=True, slots=True)
class Page[T]:
    """One page of a listing. No `continuation_token` means it is the last one."""

    items: list[T] = field(default_factory=list)
    continuation_token: str | None = None


class JsonText(DataConverter):
    """Leaves payloads as the text they are."""

    @override
    def serialize(self, value: Any) -> str | None:
        return None if value is None else str(value)

    @override
    def deserialize(self, data: str | None, target_type: type | None = None) -> Any:
        return data

    @override
    def coerce(self, value: Any, target_type: type | None = None) -> Any:
        return value


class HubClient(AsyncTaskHubGrpcClient):
    """The SDK's client over a channel of its own, which `close` closes."""

    def __init__(self, address: str) -> None:
        self._own_channel = grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
        super().__init__(channel=self._own_channel, data_converter=JsonText(), emit_trace_spans=False, logger=_logger())
        make_stub: Callable[[Any], Any] = stubs.TaskHubSidecarServiceStub
        self._pages = make_stub(self._own_channel)

    async def close(self) -> None:
        """Close the channel."""
        await self._own_channel.close()

    async def instances(self, query: InstanceQuery) -> Page[OrchestrationState]:
        """One page of orchestrations, inputs and outputs included."""
        asked = pb.InstanceQuery(
            runtimeStatus=[each.value for each in query.statuses],
            createdTimeFrom=_timestamp(query.created_from),
            createdTimeTo=_timestamp(query.created_to),
            instanceIdPrefix=helpers.get_string_value(query.id_prefix),
            maxInstanceCount=query.top,
            fetchInputsAndOutputs=True,
            continuationToken=helpers.get_string_value(query.continuation_token),
        )
        answer = await self._pages.QueryInstances(pb.QueryInstancesRequest(query=asked))
        states = [parse_orchestration_state(each) for each in answer.orchestrationState]
        return Page(states, answer.continuationToken.value or None)

    async def entities(self, query: EntityPageQuery) -> Page[pb.EntityMetadata]:
        """One page of entities, those without a state left out."""
        asked = pb.EntityQuery(
            instanceIdStartsWith=helpers.get_string_value(f"@{query.name.lower()}@" if query.name else None),
            lastModifiedFrom=_timestamp(query.modified_from),
            lastModifiedTo=_timestamp(query.modified_to),
            includeState=True,
            includeTransient=True,
            pageSize=Int32Value(value=query.top),
            continuationToken=helpers.get_string_value(query.continuation_token),
        )
        answer = await self._pages.QueryEntities(pb.QueryEntitiesRequest(query=asked))
        living = [each for each in answer.entities if each.serializedState.value]
        return Page(living, answer.continuationToken.value or None)

    async def history(self, instance_id: str) -> list[pb.HistoryEvent]:
        """The events of an orchestration as the hub keeps them; none when there is no such orchestration."""
        asked = pb.StreamInstanceHistoryRequest(instanceId=instance_id)
        return [event async for chunk in self._pages.StreamInstanceHistory(asked) for event in chunk.events]


def _timestamp(when: datetime | None) -> Timestamp | None:
    if when is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(when)
    return timestamp


def _logger() -> logging.Logger:
    # The SDK's client tells of every call it makes.
    logger = logging.getLogger(f"{__name__}.durabletask")
    logger.setLevel(logging.WARNING)
    return logger
