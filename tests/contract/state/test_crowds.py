"""What a state store guarantees to many agents that work on one run at once, and how often each has to ask it."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from shared.artifacts.files import FileArtifacts
from shared.errors import ClaimLost
from shared.state.cosmos import CosmosState
from shared.state.cosmos_container import CosmosConnection
from shared.state.decisions import Claimed
from shared.state.store import StateStore
from shared.status import StepStatus
from tests.contract.state.conftest import Stores
from tests.support.documents import a_claim, a_result, a_run, after

AGENTS = 50
STEPS = tuple(f"s{number}" for number in range(AGENTS))


async def complete(store: StateStore, step: str, owner: str, at: float) -> bool:
    """As an agent does: claim a step and record its result; False when another has it."""
    if not isinstance(await store.claim_step(a_claim(step, owner=owner, at=at)), Claimed):
        return False
    await store.record_step("run-1", step, owner=owner, result=a_result(f"{step} by {owner}"), now=after(at + 1))
    return True


async def test_of_fifty_agents_that_complete_steps_of_one_run_at_once_none_is_lost(stores: Stores) -> None:
    hosts = [stores.open() for _ in range(4)]
    await hosts[0].create_run(a_run(steps=STEPS))
    done = await asyncio.gather(*(complete(hosts[n % 4], step, f"owner-{n}", n) for n, step in enumerate(STEPS)))
    assert all(done)
    record = await hosts[0].read_run("run-1")
    assert record is not None
    assert {step.step_id: (step.status, step.result and step.result.output) for step in record.steps} == {
        step: (StepStatus.SUCCEEDED, f"{step} by owner-{n}") for n, step in enumerate(STEPS)
    }
    log = await hosts[1].read_log("run-1")
    assert log is not None
    assert len(log.events) == 1 + 2 * AGENTS


async def test_of_fifty_steps_that_are_each_delivered_twice_none_is_written_twice(stores: Stores) -> None:
    hosts = [stores.open() for _ in range(2)]
    await hosts[0].create_run(a_run(steps=STEPS))
    done = await asyncio.gather(
        *(complete(host, step, f"{step}-{n}", 1) for step in STEPS for n, host in enumerate(hosts))
    )
    assert sum(done) == AGENTS
    log = await hosts[0].read_log("run-1")
    assert log is not None
    kinds = [numbered.event.kind for numbered in log.events]
    assert (kinds.count("step_claimed"), kinds.count("step_recorded")) == (AGENTS, AGENTS)


async def test_a_claim_that_is_taken_over_while_its_runner_records_ends_with_one_result(stores: Stores) -> None:
    first, second = stores.open(), stores.open()
    await first.create_run(a_run(steps=STEPS))
    for step in STEPS[:20]:
        await first.claim_step(a_claim(step, owner="slow"))

    async def finish_late(step: str) -> None:
        with contextlib.suppress(ClaimLost):
            await first.record_step("run-1", step, owner="slow", result=a_result("slow"), now=after(999))

    await asyncio.gather(*(act for s in STEPS[:20] for act in (finish_late(s), complete(second, s, "quick", 999))))
    record = await first.read_run("run-1")
    assert record is not None
    outputs = [step.result.output for step in record.steps if step.result]
    assert len(outputs) == 20
    assert {str(output).partition(" by ")[2] or "slow" for output in outputs} <= {"slow", "quick"}


@pytest.mark.parametrize("agents", [1, 10, 50])
async def test_a_step_costs_one_read_and_two_writes_however_many_there_are(
    cosmos_connection: CosmosConnection, tmp_path: Path, agents: int
) -> None:
    store = CosmosState(cosmos_connection, FileArtifacts(tmp_path))
    try:
        await store.create_run(a_run(steps=STEPS[:agents]))
        store.charges.operations.clear()
        await asyncio.gather(*(complete(store, step, f"owner-{n}", n) for n, step in enumerate(STEPS[:agents])))
        assert dict(store.charges.operations) == {"read": agents, "create": agents, "patch": agents}
    finally:
        await store.close()


async def test_what_a_crowd_cost_is_shown_once_and_whole(cosmos_connection: CosmosConnection, tmp_path: Path) -> None:
    store = CosmosState(cosmos_connection, FileArtifacts(tmp_path))
    try:
        await store.create_run(a_run(steps=STEPS))
        await asyncio.gather(*(complete(store, step, f"owner-{n}", n) for n, step in enumerate(STEPS)))
        log = await store.read_log("run-1")
        assert log is not None
        # A unit for each request, those of reading the log included.
        assert log.request_units == sum(store.charges.request_units.values())
    finally:
        await store.close()
