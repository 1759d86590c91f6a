"""Rewinding what failed, and restarting what has finished."""

from typing import Any

from durabletask import task

from tests.contract.taskhub.programs.common import Steps, attempt, chain, failing, flaky, nothing, waiting
from tests.contract.taskhub.programs.sub_orchestrations import flaky_child
from tests.support.conformance.catalog import activity, orchestrator, program
from tests.support.conformance.run import Run


@activity
def how_often(_: task.ActivityContext, key: str) -> int:
    return attempt(key)


@orchestrator
def half_way(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    before = yield ctx.call_activity(how_often, input=f"{asked[0]}-before")
    result = yield ctx.call_activity(flaky, input=asked)
    return [before, result]


@program()
async def rewinding_runs_only_what_failed(run: Run) -> None:
    await run.go(half_way, [run.nonce, 1])
    await run.client.rewind_orchestration(run.id(), reason="the service is back")
    await run.recorded("executionRewound")
    await run.finished()


@program()
async def rewinding_twice(run: Run) -> None:
    await run.go(half_way, [run.nonce, 2])
    for times in (1, 2):
        await run.client.rewind_orchestration(run.id())
        await run.recorded("executionRewound", times=times)
        await run.finished()


@orchestrator
def parent_of_flaky(ctx: task.OrchestrationContext, asked: list[Any]) -> Steps:
    result = yield ctx.call_sub_orchestrator(flaky_child, input=asked, instance_id=f"{ctx.instance_id}-child")
    return result


@program()
async def rewinding_reaches_the_children(run: Run) -> None:
    await run.go(parent_of_flaky, [run.nonce, 1])
    await run.client.rewind_orchestration(run.id(), reason="again")
    await run.recorded("executionRewound")
    await run.finished()


@program()
async def rewinding_a_child_that_was_purged(run: Run) -> None:
    await run.go(parent_of_flaky, [run.nonce, 1])
    await run.client.purge_orchestration(f"{run.id()}-child")
    await run.client.rewind_orchestration(run.id())
    await run.recorded("executionRewound")
    await run.finished()


@program()
async def rewinding_what_cannot_be_rewound(run: Run) -> None:
    await run.go(nothing, 1)
    await run.note_refusal("completed", run.client.rewind_orchestration(run.id()))
    await run.note_refusal("nobody", run.client.rewind_orchestration(run.id("nobody")))


@program()
async def rewinding_one_that_runs(run: Run) -> None:
    await run.start(waiting, "go")
    await run.says("waiting")
    await run.note_refusal("running", run.client.rewind_orchestration(run.id()))
    await run.client.raise_orchestration_event(run.id(), "go")
    await run.finished()


@program()
async def restarting_under_the_same_id(run: Run) -> None:
    await run.go(chain, 2)
    again = await run.client.restart_orchestration(run.id())
    run.note("same id", again == run.id())
    await run.finished()


@program()
async def restarting_under_a_new_id(run: Run) -> None:
    await run.go(chain, 2)
    again = await run.client.restart_orchestration(run.id(), restart_with_new_instance_id=True)
    run.watch(again)
    run.note("same id", again == run.id())
    await run.finished(again)


@program()
async def restarting_one_that_failed(run: Run) -> None:
    await run.go(failing, "bang")
    await run.client.restart_orchestration(run.id())
    await run.finished()


@program()
async def restarting_with_tags_and_version(run: Run) -> None:
    await run.go(nothing, "kept", tags={"team": "content"}, version="1.2")
    await run.client.restart_orchestration(run.id())
    await run.finished()


@program()
async def restarting_what_cannot_be_restarted(run: Run) -> None:
    await run.start(waiting, "go")
    await run.says("waiting")
    await run.note_refusal("running", run.client.restart_orchestration(run.id()))
    await run.note_refusal("nobody", run.client.restart_orchestration(run.id("nobody")))
    await run.client.raise_orchestration_event(run.id(), "go")
    await run.finished()
