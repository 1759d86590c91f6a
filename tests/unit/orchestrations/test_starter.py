"""Starting a run: recorded first, scheduled once, however often and through whatever crash it is asked for."""

import asyncio
from typing import Any

import pytest
from pydantic import JsonValue

from orchestrations.requests import SequentialRequest
from orchestrations.starter import MAX_KEY, Orchestrations, asked, run_id, start_run
from shared.errors import Conflict, InvalidRequest, StoreUnavailable, TaskHubUnavailable
from shared.state.documents import RunDocument
from shared.status import RunStatus
from tests.support.app_world import FlakyStore, World
from tests.support.documents import NOW, a_card

AGENTS = {name: a_card(name) for name in ("research", "writer")}


class FakeHub:
    """A task hub that remembers what it was asked to schedule, and fails when told to."""

    def __init__(self) -> None:
        self.scheduled: dict[str, tuple[str, JsonValue]] = {}
        self.asked = 0
        self.failures: list[BaseException] = []

    async def exists(self, instance_id: str) -> bool:
        return instance_id in self.scheduled

    async def schedule(self, orchestrator: str, instance_id: str, given: JsonValue) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        self.scheduled.setdefault(instance_id, (orchestrator, given))


def a_request(topic: str = "tides") -> SequentialRequest:
    return SequentialRequest(request={"topic": topic}, agents=("research", "writer"))


async def start(world: World, hub: Orchestrations, topic: str = "tides", **more: Any) -> RunDocument:
    resources = more.pop("resources", world.resources)
    request = more.pop("request", a_request(topic))
    return await start_run(request, agents=AGENTS, workflow="content", orchestrations=hub, resources=resources, **more)


# -- a fresh start ----------------------------------------------------------------------------------------------


async def test_a_started_run_is_recorded_with_its_plan_and_scheduled_under_its_id(world: World) -> None:
    hub = FakeHub()
    run = await start(world, hub)
    assert (await world.record(run.task_id)).run == run
    assert (run.type, run.workflow, run.status) == ("sequential", "content", RunStatus.PENDING)
    assert [(step.step_id, step.name, step.agent) for step in run.plan] == [
        ("research", "research", "research"),
        ("writer", "writer", "writer"),
    ]
    assert (run.input, run.created_at) == ({"topic": "tides"}, NOW)
    assert hub.scheduled == {run.task_id: ("sequential", asked(a_request()))}


async def test_the_run_is_on_record_before_it_is_scheduled(world: World) -> None:
    """Were it second, a crash in between would leave an orchestration that nobody can look up."""

    class LookingHub(FakeHub):
        async def schedule(self, orchestrator: str, instance_id: str, given: JsonValue) -> None:
            assert (await world.record(instance_id)).run.status is RunStatus.PENDING
            await super().schedule(orchestrator, instance_id, given)

    await start(world, LookingHub())


async def test_without_a_key_every_start_is_a_run_of_its_own(world: World) -> None:
    hub = FakeHub()
    assert len({(await start(world, hub)).task_id for _ in range(5)}) == 5
    assert len(hub.scheduled) == 5


# -- idempotency ------------------------------------------------------------------------------------------------


async def test_the_same_key_gives_the_same_run_and_schedules_once(world: World) -> None:
    hub = FakeHub()
    first = await start(world, hub, idempotency_key="key")
    again = await start(world, hub, idempotency_key="key")
    assert again == first
    assert hub.asked == 1


async def test_the_same_key_long_after_gives_the_run_as_it_stands(world: World) -> None:
    hub = FakeHub()
    first = await start(world, hub, idempotency_key="key")
    await world.store.advance_run(first.task_id, RunStatus.RUNNING, now=NOW)
    hub.scheduled.clear()
    again = await start(world, hub, idempotency_key="key")
    assert (again.task_id, again.status) == (first.task_id, RunStatus.RUNNING)
    assert hub.scheduled == {}


async def test_of_many_starts_with_one_key_at_once_all_get_one_run(world: World) -> None:
    hub = FakeHub()
    runs = await asyncio.gather(*(start(world, hub, idempotency_key="key") for _ in range(20)))
    assert len({run.task_id for run in runs}) == 1
    assert len(hub.scheduled) == 1


async def test_the_same_key_for_another_request_is_a_conflict_and_changes_nothing(world: World) -> None:
    hub = FakeHub()
    first = await start(world, hub, "tides", idempotency_key="key")
    with pytest.raises(Conflict, match="Idempotency-Key"):
        await start(world, hub, "volcanoes", idempotency_key="key")
    assert (await world.record(first.task_id)).run.input == {"topic": "tides"}
    assert hub.asked == 1


