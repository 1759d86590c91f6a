"""Cancelling a run and undoing what it did: nothing more is begun, who works is waited for, undos go in reverse."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from agents.outcomes import Unwanted
from orchestrations.calls import PlanUndo, RunUpdate, UndoPlan
from orchestrations.cancelling import cancel
from orchestrations.compensation import cancel_run
from orchestrations.door import check_request
from orchestrations.requests import SequentialRequest
from orchestrations.starter import run_document
from orchestrations.undo_plan import plan_undo
from shared import names
from shared.contracts import RunResult
from shared.errors import Conflict, InvalidRequest, NotFound, TaskHubUnavailable
from shared.status import RunStatus, run_is_over
from tests.support.app_world import World, a_runner, an_agent, make_world
from tests.support.documents import NOW, a_card, a_claim, a_failure, a_result, a_run, a_run_result, a_task, after
from tests.support.fake_orchestration import FakeOrchestration
from tests.support.pattern_run import PatternRun

BOOKING = {
    "pattern": "sequential",
    "request": "A trip",
    "agents": [
        {"agent": "research", "undo": "archiver"},
        {"agent": "writer", "undo": "notifier"},
        "editor",
        {"agent": "publisher", "undo": "archiver"},
    ],
}
CARDS = {name: a_card(name) for name in ("research", "writer", "editor", "publisher", "archiver", "notifier")}


class Hub:
    """A task hub that notes what it is asked for, or does not answer."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.away = False

    async def schedule(self, orchestrator: str, instance_id: str, given: JsonValue) -> None:
        self._note("schedule", instance_id)

    async def terminate(self, instance_id: str) -> None:
        self._note("terminate", instance_id)

    def _note(self, what: str, instance_id: str) -> None:
        if self.away:
            raise TaskHubUnavailable("away")
        self.asked.append((what, instance_id))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with make_world(tmp_path) as made:
        yield made


async def begun(world: World, **changes: Any) -> None:
    """A run of `BOOKING` whose research and writer have answered, and whose editor is at work."""
    request = SequentialRequest.model_validate(BOOKING | changes)
    await world.store.create_run(run_document("run-1", request, now=NOW))
    await world.store.advance_run("run-1", RunStatus.RUNNING, now=NOW)
    for place, step in enumerate(("research", "writer"), start=1):
        await world.store.claim_step(a_claim(step, owner=step))
        await world.store.record_step("run-1", step, owner=step, result=a_result(f"{step}'s"), now=after(place))
    await world.store.claim_step(a_claim("editor", owner="editor", at=3))


async def plan(world: World, occasion: str) -> UndoPlan:
    asked = PlanUndo.model_validate({"task_id": "run-1", "occasion": occasion})
    return await plan_undo(asked, CARDS, world.resources)


# -- the request ------------------------------------------------------------------------------------------------


async def test_a_run_is_told_to_stop_before_its_orchestrations_are(world: World) -> None:
    await begun(world)
    hub = Hub()
    run = await cancel("run-1", orchestrations=hub, resources=world.resources)
    assert run.status is RunStatus.CANCELLING
    assert hub.asked == [("schedule", names.cancel_instance("run-1")), ("terminate", "run-1")]


async def test_cancelling_again_is_cancelling_once_and_finishes_what_was_broken_off(world: World) -> None:
    await begun(world)
    hub = Hub()
    hub.away = True
    with pytest.raises(TaskHubUnavailable):
        await cancel("run-1", orchestrations=hub, resources=world.resources)
    hub.away = False
    for _ in range(2):
        assert (await cancel("run-1", orchestrations=hub, resources=world.resources)).status is RunStatus.CANCELLING
    assert [what for what, _ in hub.asked] == ["schedule", "terminate"] * 2


async def test_a_run_that_is_cancelled_stays_so_and_one_that_ended_otherwise_is_a_conflict(world: World) -> None:
    hub = Hub()
    for status in [status for status in RunStatus if run_is_over(status)]:
        await world.store.create_run(a_run(status.value))
        await world.store.advance_run(status.value, status, now=NOW, result=a_run_result(status))
        if status is RunStatus.CANCELLED:
            assert (await cancel(status.value, orchestrations=hub, resources=world.resources)).status is status
        else:
            with pytest.raises(Conflict, match=status.value):
                await cancel(status.value, orchestrations=hub, resources=world.resources)
    assert hub.asked == [("terminate", "cancelled")], "in case that was all that was left to do"


async def test_a_task_that_there_is_not_cannot_be_cancelled(world: World) -> None:
    with pytest.raises(NotFound, match="no task nothing"):
        await cancel("nothing", orchestrations=Hub(), resources=world.resources)


async def test_a_single_step_without_an_orchestration_is_cancelled_at_once(world: World) -> None:
    await world.store.create_run(a_run(type="agent", steps=("tester",)))
    hub = Hub()
    run = await cancel("run-1", orchestrations=hub, resources=world.resources)
    assert (run.status, hub.asked) == (RunStatus.CANCELLED, [])
    assert run.result is not None
    assert [(line.step_id, line.outcome) for line in run.result.account] == [("tester", "skipped")]


async def test_a_queued_step_of_a_run_that_is_being_cancelled_costs_nothing(world: World) -> None:
    await begun(world)
    await cancel("run-1", orchestrations=Hub(), resources=world.resources)
    queued = a_task("tester", step_id="publisher")
    outcome = await a_runner(an_agent(), world.resources).run(queued, owner="late", enqueued_at=NOW)
    assert isinstance(outcome, Unwanted)
    assert world.model.requests == []


