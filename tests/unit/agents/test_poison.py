"""A message's last delivery runs no agent: its step has failed if its runners were lost, and else a copy goes on."""

from datetime import timedelta
from typing import Any

import pytest

from agents.poison import MOST_LOST, is_last
from agents.topology import QUEUE_OPTIONS, SUBSCRIPTION_OPTIONS
from shared.contracts import MAX_POSTPONED, AgentTask
from shared.errors import AgentFailed, BusUnavailable, InvalidMessage, ModelUnavailable
from shared.state.decisions import Claimed, ClaimRequest
from shared.status import RunStatus, StepStatus
from tests.support.app_world import BrokenBus, World, an_agent
from tests.support.deliveries import Deliveries
from tests.support.documents import NOW, a_run, a_run_result, a_task

LEASE = timedelta(seconds=60)


@pytest.fixture
async def deliveries(world: World) -> Deliveries:
    """Deliveries of a run that is under way."""
    await world.store.create_run(a_run(steps=("tester",)))
    return Deliveries(world)


def task(**changes: Any) -> AgentTask:
    return a_task("tester", **changes)


async def lose(world: World, times: int) -> None:
    """Let so many runners claim the step, and stop without a word."""
    for _ in range(times):
        assert isinstance(await claim(world), Claimed)
        world.clock.advance(LEASE)


async def claim(world: World) -> object:
    now = world.clock.now()
    return await world.store.claim_step(
        ClaimRequest(
            task_id="run-1",
            step_id="tester",
            agent="tester",
            attempt=1,
            owner=f"lost at {now}",
            enqueued_at=NOW,
            now=now,
            lease_until=now + LEASE,
        )
    )


async def test_a_message_whose_process_died_at_each_delivery_fails_its_step_at_the_last_and_who_waits_is_told(
    world: World, deliveries: Deliveries
) -> None:
    await lose(world, MOST_LOST)
    with pytest.raises(AgentFailed):
        await deliveries.deliver(task(), is_last=True)
    [(_, told)] = deliveries.replies
    step = await world.step()
    assert told.error is not None
    assert (told.status, told.error.type) == (StepStatus.FAILED, "RunnerLost")
    assert "stopped without a word at each of 2 deliveries" in told.error.message
    assert (step.status, step.result) == (StepStatus.FAILED, told)
    assert (world.model.requests, deliveries.copies()) == ([], [])
    assert step.calls_repeated == MOST_LOST - 1, "the last call that was lost is not made again"


async def test_a_delivery_that_is_not_the_last_is_run_although_the_ones_before_were_lost(
    world: World, deliveries: Deliveries
) -> None:
    await lose(world, MOST_LOST)
    await deliveries.deliver(task())
    assert (await world.step()).status is StepStatus.SUCCEEDED


@pytest.mark.parametrize("lost", range(MOST_LOST))
async def test_deliveries_that_were_given_back_count_against_no_agent_and_a_copy_goes_on_at_once(
    world: World, deliveries: Deliveries, lost: int
) -> None:
    await lose(world, lost)
    await deliveries.deliver(task(), is_last=True)
    [copy] = deliveries.copies()
    assert (world.model.requests, deliveries.replies) == ([], [])
    assert copy.message_id != task().message_id, "the queue would drop it as a duplicate"
    await deliveries.deliver(copy.body)
    assert (await world.step()).status is StepStatus.SUCCEEDED


async def test_processes_lost_before_an_attempt_that_failed_in_words_do_not_count(
    world: World, deliveries: Deliveries
) -> None:
    await lose(world, MOST_LOST)
    world.replies[:] = [ModelUnavailable("no answer"), "An answer."]
    await deliveries.deliver(task())
    [retry] = deliveries.copies()
    await deliveries.deliver(retry.body, is_last=True)
    assert len(deliveries.copies()) == 1
    assert (await world.step()).status is StepStatus.WAITING


async def test_the_last_delivery_of_a_step_that_has_its_result_is_answered_from_the_record(
    world: World, deliveries: Deliveries
) -> None:
    await deliveries.deliver(task())
    await deliveries.deliver(task(), is_last=True)
    assert (len(deliveries.replies), len(world.model.requests), deliveries.copies()) == (2, 1, [])


async def test_the_last_delivery_of_a_step_that_another_runs_is_looked_at_again_once_its_lease_has_ended(
    world: World, deliveries: Deliveries
) -> None:
    await claim(world)
    await deliveries.deliver(task(), is_last=True)
    [copy] = deliveries.copies()
    assert copy.enqueue_at is not None
    assert copy.enqueue_at > world.clock.now() + LEASE - timedelta(seconds=1)


async def test_of_what_nobody_wants_or_knows_no_copy_is_made_at_the_last_delivery(
    world: World, deliveries: Deliveries
) -> None:
    with pytest.raises(InvalidMessage):
        await deliveries.deliver(task(task_id="unknown"), is_last=True)
    await world.store.advance_run("run-1", RunStatus.FAILED, now=NOW, result=a_run_result(RunStatus.FAILED))
    await deliveries.deliver(task(), is_last=True)
    assert (deliveries.copies(), deliveries.replies) == ([], [])


async def test_a_step_of_another_agent_is_refused_at_the_last_delivery_too(
    world: World, deliveries: Deliveries
) -> None:
    await world.store.claim_step(
        ClaimRequest("run-1", "other", "writer", 1, "w", enqueued_at=NOW, now=NOW, lease_until=NOW + LEASE)
    )
    with pytest.raises(InvalidMessage, match="step of writer"):
        await deliveries.deliver(task(step_id="other"), is_last=True)
    assert deliveries.copies() == []


async def test_an_unsafe_agent_is_parked_at_the_last_delivery_as_at_any_other(world: World) -> None:
    await world.store.create_run(a_run(steps=("tester",)))
    unsafe = Deliveries(world, an_agent(effect="unsafe"))
    await lose(world, MOST_LOST)
    with pytest.raises(AgentFailed):
        await unsafe.deliver(task(), is_last=True)
    [(_, told)] = unsafe.replies
    assert told.status is StepStatus.PARKED


async def test_copies_of_copies_end(world: World, deliveries: Deliveries) -> None:
    await deliveries.deliver(task(postponed=MAX_POSTPONED), is_last=True)
    assert (await world.step()).status is StepStatus.SUCCEEDED


async def test_a_copy_that_the_bus_does_not_take_leaves_the_message_to_the_dead_letters(world: World) -> None:
    await world.store.create_run(a_run(steps=("tester",)))
    deliveries = Deliveries(world, resources=world.but(bus=BrokenBus(BusUnavailable("down"))))
    with pytest.raises(BusUnavailable):
        await deliveries.deliver(task(), is_last=True)
    assert world.model.requests == []


def test_which_delivery_is_the_last_is_what_the_topology_says() -> None:
    assert QUEUE_OPTIONS["maxDeliveryCount"] == SUBSCRIPTION_OPTIONS["maxDeliveryCount"] == 3
    assert [is_last(count) for count in (None, 1, 2, 3, 4)] == [False, False, False, True, True]
