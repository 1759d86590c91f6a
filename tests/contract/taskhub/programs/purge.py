"""Purging: one instance, a family, and whatever a filter takes."""

from datetime import UTC, datetime, timedelta

from durabletask.client import OrchestrationStatus

from tests.contract.taskhub.programs.common import chain, failing, nothing, waiting
from tests.contract.taskhub.programs.sub_orchestrations import parent_of_named
from tests.support.conformance.catalog import program
from tests.support.conformance.run import Run


@program()
async def purging_one(run: Run) -> None:
    await run.go(chain, 1)
    result = await run.client.purge_orchestration(run.id())
    run.note("purged", [result.deleted_instance_count, result.is_complete])
    run.note("again", (await run.client.purge_orchestration(run.id())).deleted_instance_count)


@program()
async def purging_one_that_runs(run: Run) -> None:
    await run.start(waiting, "go")
    await run.says("waiting")
    run.note("purged", (await run.client.purge_orchestration(run.id())).deleted_instance_count)
    await run.client.raise_orchestration_event(run.id(), "go")
    await run.finished()


@program()
async def purging_nobody(run: Run) -> None:
    run.note("purged", (await run.client.purge_orchestration(run.id("nobody"))).deleted_instance_count)


@program()
async def an_id_is_free_after_the_purge(run: Run) -> None:
    await run.go(nothing, "first")
    await run.client.purge_orchestration(run.id())
    await run.go(nothing, "second")


@program()
async def purging_the_parent_alone(run: Run) -> None:
    await run.go(parent_of_named, ["chain", 1, run.id("child")])
    run.note("purged", (await run.client.purge_orchestration(run.id(), recursive=False)).deleted_instance_count)
    run.watch(run.id("child"))


@program()
async def purging_the_whole_family(run: Run) -> None:
    await run.go(parent_of_named, ["parent_of", ["chain", 1], run.id("child")])
    run.note("purged", (await run.client.purge_orchestration(run.id(), recursive=True)).deleted_instance_count)
    run.watch(run.id("child"))


@program(alone=True)
async def purging_by_status(run: Run) -> None:
    await run.go(nothing, 1, name="done")
    await run.go(failing, "bang", name="failed")
    await run.start(waiting, "go", name="running")
    await run.says("waiting", run.id("running"))
    result = await run.client.purge_orchestrations_by(runtime_status=[OrchestrationStatus.FAILED])
    run.note("failed", result.deleted_instance_count)
    run.note("all", (await run.client.purge_orchestrations_by()).deleted_instance_count)
    await run.client.raise_orchestration_event(run.id("running"), "go")
    await run.finished(run.id("running"))


@program(alone=True)
async def purging_by_time(run: Run) -> None:
    early = datetime.now(UTC) - timedelta(hours=1)
    for number in range(3):
        await run.go(nothing, number, name=str(number))
    result = await run.client.purge_orchestrations_by(created_time_to=early)
    run.note("before", result.deleted_instance_count)
    state = await run.client.get_orchestration_state(run.id("1"))
    assert state is not None
    middle = state.created_at.replace(tzinfo=UTC)
    result = await run.client.purge_orchestrations_by(created_time_from=early, created_time_to=middle)
    run.note("up to the second", result.deleted_instance_count)
    result = await run.client.purge_orchestrations_by(created_time_from=middle)
    run.note("from the second on", result.deleted_instance_count)