# -- what is undone ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("occasion", ["on_cancel", "on_failure"])
@pytest.mark.parametrize("asked", ["never", "on_cancel", "on_failure", "always"])
async def test_what_was_done_is_undone_when_the_request_asks_for_it(world: World, asked: str, occasion: str) -> None:
    await begun(world, compensate=asked)
    undo = (await plan(world, occasion)).undo
    assert bool(undo) is (asked in (occasion, "always"))


async def test_finished_steps_are_undone_the_last_first_and_no_others(world: World) -> None:
    await begun(world, compensate="always")
    made = await plan(world, "on_cancel")
    assert [(step.step_id, step.undo, step.output) for step in made.undo] == [
        ("writer", "notifier", "writer's"),
        ("research", "archiver", "research's"),
    ]
    assert set(made.agents) == {"notifier", "archiver"}
    assert [(line.step_id, line.outcome.value) for line in made.account] == [
        ("research", "answered"),
        ("writer", "answered"),
        ("editor", "skipped"),
        ("publisher", "skipped"),
    ]


async def test_a_step_that_is_at_work_is_waited_for_only_if_it_would_have_to_be_undone(world: World) -> None:
    await begun(world, compensate="always")
    assert (await plan(world, "on_cancel")).at_work == (), "the editor has no undo"
    await world.store.claim_step(a_claim("publisher", owner="publisher"))
    assert (await plan(world, "on_cancel")).at_work == ("publisher",)
    world.clock.advance(timedelta(hours=1))
    assert (await plan(world, "on_cancel")).at_work == (), "its runner is gone"


async def test_a_node_that_was_asked_again_is_undone_each_time(world: World) -> None:
    await begun(world, compensate="always")
    await world.store.claim_step(a_claim("writer-2", owner="again", at=4))
    await world.store.record_step("run-1", "writer-2", owner="again", result=a_result("second"), now=after(5))
    assert [step.step_id for step in (await plan(world, "on_cancel")).undo] == ["writer-2", "writer", "research"]


# -- the orchestrations -----------------------------------------------------------------------------------------


async def test_a_cancelled_run_undoes_and_records_its_account_with_the_undos(world: World) -> None:
    await begun(world, compensate="always")
    made = (await plan(world, "on_cancel")).model_dump(mode="json")
    instance = names.cancel_instance("run-1")
    orchestration = FakeOrchestration(lambda ctx: cancel_run(ctx, {"task_id": "run-1"}), instance)
    orchestration.complete("plan_undo", made | {"at_work": ["publisher"]})
    orchestration.pass_time(timedelta(seconds=5))
    orchestration.complete("plan_undo", made)
    for step, result in (("writer", a_failure()), ("research", a_result("undone"))):
        sent = orchestration.complete("dispatch_agents", {})
        assert (sent["task_id"], sent["reply_to"]) == ("run-1", instance)
        [queued] = sent["steps"]
        assert queued["step_id"] == f"Undo.{step}"
        assert sent["inputs"][0]["earlier"][0]["output"] == f"{step}'s"
        orchestration.raise_event(queued["reply_event"], result.model_dump(mode="json"))
    update = RunUpdate.model_validate(orchestration.complete("record_run"))
    assert (update.task_id, update.status) == ("run-1", RunStatus.CANCELLED)
    assert update.result is not None
    assert [(line.step_id, line.outcome.value) for line in update.result.account][-2:] == [
        ("Undo.writer", "failed"),
        ("Undo.research", "answered"),
    ]
    assert orchestration.over


def failed_run(**changes: Any) -> PatternRun:
    run = PatternRun(BOOKING | changes, cards=CARDS)
    run.answer("research")
    run.answer("writer", a_failure())
    return run


def test_a_run_that_failed_is_compensated_before_its_end_is_recorded() -> None:
    run = failed_run(compensate="on_failure")
    assert run.updates == []
    undo = {"step_id": "research", "agent": "research", "undo": "archiver", "output": "made"}
    done = {"undo": [undo], "agents": {"archiver": CARDS["archiver"].model_dump(mode="json")}, "request": "A trip"}
    run.root.complete("plan_undo", done)
    run.pass_time(0)
    run.answer("Undo.research")
    assert run.result.status is RunStatus.FAILED
    assert run.outcomes() == {
        "research": "answered",
        "writer": "failed",
        "editor": "skipped",
        "publisher": "skipped",
        "Undo.research": "answered",
    }
    assert isinstance(run.updates[-1].result, RunResult)


@pytest.mark.parametrize("compensate", ["never", "on_cancel"])
def test_a_run_that_failed_undoes_nothing_that_its_request_does_not_ask_for(compensate: str) -> None:
    assert failed_run(compensate=compensate).result.status is RunStatus.FAILED


# -- the door ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"agents": [{"agent": "research", "undo": "nobody"}]}, "agents.0.undo"),
        (
            {"agents": [{"pattern": "parallel", "agents": ["writer"], "compensate": "always"}]},
            "agents.0.compensate",
        ),
    ],
)
def test_what_cannot_be_undone_as_asked_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_request(SequentialRequest.model_validate(BOOKING | changes), CARDS)
    assert refused.value.field == field


def test_the_agents_that_undo_are_among_those_a_run_may_ask() -> None:
    assert set(SequentialRequest.model_validate(BOOKING).may_ask(CARDS)) == set(CARDS)