async def test_a_repeat_finishes_what_a_crash_between_recording_and_scheduling_left_undone(world: World) -> None:
    hub = FakeHub()
    hub.failures[:] = [asyncio.CancelledError()]
    with pytest.raises(asyncio.CancelledError):
        await start(world, hub, idempotency_key="key")
    assert hub.scheduled == {}
    run = await start(world, hub, idempotency_key="key")
    assert list(hub.scheduled) == [run.task_id]


async def test_a_repeat_after_the_hub_refused_schedules_the_run(world: World) -> None:
    hub = FakeHub()
    hub.failures[:] = [TaskHubUnavailable("silent")]
    with pytest.raises(TaskHubUnavailable):
        await start(world, hub, idempotency_key="key")
    run = await start(world, hub, idempotency_key="key")
    assert (run.status, list(hub.scheduled)) == (RunStatus.PENDING, [run.task_id])


async def test_without_a_key_a_run_that_could_not_be_scheduled_is_recorded_as_failed(world: World) -> None:
    """Nobody will repeat it, and a run that stays pending for ever is a lie."""
    hub = FakeHub()
    hub.failures[:] = [TaskHubUnavailable("silent")]
    created: list[RunDocument] = []

    class Noting(FlakyStore):
        async def create_run(self, run: RunDocument) -> bool:
            created.append(run)
            return await world.store.create_run(run)

    with pytest.raises(TaskHubUnavailable):
        await start(world, hub, resources=world.but(store=Noting(world.store, {})))
    run = (await world.record(created[0].task_id)).run
    assert run.status is RunStatus.FAILED
    assert run.result is not None
    assert run.result.error is not None
    assert run.result.error.type == "TaskHubUnavailable"


async def test_a_store_that_does_not_answer_starts_nothing(world: World) -> None:
    hub = FakeHub()
    flaky = world.but(store=FlakyStore(world.store, {"create_run": [StoreUnavailable("down")]}))
    with pytest.raises(StoreUnavailable):
        await start(world, hub, resources=flaky)
    assert hub.scheduled == {}


# -- ids --------------------------------------------------------------------------------------------------------


def test_a_key_belongs_to_its_workflow() -> None:
    assert run_id("content", "key") == run_id("content", "key") != run_id("research", "key")


@pytest.mark.parametrize("key", ["a", "a" * MAX_KEY, "Schlüssel 世界 🌊", "' or 1=1", "a/b?c#d:e@f"])
def test_any_printable_key_makes_a_legal_id(key: str) -> None:
    made = run_id("content", key)
    assert len(made) == 32
    assert made.isalnum()


@pytest.mark.parametrize("key", ["", "a" * (MAX_KEY + 1), "a\nb", "a\x00b", "\x7f", "tab\t"])
async def test_a_key_that_is_none_is_refused_by_name_and_starts_nothing(world: World, key: str) -> None:
    hub = FakeHub()
    with pytest.raises(InvalidRequest) as refused:
        await start(world, hub, idempotency_key=key)
    assert refused.value.field == "Idempotency-Key"
    assert hub.asked == 0


# -- keys in the request ----------------------------------------------------------------------------------------


async def test_a_key_in_the_request_is_as_good_as_one_beside_it(world: World) -> None:
    hub = FakeHub()
    keyed = a_request().model_copy(update={"idempotency_key": "key"})
    first = await start(world, hub, request=keyed)
    assert await start(world, hub, idempotency_key="key") == first
    assert hub.asked == 1


async def test_two_keys_that_differ_are_refused_by_field(world: World) -> None:
    hub = FakeHub()
    keyed = a_request().model_copy(update={"idempotency_key": "key"})
    with pytest.raises(InvalidRequest) as refused:
        await start(world, hub, request=keyed, idempotency_key="other")
    assert refused.value.field == "idempotency_key"
    assert hub.asked == 0


async def test_the_same_key_for_other_agents_is_a_conflict(world: World) -> None:
    hub = FakeHub()
    await start(world, hub, idempotency_key="key")
    other = SequentialRequest(request={"topic": "tides"}, agents=("research",))
    with pytest.raises(Conflict):
        await start(world, hub, request=other, idempotency_key="key")


async def test_an_unknown_agent_starts_nothing(world: World) -> None:
    hub = FakeHub()
    with pytest.raises(InvalidRequest) as refused:
        await start(world, hub, request=SequentialRequest(request="x", agents=("research", "ghost")))
    assert refused.value.field == "agents.1"
    assert hub.asked == 0
