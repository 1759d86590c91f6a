"""How much the engine does for a given amount of work: counts, which no machine's speed changes."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from durabletask import task
from durabletask.internal import orchestrator_service_pb2 as pb

from tests.support.engine_ground import EngineGround
from tests.support.hub_app import HOUR, Steps, make_app

# The SDK advises once in a process; an app's own tests would see the same.
pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")


async def test_a_fan_out_of_a_thousand_takes_at_most_four_turns_and_eight_commits(tmp_path: Path) -> None:
    ground = EngineGround(tmp_path / "hub", make_app())
    ground.start()
    fan = await ground.begin("fan", "1000")
    await ground.still()
    assert ground.output(fan) == str(sum(range(1, 1001)))
    assert ground.engine.turns.count <= 4
    assert ground.engine.commits <= 8
    await ground.close()


async def test_a_lone_chain_takes_one_turn_and_at_most_two_commits_a_step(tmp_path: Path) -> None:
    ground = EngineGround(tmp_path / "hub", make_app())
    ground.start()
    chain = await ground.begin("chain", "50")
    await ground.still()
    assert ground.output(chain) == "50"
    assert ground.engine.turns.count == 51
    assert ground.engine.commits <= 2 * 50
    await ground.close()


async def test_two_hundred_chains_at_once_share_their_commits(tmp_path: Path) -> None:
    ground = EngineGround(tmp_path / "hub", make_app())
    ground.start()
    chains = await asyncio.gather(*(ground.begin("chain", "10") for _ in range(200)))
    await ground.still()
    assert {ground.output(each) for each in chains} == {"10"}
    assert ground.engine.commits <= 0.2 * 200 * 10
    await ground.close()


async def test_an_idle_engine_commits_nothing_and_takes_no_pass_of_the_event_loop(tmp_path: Path) -> None:
    ground = EngineGround(tmp_path / "hub", make_app())
    ground.start()
    await ground.begin("waiter")
    await ground.begin("sleeper", "24")
    await ground.still()
    commits, passes = ground.engine.commits, ground.engine.context.pulse.passes
    for _ in range(200):
        await asyncio.sleep(0)
    assert (ground.engine.commits, ground.engine.context.pulse.passes) == (commits, passes)
    await ground.close()


async def test_what_has_finished_or_only_waits_leaves_memory(tmp_path: Path) -> None:
    ground = EngineGround(tmp_path / "hub", make_app())
    ground.start()
    for _ in range(5):
        await asyncio.gather(*(ground.begin("chain", "3") for _ in range(20)))
        await ground.still()
    assert len(ground.engine.context.instances) == 0
    assert ground.engine.context.timers.count() == 0
    await ground.close()


async def test_a_long_loop_grows_neither_memory_nor_the_file(tmp_path: Path) -> None:
    app = make_app()

    @app.orchestration_trigger(context_name="ctx")
    def loop(ctx: task.OrchestrationContext, left: int) -> Steps:
        limit = ctx.create_timer(HOUR)
        step: task.Task[Any] = ctx.call_activity("add_one", input=left)
        yield task.when_any([step, limit])
        if left:
            ctx.continue_as_new(left - 1)

    ground = EngineGround(tmp_path / "hub", app)
    ground.start()
    looping = await ground.begin("loop", "300")
    waiting = await ground.begin("waiter")
    await ground.still()
    assert ground.status(looping) == pb.ORCHESTRATION_STATUS_COMPLETED
    assert ground.engine.next_due is None, "the timers of ended executions are still set"
    assert [each.id for each in ground.engine.context.instances.all_active()] == [waiting]
    assert rows(ground, "history") < 10
    assert [rows(ground, table) for table in ("inbox", "strays", "inputs", "outputs")] == [0, 0, 1, 0]
    await ground.close()


def rows(ground: EngineGround, table: str) -> int:
    (count,) = ground.engine.context.commits.connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(count)
