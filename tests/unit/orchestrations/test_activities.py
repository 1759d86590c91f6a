"""Sending a fan-out: batches by queue, large inputs by reference, and a refusal that holds up nobody else."""

from datetime import timedelta
from typing import Any

import pytest

from orchestrations.activities import orchestration_activities, record, send_tasks
from orchestrations.calls import Dispatch, Recorded, RunUpdate
from shared.contracts import AgentInput, AgentTask, ArtifactRef
from shared.errors import BusUnavailable, ConfigurationError, StoreUnavailable
from shared.messaging.bus import OutgoingMessage
from shared.messaging.tasks import MAX_INLINE_BYTES
from shared.status import RunStatus
from tests.support import documents
from tests.support.app_world import BrokenBus, FlakyStore, World
from tests.support.documents import after


def a_task(agent: str = "research", **changes: Any) -> AgentTask:
    return documents.a_task(agent, deadline=after(600), **changes)


def dispatch(*tasks: AgentTask) -> Dispatch:
    """The dispatch that leads to these tasks, all of one run."""
    inputs = [task.input for task in tasks]
    steps = [
        {
            "step_id": task.step_id,
            "agent": task.agent,
            "given": place,
            "deadline": task.deadline,
            "reply_event": task.reply_to.event if task.reply_to else "none",
            "budget": task.budget,
        }
        for place, task in enumerate(tasks)
    ]
    return Dispatch.model_validate({"task_id": "run-1", "reply_to": "run-1", "inputs": inputs, "steps": steps})


async def test_every_task_is_put_on_its_agents_queue_under_its_id(world: World) -> None:
    sent = await send_tasks(dispatch(a_task("research"), a_task("writer")), world.resources)
    assert sent.rejected == ()
    [first], [_] = world.bus.taken("research-tasks"), world.bus.taken("writer-tasks")
    assert AgentTask.model_validate_json(first.body) == a_task("research")
    assert (first.message_id, first.correlation_id, first.enqueue_at) == ("run-1:research:1", "run-1", None)


async def test_the_tasks_of_one_queue_travel_together_and_in_order(world: World) -> None:
    calls: list[tuple[str, int]] = []

    class CountingBus(BrokenBus):
        async def send(self, queue: str, messages: list[OutgoingMessage]) -> None:  # type: ignore[override]
            calls.append((queue, len(messages)))

    tasks = [a_task("research", step_id=f"s{number}") for number in range(50)]
    await send_tasks(dispatch(*tasks, a_task("writer")), world.but(bus=CountingBus(BusUnavailable(""))))
    assert calls == [("research-tasks", 50), ("writer-tasks", 1)]


async def test_sending_twice_is_sending_once(world: World) -> None:
    for _ in range(2):
        await send_tasks(dispatch(a_task("research")), world.resources)
    assert len(world.bus.taken("research-tasks")) == 1


async def test_a_queue_that_does_not_exist_rejects_its_tasks_and_holds_up_no_other(world: World) -> None:
    ghosts = [a_task("ghost", step_id="one"), a_task("ghost", step_id="two")]
    sent = await send_tasks(dispatch(ghosts[0], a_task("writer"), ghosts[1]), world.resources)
    assert [rejection.step_id for rejection in sent.rejected] == ["one", "two"]
    assert {rejection.error.type for rejection in sent.rejected} == {"NotFound"}
    assert len(world.bus.taken("writer-tasks")) == 1


async def test_a_bus_that_is_not_configured_rejects_everything_with_the_setting_to_set(world: World) -> None:
    broken = world.but(bus=BrokenBus(ConfigurationError("set ServiceBusConnection")))
    sent = await send_tasks(dispatch(a_task("research"), a_task("writer")), broken)
    assert [rejection.error.message for rejection in sent.rejected] == ["set ServiceBusConnection"] * 2


async def test_a_bus_that_does_not_answer_is_an_error_so_that_all_is_sent_again(world: World) -> None:
    with pytest.raises(BusUnavailable):
        await send_tasks(dispatch(a_task("research")), world.but(bus=BrokenBus(BusUnavailable("down"))))


def sized(total: int) -> AgentTask:
    """A task whose message is exactly so many bytes."""
    empty = len(a_task(input=AgentInput(request="")).model_dump_json().encode())
    return a_task(input=AgentInput(request="x" * (total - empty)))


async def test_an_input_up_to_the_limit_travels_in_the_message(world: World) -> None:
    await send_tasks(dispatch(sized(MAX_INLINE_BYTES)), world.resources)
    [message] = world.bus.taken("research-tasks")
    assert len(message.body) == MAX_INLINE_BYTES
    assert AgentTask.model_validate_json(message.body) == sized(MAX_INLINE_BYTES)


