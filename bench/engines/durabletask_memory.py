"""durabletask's in-memory backend with its stock worker over gRPC: not durable. Needs no environment of its own."""

import asyncio
import json
import logging
from concurrent import futures
from typing import Any

import grpc
from durabletask import task
from durabletask.client import AsyncTaskHubGrpcClient, OrchestrationStatus
from durabletask.internal import orchestrator_service_pb2_grpc as stubs
from durabletask.testing.in_memory_backend import InMemoryOrchestrationBackend
from durabletask.worker import ConcurrencyOptions, TaskHubGrpcWorker

from bench.workloads import ANSWER, CROWD, measure
from scripts.local_host import free_port


def step(_: task.ActivityContext, __: int) -> str:
    """Its worker knows no async activities."""
    return ANSWER


def chain(ctx: task.OrchestrationContext, steps: int) -> Any:
    for number in range(steps):
        yield ctx.call_activity(step, input=number)


def fan(ctx: task.OrchestrationContext, width: int) -> Any:
    yield task.when_all([ctx.call_activity(step, input=number) for number in range(width)])


class _Client:
    def __init__(self, client: AsyncTaskHubGrpcClient) -> None:
        self._client = client

    async def chain(self, steps: int) -> None:
        await self._run(chain, steps)

    async def fan(self, width: int) -> None:
        await self._run(fan, width)

    async def naps(self, width: int) -> None:
        raise NotImplementedError

    async def _run(self, orchestrator: Any, size: int) -> None:
        instance_id = await self._client.schedule_new_orchestration(orchestrator, input=size)
        state = await self._client.wait_for_orchestration_completion(instance_id, fetch_payloads=False, timeout=120)
        if state is None or state.runtime_status is not OrchestrationStatus.COMPLETED:
            raise RuntimeError(f"{orchestrator} of {size} did not complete: {state}")


def _serve(backend: InMemoryOrchestrationBackend, address: str) -> grpc.Server:
    """As the backend does itself, with more than its ten threads: a call that waits holds one of them."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=CROWD + 10))
    add: Any = stubs.add_TaskHubSidecarServiceServicer_to_server
    add(backend, server)
    server.add_insecure_port(address)
    server.start()
    return server


async def main() -> None:
    logging.disable(logging.CRITICAL)
    address = f"localhost:{free_port()}"
    backend = InMemoryOrchestrationBackend(max_history_size=100_000)
    server = _serve(backend, address)
    options = ConcurrencyOptions(maximum_concurrent_activity_work_items=1000)
    worker: Any = TaskHubGrpcWorker(host_address=address, concurrency_options=options, emit_trace_spans=False)
    worker.add_activity(step)
    worker.add_orchestrator(chain)
    worker.add_orchestrator(fan)
    worker.start()
    client = AsyncTaskHubGrpcClient(host_address=address, emit_trace_spans=False)
    print(json.dumps(await measure(_Client(client), naps=False)))
    await client.close()
    worker.stop()
    server.stop(None).wait()


if __name__ == "__main__":
    asyncio.run(main())
