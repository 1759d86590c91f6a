"""After a turn that took long, external events are collected for a while instead of taken in one by one."""

import asyncio
import time
from pathlib import Path

import azure.durable_functions as df
from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.taskhub.hub import Turn
from tests.support.engine_ground import EngineGround
from tests.support.eventually import eventually

TURN_SECONDS = 0.03


class SlowTurns:
    """Runs turns that hold the event loop, as long replays do, and asks for nothing."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.events: list[int] = []

    async def orchestrator(self, turn: Turn) -> pb.OrchestratorResponse:
        time.sleep(self.seconds)  # noqa: ASYNC251 - that is what a replay does
        self.events.append(sum(1 for event in turn.new_events if event.HasField("eventRaised")))
        return pb.OrchestratorResponse(instanceId=turn.instance_id)

    async def activity(self, request: pb.ActivityRequest) -> pb.ActivityResponse:
        raise AssertionError("no activity was asked for")

    async def entity(self, request: pb.EntityBatchRequest) -> pb.EntityBatchResult:
        raise AssertionError("no entity was asked for")

    def forget(self, instance_id: str, execution_id: str) -> None:
        pass


async def taken_in(path: Path, turns: SlowTurns) -> list[int]:
    """How many events each turn took in, of twenty that came one after another, once the first turn was over."""
    ground = EngineGround(path, df.DFApp())
    ground.start(turns)
    try:
        instance_id = await ground.begin("any")
        await eventually(lambda: turns.events == [0])
        for _ in range(20):
            await ground.raise_event(instance_id, "answer")
            await asyncio.sleep(0)
        await eventually(lambda: sum(turns.events) == 20)
        await ground.still()
        return turns.events[1:]
    finally:
        await ground.close()


async def test_after_a_long_turn_events_that_come_one_by_one_are_taken_in_together(tmp_path: Path) -> None:
    assert len(await taken_in(tmp_path / "hub.sqlite", SlowTurns(TURN_SECONDS))) <= 3


async def test_after_a_short_turn_each_event_is_taken_in_at_once(tmp_path: Path) -> None:
    assert len(await taken_in(tmp_path / "hub.sqlite", SlowTurns(0))) >= 10