@pytest.mark.parametrize("size", [MAX_INLINE_BYTES + 1, 3_000_000])
async def test_a_larger_input_travels_by_reference_and_is_found_there(world: World, size: int) -> None:
    await send_tasks(dispatch(sized(size)), world.resources)
    [message] = world.bus.taken("research-tasks")
    assert len(message.body) < 2000
    task = AgentTask.model_validate_json(message.body)
    assert isinstance(task.input, ArtifactRef)
    content = await world.resources.artifacts.get(task.input.address)
    assert AgentInput.model_validate_json(content) == sized(size).input
    assert task.model_copy(update={"input": sized(size).input}) == sized(size)


async def test_the_limit_counts_bytes_and_not_characters(world: World) -> None:
    wide = a_task(input=AgentInput(request="世" * (MAX_INLINE_BYTES // 3)))
    await send_tasks(dispatch(wide), world.resources)
    [message] = world.bus.taken("research-tasks")
    assert isinstance(AgentTask.model_validate_json(message.body).input, ArtifactRef)


async def test_an_artifact_store_that_does_not_answer_is_an_error_so_that_all_is_sent_again(world: World) -> None:
    class BrokenArtifacts:
        async def put(self, content: bytes, content_type: str, *, run: str) -> ArtifactRef:
            raise StoreUnavailable("down")

    with pytest.raises(StoreUnavailable):
        await send_tasks(dispatch(sized(MAX_INLINE_BYTES + 1)), world.but(artifacts=BrokenArtifacts()))


async def test_nothing_to_send_sends_nothing(world: World) -> None:
    assert (await send_tasks(dispatch(), world.resources)).rejected == ()


def test_the_activities_bear_their_durable_names(world: World) -> None:
    builders = orchestration_activities({}, world.resources)._function_builders
    made = {builder.build().get_function_name() for builder in builders}
    assert {"begin_run", "dispatch_agents", "record_run"} <= made


async def test_an_agent_whose_circuit_is_open_is_refused_with_the_time_to_try_again_and_the_others_are_asked(
    world: World,
) -> None:
    for _ in range(5):
        await world.resources.circuits.failed("agent.research", "broken")
    sent = await send_tasks(dispatch(a_task("research"), a_task("writer")), world.resources)
    [rejection] = sent.rejected
    assert (rejection.step_id, rejection.error.type) == ("research", "CircuitIsOpen")
    assert "try again at 2026-01-01T12:01:00" in rejection.error.message
    assert (len(world.bus.taken("research-tasks")), len(world.bus.taken("writer-tasks"))) == (0, 1)


async def test_after_the_pause_one_task_of_a_fan_out_is_sent_as_the_probe(world: World) -> None:
    for _ in range(5):
        await world.resources.circuits.failed("agent.research", "broken")
    world.clock.advance(timedelta(seconds=60))
    tasks = [a_task("research", step_id=f"s{number}") for number in range(4)]
    sent = await send_tasks(dispatch(*tasks), world.resources)
    assert [rejection.step_id for rejection in sent.rejected] == ["s1", "s2", "s3"]
    assert len(world.bus.taken("research-tasks")) == 1


async def test_a_probe_that_could_not_be_sent_lets_another_go_after_a_pause(world: World) -> None:
    for _ in range(5):
        await world.resources.circuits.failed("agent.research", "broken")
    world.clock.advance(timedelta(seconds=60))
    with pytest.raises(BusUnavailable):
        await send_tasks(dispatch(a_task("research")), world.but(bus=BrokenBus(BusUnavailable("down"))))
    world.clock.advance(timedelta(seconds=60))
    assert (await send_tasks(dispatch(a_task("research")), world.resources)).rejected == ()


# -- recording --------------------------------------------------------------------------------------------------


async def test_an_end_that_no_other_try_can_record_is_returned_and_not_raised(world: World) -> None:
    done = RunUpdate(task_id="nothing", status=RunStatus.COMPLETED, result=documents.a_run_result())
    recorded = await record(done, world.resources)
    assert recorded.refused is not None
    assert recorded.refused.type == "NotFound"


async def test_a_run_that_was_cancelled_meanwhile_stays_so(world: World) -> None:
    await world.store.create_run(documents.a_run())
    await world.store.advance_run("run-1", RunStatus.CANCELLED, now=after(1))
    done = RunUpdate(task_id="run-1", status=RunStatus.COMPLETED, result=documents.a_run_result())
    assert await record(done, world.resources) == Recorded()
    assert (await world.record()).run.status is RunStatus.CANCELLED


async def test_a_store_that_does_not_answer_is_raised_so_that_the_activity_is_tried_again(world: World) -> None:
    store = FlakyStore(world.store, {"advance_run": [StoreUnavailable("down")]})
    with pytest.raises(StoreUnavailable):
        await record(RunUpdate(task_id="run-1", status=RunStatus.COMPLETED), world.but(store=store))
