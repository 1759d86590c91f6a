"""One run of a program: what its driver can do to the hub, and what it notes of the answers."""

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from durabletask import task
from durabletask.client import AsyncTaskHubGrpcClient, OrchestrationState, OrchestrationStatus
from durabletask.entities import EntityInstanceId
from durabletask.internal import orchestrator_service_pb2 as pb

WITHIN_SECONDS = 20.0
POLL_SECONDS = 0.03


class Stuck(AssertionError):
    """Something a program waits for did not come."""


class Run:
    """What a driver gets. Every instance that it starts or watches is looked at when the program is over."""

    def __init__(self, program: str, client: AsyncTaskHubGrpcClient) -> None:
        self.program = program
        self.client = client
        self.nonce = uuid.uuid4().hex
        self.watched: list[str] = []
        self.entities: list[EntityInstanceId] = []
        self.notes: list[tuple[str, Any]] = []

    @property
    def stub(self) -> Any:
        """The client's stub, for what the SDK's client does not show."""
        return self.client._get_stub()

    def id(self, name: str = "main") -> str:
        """The id of one of this program's instances: the same in every hub, and no other program's."""
        return f"{self.program}-{name}"

    def entity(self, kind: str, key: str = "one") -> EntityInstanceId:
        """The id of one of this program's entities, whose final state is looked at when the program is over."""
        entity_id = EntityInstanceId(kind, self.id(key))
        if entity_id not in self.entities:
            self.entities.append(entity_id)
        return entity_id

    def note(self, what: str, value: Any) -> None:
        """Remember an answer, to be compared."""
        self.notes.append((what, value))

    def watch(self, *instance_ids: str) -> None:
        """Have instances looked at that something else started."""
        self.watched += [each for each in instance_ids if each not in self.watched]

    async def start(
        self, function: task.Orchestrator[Any, Any] | str, input_: Any = None, *, name: str = "main", **options: Any
    ) -> str:
        """Start an orchestration under the id called `name`."""
        instance_id = self.id(name)
        self.watch(instance_id)
        return await self.client.schedule_new_orchestration(function, input=input_, instance_id=instance_id, **options)

    async def finished(self, instance_id: str | None = None) -> OrchestrationState:
        """The instance once it has finished."""
        return await self.reached(lambda state: state.runtime_status in _FINISHED, instance_id)

    async def go(
        self, function: task.Orchestrator[Any, Any] | str, input_: Any = None, *, name: str = "main", **options: Any
    ) -> OrchestrationState:
        """Start and see it finish."""
        return await self.finished(await self.start(function, input_, name=name, **options))

    async def has(self, status: OrchestrationStatus, instance_id: str | None = None) -> OrchestrationState:
        """The instance once it has that status."""
        return await self.reached(lambda state: state.runtime_status is status, instance_id)

    async def says(self, custom_status: str, instance_id: str | None = None) -> OrchestrationState:
        """The instance once it has that custom status, so that the driver knows how far it is."""
        return await self.reached(lambda state: state.get_custom_status() == custom_status, instance_id)

    async def reached(
        self, condition: Callable[[OrchestrationState], bool], instance_id: str | None = None
    ) -> OrchestrationState:
        """The instance once `condition` holds for it."""
        wanted = instance_id or self.id()

        async def probe() -> OrchestrationState | None:
            state = await self.client.get_orchestration_state(wanted)
            return state if state is not None and condition(state) else None

        state: OrchestrationState = await self.until(probe, f"{wanted} to come so far")
        return state

    async def recorded(self, kind: str, instance_id: str | None = None, *, times: int = 1) -> None:
        """Return once the history has `times` events of that kind (the name of the protocol's field)."""
        wanted = instance_id or self.id()

        async def probe() -> bool:
            return [event.WhichOneof("eventType") for event in await self.history(wanted)].count(kind) >= times

        await self.until(probe, f"{kind} in the history of {wanted}")

    async def history(self, instance_id: str) -> list[pb.HistoryEvent]:
        """The history, as the protocol has it; none for an instance that does not exist."""
        chunks = self.stub.StreamInstanceHistory(pb.StreamInstanceHistoryRequest(instanceId=instance_id))
        try:
            return [event async for chunk in chunks for event in chunk.events]
        except grpc.aio.AioRpcError as refused:
            if refused.code() is grpc.StatusCode.NOT_FOUND:
                return []
            raise

    async def entity_state(self, entity_id: EntityInstanceId, wanted: Any) -> None:
        """Return once the entity has that state."""

        async def probe() -> bool:
            return bool((await self._metadata(entity_id)).serializedState.value == json.dumps(wanted))

        await self.until(probe, f"{entity_id} to be {wanted}")

    async def is_locked(self, entity_id: EntityInstanceId) -> bool:
        """Whether an orchestration holds the entity."""
        return bool((await self._metadata(entity_id)).lockedBy.value)

    async def _metadata(self, entity_id: EntityInstanceId) -> pb.EntityMetadata:
        answer = await self.stub.GetEntity(pb.GetEntityRequest(instanceId=str(entity_id), includeState=True))
        metadata: pb.EntityMetadata = answer.entity
        return metadata

    async def until(self, probe: Callable[[], Awaitable[Any]], what: str) -> Any:
        """The first truthy answer of `probe`; raises `Stuck` when there is none in time."""
        deadline = time.monotonic() + WITHIN_SECONDS
        while not (answer := await probe()):
            if time.monotonic() > deadline:
                raise Stuck(f"{self.program} waited {WITHIN_SECONDS} s for {what}")
            await asyncio.sleep(POLL_SECONDS)
        return answer

    async def note_refusal(self, what: str, call: Awaitable[Any]) -> None:
        """Note the gRPC status a call is turned down with, or that it is not."""
        try:
            await call
        except grpc.aio.AioRpcError as refused:
            self.note(what, refused.code().name)
        except (TimeoutError, ValueError) as refused:
            self.note(what, type(refused).__name__)
        else:
            self.note(what, "accepted")


_FINISHED = (OrchestrationStatus.COMPLETED, OrchestrationStatus.FAILED, OrchestrationStatus.TERMINATED)
