"""Which orchestrations match a query, in an order that stays the same while others come and go, page by page.

Every listing follows an index from where its last page ended, so that a page costs what it holds, however much the task
hub keeps. Where a filter has no index, what does not match is skipped; `pages.page_of` bounds how much of it.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

from devhost.taskhub.endpoint import CallContext
from devhost.taskhub.engine.engine import Engine
from devhost.taskhub.engine.instance import FINISHED, Instance
from devhost.taskhub.engine.service import state_of
from devhost.taskhub.operations.page_tokens import PageTokens, Position
from devhost.taskhub.operations.pages import page_of
from devhost.taskhub.operations.refusals import invalid_argument, page_size, position, settled, time_range

_BY_CREATION: Final = "orchestrations"
_BY_ID: Final = "orchestrations with a prefix"
_BY_COMPLETION: Final = "finished orchestrations"
_LAST_CHARACTER: Final = "\U0010ffff"


class ListingService:
    """Lists orchestrations."""

    def __init__(self, engine: Engine, tokens: PageTokens) -> None:
        self._engine = engine
        self._journal = engine.context.journal
        self._tokens = tokens

    async def query_instances(self, request: pb.QueryInstancesRequest, _: CallContext) -> pb.QueryInstancesResponse:
        """One page of orchestrations: in the order of their creation, or of their ids when a prefix is given."""
        query = request.query
        listing = _BY_ID if query.instanceIdPrefix.value else _BY_CREATION
        with invalid_argument():
            size = page_size(query.maxInstanceCount)
            after = position(self._tokens, listing, query.continuationToken.value)
        await settled(self._engine)
        earliest, end = time_range(query, "createdTimeFrom", "createdTimeTo")
        if listing is _BY_ID:
            rows = self._with_prefix(query.instanceIdPrefix.value, after)
        else:
            rows = self.by_creation(query.runtimeStatus, earliest, end, after)
        statuses = frozenset(query.runtimeStatus)

        def show(instance: Instance) -> pb.OrchestrationState | None:
            if (statuses and instance.status not in statuses) or not earliest <= instance.created_at < end:
                return None
            return state_of(self._engine, instance, payloads=query.fetchInputsAndOutputs)

        page = page_of(rows, show, size)
        return pb.QueryInstancesResponse(
            orchestrationState=page.items,
            continuationToken=self._token(listing, page.last, _id if listing is _BY_ID else _creation),
        )

    async def list_instance_ids(self, request: pb.ListInstanceIdsRequest, _: CallContext) -> pb.ListInstanceIdsResponse:
        """One page of the ids of finished orchestrations, in the order in which they finished."""
        with invalid_argument():
            size = page_size(request.pageSize)
            after = position(self._tokens, _BY_COMPLETION, request.lastInstanceKey.value)
        await settled(self._engine)
        earliest, end = time_range(request, "completedTimeFrom", "completedTimeTo")
        statuses = frozenset(request.runtimeStatus)

        def show(instance: Instance) -> StringValue | None:
            return StringValue(value=instance.id) if not statuses or instance.status in statuses else None

        first, key = _start(earliest, after)
        tail = "WHERE (completed_at,key)>(?,?) AND completed_at<? ORDER BY completed_at,key"
        page = page_of(self._journal.select(tail, (first, key, end)), show, size)
        return pb.ListInstanceIdsResponse(
            instanceIds=[each.value for each in page.items],
            lastInstanceKey=self._token(_BY_COMPLETION, page.last, _completion),
        )

    def by_creation(
        self, statuses: Sequence[int], earliest: int, end: int, after: Position | None = None
    ) -> Iterator[Instance]:
        """Those created from `earliest` up to but not including `end`, after the position (instant, key).

        With `statuses` those of other statuses are left out, but for some of the unfinished ones.
        """
        first, key = _start(earliest, after)
        wheres: list[tuple[str, tuple[int, ...]]] = [("", ())]
        if statuses:
            wheres = [("completed_at IS NOT NULL AND status=? AND", (each,)) for each in FINISHED & set(statuses)]
        if set(statuses) - FINISHED:
            wheres.append(("completed_at IS NULL AND", ()))
        tail = "WHERE {} (created_at,key)>(?,?) AND created_at<? ORDER BY created_at,key"
        listings = [self._journal.select(tail.format(where), (*values, first, key, end)) for where, values in wheres]
        return heapq.merge(*listings, key=_creation)

    def _with_prefix(self, prefix: str, after: Position | None) -> Iterator[Instance]:
        first = prefix if after is None else f"{after[0]}\0"
        tail = "WHERE instance_id>=? AND instance_id<? ORDER BY instance_id"
        return self._journal.select(tail, (first, prefix + _LAST_CHARACTER))

    def _token(self, listing: str, last: Instance | None, where: Callable[[Instance], Position]) -> StringValue | None:
        return None if last is None else StringValue(value=self._tokens.write(listing, where(last)))


def _start(earliest: int, after: Position | None) -> tuple[int, int]:
    if after is None:
        return earliest, -1
    instant, key = after
    return max((earliest, -1), (int(instant), int(key)))


def _creation(instance: Instance) -> Position:
    return instance.created_at, instance.key


def _completion(instance: Instance) -> Position:
    return instance.completed_at or 0, instance.key


def _id(instance: Instance) -> Position:
    return (instance.id,)
