"""Going on from an earlier sequence: what was made is not made again, and what cannot be taken over is refused."""

from typing import Any

import pytest

from orchestrations.activities import begin_recorded
from orchestrations.calls import BeginRun, Begun
from orchestrations.requests import SequentialRequest
from orchestrations.resuming import reused, with_earlier
from orchestrations.sequential import sequential
from orchestrations.starter import run_document, start_run
from shared.contracts import RunResult
from shared.errors import InvalidRequest
from shared.state.documents import RunDocument
from shared.status import RunStatus
from tests.support.app_world import World
from tests.support.documents import NOW, a_card, a_claim, a_result, a_run, a_run_result
from tests.support.fake_orchestration import FakeOrchestration

AGENTS = {name: a_card(name) for name in ("research", "writer", "editor")}
ASKED = SequentialRequest(request={"topic": "tides"}, agents=("research", "writer", "editor"))


class NoHub:
    """A task hub that takes everything."""

    async def exists(self, instance_id: str) -> bool:
        return False

    async def schedule(self, orchestrator: str, instance_id: str, given: Any) -> None:
        pass


async def an_earlier_run(world: World, task_id: str, request: SequentialRequest, *succeeded: str) -> RunDocument:
    """A run that failed after these steps had succeeded."""
    run = run_document(task_id, request, now=NOW)
    await world.store.create_run(run)
    for step in succeeded:
        await world.store.claim_step(a_claim(step, task_id=task_id))
        result = a_result(f"{step}'s in {task_id}")
        await world.store.record_step(task_id, step, owner="first", result=result, now=NOW)
    await world.store.advance_run(task_id, RunStatus.FAILED, now=NOW, result=a_run_result(RunStatus.FAILED))
    return run


def resuming(step: str, run: str = "old", **more: Any) -> SequentialRequest:
    return SequentialRequest.model_validate({"resume_from": {"run": run, "step": step}, **more})


async def test_what_is_left_out_is_as_it_was_in_the_earlier_run(world: World) -> None:
    await an_earlier_run(world, "old", ASKED, "research")
    request = await with_earlier(resuming("writer"), world.store)
    assert (request.agents, request.request) == (ASKED.agents, ASKED.request)
    changed = await with_earlier(resuming("writer", request="shorter", agents=["research", "writer"]), world.store)
    assert (changed.agents, changed.request) == (("research", "writer"), "shorter")


async def test_the_outputs_before_the_step_are_taken_over_and_no_others(world: World) -> None:
    await an_earlier_run(world, "old", ASKED, "research", "writer")
    taken = await reused(await with_earlier(resuming("writer"), world.store), world.store)
    assert [(each.step_id, each.output) for each in taken] == [("research", "research's in old")]


async def test_a_run_that_was_itself_resumed_can_be_resumed(world: World) -> None:
    await an_earlier_run(world, "old", ASKED, "research")
    second = await with_earlier(resuming("writer"), world.store)
    await an_earlier_run(world, "second", second, "writer")
    third = await with_earlier(resuming("editor", run="second"), world.store)
    assert [each.output for each in await reused(third, world.store)] == ["research's in old", "writer's in second"]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (resuming("writer", run="ghost"), "resume_from.run"),
        (resuming("nothing"), "resume_from.step"),
        (resuming("editor"), "resume_from.step"),
        (resuming("writer", agents=["editor", "writer"]), "resume_from.step"),
    ],
)
async def test_what_cannot_be_taken_over_is_refused_by_field(
    world: World, request_: SequentialRequest, field: str
) -> None:
    await an_earlier_run(world, "old", ASKED, "research")
    with pytest.raises(InvalidRequest) as refused:
        await start_run(request_, agents=AGENTS, orchestrations=NoHub(), resources=world.resources)
    assert refused.value.field == field


async def test_a_run_of_another_pattern_is_no_sequence_to_go_on_with(world: World) -> None:
    await world.store.create_run(a_run("old", type="parallel"))
    with pytest.raises(InvalidRequest) as refused:
        await with_earlier(resuming("writer"), world.store)
    assert refused.value.field == "resume_from.run"


async def test_a_resumed_run_is_told_what_was_made_and_asks_the_others_only(world: World) -> None:
    await an_earlier_run(world, "old", ASKED, "research")
    run = await start_run(resuming("writer"), agents=AGENTS, orchestrations=NoHub(), resources=world.resources)
    request = SequentialRequest.model_validate(run.request)
    begun = await begin_recorded(BeginRun(task_id=run.task_id, request=request), AGENTS, world.resources)
    assert [each.step_id for each in begun.reused] == ["research"]

    orchestration = FakeOrchestration(lambda ctx: sequential(ctx, request.model_dump(mode="json")), run.task_id)
    orchestration.complete("begin_run", Begun.model_validate(begun).model_dump(mode="json"))
    for step in ("writer", "editor"):
        sent = orchestration.complete("dispatch_agents", {"rejected": []})
        assert [each["step_id"] for each in sent["steps"]] == [step]
        assert sent["inputs"][0]["earlier"][0]["output"] == "research's in old"
        orchestration.raise_event(f"agent-reply-{step}", a_result(step).model_dump(mode="json"))
    orchestration.complete("record_run")
    result = RunResult.model_validate(orchestration.result)
    assert result.status is RunStatus.COMPLETED
    assert [(line.step_id, line.cause) for line in result.account] == [
        ("research", "taken over from run old"),
        ("writer", None),
        ("editor", None),
    ]
