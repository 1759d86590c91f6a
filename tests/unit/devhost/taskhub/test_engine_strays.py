"""Activities that nobody waits for any more run to their end, through a crash too."""

import asyncio
from pathlib import Path

import azure.durable_functions as df
import pytest
from durabletask import task
from durabletask.internal import orchestrator_service_pb2 as pb

from tests.support.engine_ground import EngineGround
from tests.support.eventually import eventually
from tests.support.hub_app import Steps

# The SDK advises once in a process; an app's own tests would see the same.
pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")


def make_app(begun: list[str], release: asyncio.Event) -> df.DFApp:
    app = df.DFApp()

    @app.activity_trigger(input_name="name")
    async def slow(name: str) -> str:
        begun.append(name)
        await release.wait()
        return name

    @app.orchestration_trigger(context_name="ctx")
    def leave(ctx: task.OrchestrationContext, _: None) -> Steps:
        ctx.call_activity("slow", input="left behind")
        yield ctx.wait_for_external_event("end")
        return "ended"

    return app


async def left_behind(path: Path, begun: list[str], release: asyncio.Event) -> EngineGround:
    """An engine whose orchestration has ended while its activity runs."""
    ground = EngineGround(path, make_app(begun, release))
    ground.start()
    leaving = await ground.begin("leave")
    await eventually(lambda: begun)
    await ground.raise_event(leaving, "end")
    await eventually(lambda: ground.status(leaving) == pb.ORCHESTRATION_STATUS_COMPLETED)
    return ground


async def test_an_activity_left_behind_is_forgotten_once_it_has_ended(tmp_path: Path) -> None:
    begun, release = list[str](), asyncio.Event()
    ground = await left_behind(tmp_path / "hub", begun, release)
    release.set()
    await ground.still()
    assert begun == ["left behind"]
    ground.engine.die()
    again = EngineGround(tmp_path / "hub", make_app(begun, release))
    again.start()
    await again.still()
    assert begun == ["left behind"]
    await again.close()


async def test_an_activity_left_behind_runs_again_after_a_crash(tmp_path: Path) -> None:
    begun, release = list[str](), asyncio.Event()
    ground = await left_behind(tmp_path / "hub", begun, release)
    ground.engine.die()
    release.set()
    again = EngineGround(tmp_path / "hub", make_app(begun, release))
    again.start()
    await again.still()
    assert begun == ["left behind", "left behind"]
    await again.close()
