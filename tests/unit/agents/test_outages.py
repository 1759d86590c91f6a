"""When a store, the bus or the task hub does not answer: the message waits, and the agent loses no attempt."""

from typing import Any

import pytest

from agents.delivery import Delivery, QueueConsumer
from shared.contracts import AgentResult, AgentTask, ReplyTo
from shared.errors import (
    BusUnavailable,
    ModelUnavailable,
    StoreUnavailable,
    TaskHubUnavailable,
)
from tests.support.app_world import BrokenBus, FlakyStore, World, a_runner, an_agent
from tests.support.deliveries import Deliveries
from tests.support.documents import NOW, a_run, a_task, after

QUEUE = "tester-tasks"


@pytest.fixture
async def deliveries(world: World) -> Deliveries:
    """Deliveries of a run that is under way."""
    await world.store.create_run(a_run(steps=("tester",)))
    return Deliveries(world)


def task(**changes: Any) -> AgentTask:
    return a_task("tester", **changes)


@pytest.mark.parametrize("method", ["claim_step", "record_step", "release_step"])
async def test_a_store_that_does_not_answer_postpones_the_message_instead_of_using_it_up(
    world: World, method: str
) -> None:
    """A message that is given back returns at once: three deliveries are gone before a store has drawn breath."""
    await world.store.create_run(a_run(steps=("tester",)))
    world.replies[:] = [ModelUnavailable("no answer")] if method == "release_step" else ["An answer."]
    store = FlakyStore(world.store, {method: [StoreUnavailable("down")] * 3})
    deliveries = Deliveries(world, resources=world.but(store=store))
    await deliveries.deliver(task())
    [copy] = deliveries.copies()
    assert copy.enqueue_at == after(5)
    assert AgentTask.model_validate_json(copy.body) == task(postponed=1), "an outage is none of the agent's attempts"
    assert deliveries.replies == []


async def test_a_message_that_was_postponed_is_run_once_the_store_answers(world: World) -> None:
    await world.store.create_run(a_run(steps=("tester",)))
    store = FlakyStore(world.store, {"claim_step": [StoreUnavailable("down")] * 2})
    deliveries = Deliveries(world, resources=world.but(store=store))
    message = task()
    for _ in range(2):
        await deliveries.deliver(message)
        [copy] = deliveries.copies()
        message = AgentTask.model_validate_json(copy.body)
    await deliveries.deliver(message)
    assert [result.output for _, result in deliveries.replies] == ["An answer."]


async def test_a_store_that_stays_away_is_asked_until_the_deadline_and_then_leaves_the_message_to_the_dead_letters(
    world: World,
) -> None:
    store = FlakyStore(world.store, {"claim_step": [StoreUnavailable("down")] * 99})
    deliveries = Deliveries(world, resources=world.but(store=store))
    message, waits = task(deadline=after(200)), []
    while True:
        sent = world.clock.now()
        try:
            await deliveries.deliver(message)
        except StoreUnavailable:
            break
        [copy] = deliveries.copies()
        assert copy.enqueue_at is not None
        waits.append((copy.enqueue_at - sent).total_seconds())
        world.clock.move_to(copy.enqueue_at)
        message = AgentTask.model_validate_json(copy.body)
    assert waits == [5, 10, 20, 40, 60, 60, 5]


async def test_a_store_that_is_away_for_ten_minutes_takes_no_attempt_from_the_agent(world: World) -> None:
    await world.store.create_run(a_run(steps=("tester",)))
    world.replies[:] = [ModelUnavailable("no answer")] * 3 + ["An answer."]
    store = FlakyStore(world.store, {"claim_step": [StoreUnavailable("down")] * 12})
    deliveries = Deliveries(world, resources=world.but(store=store))
    message, waits = task(), []
    while not deliveries.replies:
        await deliveries.deliver(message)
        for copy in deliveries.copies():
            assert copy.enqueue_at is not None
            waits.append((copy.enqueue_at - world.clock.now()).total_seconds())
            world.clock.move_to(copy.enqueue_at)
            message = AgentTask.model_validate_json(copy.body)
    assert waits == [5, 10, 20, 40, *[60] * 8, 5, 10, 15]
    assert [result.output for _, result in deliveries.replies] == ["An answer."]


async def test_a_task_hub_that_is_away_for_ten_minutes_gets_the_answer_that_was_recorded(
    deliveries: Deliveries,
) -> None:
    deliveries.reply_failures[:] = [TaskHubUnavailable("silent")] * 12
    message = task()
    while not deliveries.replies:
        await deliveries.deliver(message)
        for copy in deliveries.copies():
            assert copy.enqueue_at is not None
            deliveries.world.clock.move_to(copy.enqueue_at)
            message = AgentTask.model_validate_json(copy.body)
    assert [result.output for _, result in deliveries.replies] == ["An answer."]
    assert len(deliveries.world.model.requests) == 1


async def test_copies_that_failed_together_do_not_come_back_together(world: World) -> None:
    await world.store.create_run(a_run(steps=("tester",)))
    store = FlakyStore(world.store, {"claim_step": [StoreUnavailable("down")] * 3})
    used = world.but(store=store)
    chances = iter([0.0, 0.5, 1.0])
    consumer = QueueConsumer(a_runner(an_agent(), used), used, chance=lambda: next(chances))
    for number in range(3):
        await consumer.consume_task(task(step_id=f"s{number}"), Delivery(f"o{number}", _nobody, NOW))
    assert [copy.enqueue_at for copy in world.bus.taken(QUEUE)] == [after(5), after(5.5), after(6)]


async def _nobody(_: ReplyTo, __: AgentResult) -> None:
    raise AssertionError("nothing is to be said")


async def test_a_task_hub_that_does_not_answer_postpones_the_answer_and_not_the_work(deliveries: Deliveries) -> None:
    deliveries.reply_failures[:] = [TaskHubUnavailable("silent")]
    await deliveries.deliver(task())
    [copy] = deliveries.copies()
    assert copy.enqueue_at == after(5)
    await deliveries.deliver(AgentTask.model_validate_json(copy.body))
    assert [result.output for _, result in deliveries.replies] == ["An answer."]
    assert len(deliveries.world.model.requests) == 1


async def test_a_bus_that_takes_no_copy_gives_the_message_back(world: World) -> None:
    await world.store.create_run(a_run(steps=("tester",)))
    world.replies[:] = [ModelUnavailable("no answer"), "An answer."]
    deliveries = Deliveries(world, resources=world.but(bus=BrokenBus(BusUnavailable("down"))))
    with pytest.raises(BusUnavailable):
        await deliveries.deliver(task())
    await deliveries.deliver(task())
    assert [result.output for _, result in deliveries.replies] == ["An answer."]
