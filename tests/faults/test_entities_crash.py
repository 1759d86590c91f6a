"""Operations of entities are applied exactly once, wherever the task hub dies."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from durabletask.entities import EntityInstanceId

from devhost.clock import ManualClock
from devhost.taskhub.engine.crash_points import NAMES
from tests.support.durable_hub import DieAt, DurableHub, durable_hub
from tests.support.entity_app import make_entity_app

pytestmark = [
    pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning"),
    # What dies is reported by the event loop; a dead hub's tasks end as they may.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PROGRAMS = 5
# What this program never does: it has neither timers nor activities, nor signals for later.
NOT_REACHED = {"timer-due", "activity-begins", "activity-ended", "entity-signal-due"}


async def counted(hub: DurableHub, key: str, name: str = "counter") -> Any:
    entity = await hub.client.get_entity(EntityInstanceId(name, key))
    return None if entity is None else json.loads(entity.get_state())


async def start_all(hub: DurableHub) -> None:
    """Start the programs that are not there; each has an id of its own, so none runs twice."""
    for number in range(PROGRAMS):
        if await hub.client.get_orchestration_state(f"program {number}") is None:
            await hub.client.schedule_new_orchestration(
                "everything", input=str(number), instance_id=f"program {number}"
            )


async def until_dead_or_done(hub: DurableHub, crash: DieAt) -> None:
    """Run the programs. A call that is being answered when the hub dies gets no answer: nobody waits for it."""
    starting = asyncio.create_task(start_all(hub))
    dying = asyncio.create_task(crash.dead.wait())
    await asyncio.wait({starting, dying}, return_when=asyncio.FIRST_COMPLETED)
    async with asyncio.timeout(10):
        while not crash.dead.is_set() and not hub.hub.engine.idle:
            await asyncio.sleep(0)
    for task in (starting, dying):
        task.cancel()
    await asyncio.gather(starting, dying, return_exceptions=True)


@pytest.mark.parametrize("nth", [1, 2, 5, 11])
@pytest.mark.parametrize("place", [name for name in NAMES if name not in NOT_REACHED])
async def test_wherever_the_hub_dies_each_operation_is_applied_once(tmp_path: Path, place: str, nth: int) -> None:
    crash = DieAt(place, nth)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    async with durable_hub(make_entity_app(), tmp_path, crash=crash) as hub:
        await until_dead_or_done(hub, crash)
    assert crash.dead.is_set() or nth > 1
    async with durable_hub(make_entity_app(), tmp_path) as hub:
        await start_all(hub)
        for number in range(PROGRAMS):
            await hub.finished(f"program {number}")
            await hub.finished(f"by relay {number}")
        await hub.idle()
        assert await counted(hub, "total") == PROGRAMS * (1 + 10 + 100 + 1000)
        assert await counted(hub, "it", "relay") == PROGRAMS
        assert (await counted(hub, "from"), await counted(hub, "to")) == (-PROGRAMS, PROGRAMS)


@pytest.mark.parametrize("place", ["entity-signal-due", "entity-batch-begins", "entity-batch-ended", "commit-written"])
async def test_a_signal_for_later_is_applied_once_wherever_the_hub_dies_after_it_was_taken_in(
    tmp_path: Path, place: str
) -> None:
    crash, clock, counter = DieAt(), ManualClock(), EntityInstanceId("counter", "total")
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    async with durable_hub(make_entity_app(), tmp_path, clock=clock, crash=crash) as hub:
        due = clock.now() + timedelta(hours=1)
        await hub.client.signal_entity(counter, "add", input=1, signal_time=due)
        crash.name, crash.nth = place, crash.seen[place] + 1
        clock.move_to(due)
        async with asyncio.timeout(10):
            await crash.dead.wait()
    async with durable_hub(make_entity_app(), tmp_path, clock=clock) as hub:
        await hub.output("add_a_thousand")
        await hub.idle()
        assert await counted(hub, "total") == 1001
