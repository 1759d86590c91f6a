"""A task hub that lives many short lives: `python -m tests.support.hub_lives FOLDER`.

For each line on standard input a process is forked, so that none has to import anything, and its number is told on
standard output. `live` goes on until it is killed: fifty orchestrations run at any time, and one that has finished is
followed by another. `finish` lets those that run come to their ends, checks every result, and ends with status 0.

`journal` in the folder tells in its order: `B` and `E` an activity began and ended, `K` its result was on disk when a
life began, `F` an orchestration was seen to have finished.
"""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import grpc
from durabletask.client import AsyncTaskHubGrpcClient, OrchestrationStatus
from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.taskhub.embedded import EmbeddedTaskHub
from devhost.taskhub.turns import ReplayedTurns, StickyTurns
from tests.support.conformance.reference import client_of
from tests.support.conformance.stock_executor import StockExecutor
from tests.support.hub_work import COUNTED, EVENTS, KINDS, accounts, functions, tally_of

SLOTS: Final = 50
_PATIENCE: Final = 60.0


class Life:
    """One process's time with the hub in `folder`."""

    def __init__(self, folder: Path, number: int) -> None:
        self._journal = folder / "journal"
        self._turns = StickyTurns(check_every=5) if number % 2 else ReplayedTurns()
        self._hub = EmbeddedTaskHub(folder / "hub")
        self._finished: dict[int, int] = dict.fromkeys(range(SLOTS), 0)
        self._file = os.open(self._journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def spend(self, *, to_the_end: bool) -> None:
        """Live until killed, or until what runs has ended and was found right."""
        await self._hub.start(StockExecutor(functions(self._journal), self._turns))
        # Nothing has run since the hub was started: there was no turn of the event loop.
        self._tell("K", self._recorded())
        for line in self._journal.read_text().splitlines():
            if line.startswith("F "):
                self._finished[int(line.split("-")[1])] += 1
        client = client_of(self._hub.address)
        async with asyncio.TaskGroup() as group:
            for slot in range(SLOTS):
                group.create_task(self._keep_busy(client, slot, once=to_the_end))
        await self._check(client)
        await client.close()
        await self._hub.stop()

    def _tell(self, what: str, names: Iterator[str]) -> None:
        os.write(self._file, "".join(f"{what} {name}\n" for name in names).encode())

    def _recorded(self) -> Iterator[str]:
        """The keys of the activities whose results are on disk, of all orchestrations that have not ended."""
        context = self._hub.engine.context
        for instance in context.instances.all_active():
            events = [*instance.history, *(each.event for each in instance.inbox)]
            scheduled = {each.eventId: each.taskScheduled for each in events if each.HasField("taskScheduled")}
            for each in events:
                if each.HasField("taskCompleted"):
                    yield json.loads(scheduled[each.taskCompleted.taskScheduledId].input.value)[0]

    async def _keep_busy(self, client: AsyncTaskHubGrpcClient, slot: int, *, once: bool) -> None:
        while True:
            instance_id = f"{kind_of(slot)}-{slot}-{self._finished[slot]}"
            await self._run(client, slot, instance_id)
            self._tell("F", iter([instance_id]))
            self._finished[slot] += 1
            if once:
                return

    async def _run(self, client: AsyncTaskHubGrpcClient, slot: int, instance_id: str) -> None:
        kind = kind_of(slot)
        if await client.get_orchestration_state(instance_id, fetch_payloads=False) is None:
            await client.schedule_new_orchestration(kind, input=KINDS[kind][0](slot), instance_id=instance_id)
        for number in range(EVENTS if kind == "hearing" else 0):
            # It may have arrived already, in this life or an earlier one, and the orchestration may have ended by it.
            with suppress(grpc.aio.AioRpcError):
                await client.raise_orchestration_event(instance_id, f"event-{number}", data=f"heard {number}")
        await client.wait_for_orchestration_completion(instance_id, timeout=_PATIENCE)

    async def _check(self, client: AsyncTaskHubGrpcClient) -> None:
        for slot, generations in self._finished.items():
            kind = kind_of(slot)
            for generation in range(generations):
                state = await client.get_orchestration_state(f"{kind}-{slot}-{generation}")
                assert state is not None, f"{kind}-{slot}-{generation} is gone"
                assert state.runtime_status is OrchestrationStatus.COMPLETED, state
                assert json.loads(state.serialized_output or "null") == KINDS[kind][1], state
        counted = {slot: generations for slot, generations in self._finished.items() if kind_of(slot) == "counting"}
        wanted = dict.fromkeys((str(tally_of(slot)) for slot in counted), 0)
        for slot, generations in counted.items():
            wanted[str(tally_of(slot))] += COUNTED * generations
        source, target = (str(each) for each in accounts())
        wanted |= {source: -sum(counted.values()), target: sum(counted.values())}
        await self._until_counted(client, wanted)

    async def _until_counted(self, client: AsyncTaskHubGrpcClient, wanted: dict[str, int]) -> None:
        """Signals are applied some time after the orchestration that sent them has ended; nothing comes after them."""
        stub = client._get_stub()
        found: dict[str, int] = {}
        async with asyncio.timeout(_PATIENCE):
            while found != wanted:
                assert all(abs(found.get(each, 0)) <= abs(wanted[each]) for each in wanted), (found, wanted)
                for each in wanted:
                    answer = await stub.GetEntity(pb.GetEntityRequest(instanceId=each, includeState=True))
                    found[each] = int(answer.entity.serializedState.value or 0)
                await asyncio.sleep(0.01)


def kind_of(slot: int) -> str:
    """What runs in a slot."""
    return list(KINDS)[slot % len(KINDS)]


def main(folder: Path) -> None:
    """Fork a life for each line."""
    for number, line in enumerate(sys.stdin):
        child = os.fork()
        if child == 0:
            asyncio.run(Life(folder, number).spend(to_the_end=line.strip() == "finish"))
            os._exit(0)
        os.write(1, f"{child}\n".encode())
        _, status = os.waitpid(child, 0)
        os.write(1, f"{os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
