"""The durable client, seen as what starting and stopping runs need."""

import azure.durable_functions as df
import grpc
from pydantic import JsonValue

from shared.errors import TaskHubUnavailable


class DurableOrchestrations:
    """An `Orchestrations` over the durable client. Its methods raise `TaskHubUnavailable`."""

    def __init__(self, client: df.DurableFunctionsClient) -> None:
        self._client = client

    async def exists(self, instance_id: str) -> bool:
        """Whether there is an orchestration with this id."""
        try:
            return await self._client.get_orchestration_state(instance_id, fetch_payloads=False) is not None
        except grpc.aio.AioRpcError as error:
            raise TaskHubUnavailable(f"the task hub did not answer: {error.details()}") from error

    async def schedule(self, orchestrator: str, instance_id: str, given: JsonValue) -> None:
        """Schedule one, unless a request with the same key has done so a moment ago."""
        try:
            await self._client.schedule_new_orchestration(orchestrator, input=given, instance_id=instance_id)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise TaskHubUnavailable(f"the task hub did not answer: {error.details()}") from error

    async def terminate(self, instance_id: str) -> None:
        """End one with all that it started; nothing, if there is none or it is over."""
        try:
            await self._client.terminate_orchestration(instance_id, recursive=True)
        except grpc.aio.AioRpcError as error:
            if error.code() not in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION):
                raise TaskHubUnavailable(f"the task hub did not answer: {error.details()}") from error
