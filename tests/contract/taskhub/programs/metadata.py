"""Custom status, tags, versions, scheduled starts, and the id reuse policy."""

from datetime import UTC, datetime, timedelta
from typing import Any

from durabletask import task
from durabletask.client import OrchestrationStatus
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.worker import VersionFailureStrategy, VersioningOptions, VersionMatchStrategy

from tests.contract.taskhub.programs.common import Steps, add_one, chain, echo, failing, nothing, waiting
from tests.support.conformance.catalog import orchestrator, program
from tests.support.conformance.run import Run


@orchestrator
def reporting(ctx: task.OrchestrationContext, statuses: list[Any]) -> Steps:
    for status in statuses:
        ctx.set_custom_status(status)
        yield ctx.call_activity(echo, input=1)
    return None


@program()
async def last_custom_status_is_kept(run: Run) -> None:
    await run.go(reporting, ["first", {"step": 2}, ["third"]])


@program()
async def custom_status_that_is_falsy(run: Run) -> None:
    await run.go(reporting, ["first", 0])


@program()
async def custom_status_of_one_that_fails(run: Run) -> None:
    await run.go(reporting, ["first", None])


@orchestrator
def status_and_end(ctx: task.OrchestrationContext, status: Any) -> str:
    ctx.set_custom_status(status)
    return "done"


@program()
async def custom_status_in_the_last_turn(run: Run) -> None:
    await run.go(status_and_end, "at the end")


@program()
async def tags_are_kept(run: Run) -> None:
    await run.go(chain, 1, tags={"team": "content", "tier": "gold"})


@orchestrator
def tagged_activity(ctx: task.OrchestrationContext, _: None) -> Steps:
    result = yield ctx.call_activity(add_one, input=1, tags={"cost": "low"})
    return result


@program()
async def tags_of_an_activity(run: Run) -> None:
    await run.go(tagged_activity)


@orchestrator
def telling_its_version(ctx: task.OrchestrationContext, child: str | None) -> Steps:
    below = None
    if child is not None:
        version = child or None
        below = yield ctx.call_sub_orchestrator(telling_its_version, version=version)
    else:
        yield ctx.call_activity(echo, input=1)
    return [ctx.version, below]


@program()
async def version_of_an_orchestration(run: Run) -> None:
    await run.go(telling_its_version, version="1.2.3")


@program()
async def version_of_a_child(run: Run) -> None:
    await run.go(telling_its_version, "2.0", version="1.0")


@program()
async def no_version(run: Run) -> None:
    await run.go(telling_its_version)


def _matching(strategy: VersionMatchStrategy) -> VersioningOptions:
    return VersioningOptions(
        version="1.5", default_version="1.5", match_strategy=strategy, failure_strategy=VersionFailureStrategy.FAIL
    )


@program(versioning=_matching(VersionMatchStrategy.NONE))
async def child_of_the_default_version(run: Run) -> None:
    await run.go(telling_its_version, "", version="1.0")


async def _of_all_versions(run: Run) -> None:
    for version in ("1.4", "1.5", "1.10", None):
        state = await run.go(nothing, version, name=str(version), version=version)
        run.note(str(version), state.runtime_status.name)


@program(versioning=_matching(VersionMatchStrategy.STRICT))
async def only_the_same_version_matches(run: Run) -> None:
    await _of_all_versions(run)


@program(versioning=_matching(VersionMatchStrategy.CURRENT_OR_OLDER))
async def the_same_and_older_versions_match(run: Run) -> None:
    await _of_all_versions(run)


@program(versioning=_matching(VersionMatchStrategy.NONE))
async def every_version_matches(run: Run) -> None:
    await _of_all_versions(run)


@program()
async def start_at_a_later_time(run: Run) -> None:
    due = datetime.now(UTC) + timedelta(seconds=1)
    await run.start(nothing, 1, start_at=due)
    state = await run.finished()
    run.note("before its time", state.last_updated_at.replace(tzinfo=UTC) < due)


@program()
async def id_of_one_that_runs(run: Run) -> None:
    await run.start(waiting, "go")
    await run.says("waiting")
    await run.note_refusal("again", run.start(nothing, 1))
    await run.client.raise_orchestration_event(run.id(), "go")
    await run.finished()


@program()
async def id_of_one_that_has_finished(run: Run) -> None:
    await run.go(nothing, "first")
    await run.note_refusal("again", run.start(nothing, "second"))
    await run.finished()


def _replacing(*statuses: OrchestrationStatus) -> pb.OrchestrationIdReusePolicy:
    return pb.OrchestrationIdReusePolicy(replaceableStatus=[each.value for each in statuses])


@program()
async def policy_that_replaces_the_finished(run: Run) -> None:
    policy = _replacing(OrchestrationStatus.COMPLETED, OrchestrationStatus.FAILED)
    for name, function, value in (("completed", nothing, 1), ("failed", failing, "bang")):
        await run.go(function, value, name=name)
        await run.go(nothing, "second", name=name, reuse_id_policy=policy)


@program()
async def policy_that_does_not_fit(run: Run) -> None:
    await run.go(nothing, "first")
    policy = _replacing(OrchestrationStatus.TERMINATED)
    await run.note_refusal("again", run.start(nothing, "second", reuse_id_policy=policy))


@program()
async def policy_does_not_fit_one_that_runs(run: Run) -> None:
    await run.start(waiting, "go")
    await run.says("waiting")
    policy = _replacing(OrchestrationStatus.COMPLETED)
    await run.note_refusal("again", run.start(nothing, "second", reuse_id_policy=policy))
    await run.client.raise_orchestration_event(run.id(), "go")
    await run.finished()


@program()
async def id_that_the_client_makes(run: Run) -> None:
    instance_id = await run.client.schedule_new_orchestration(nothing, input=1)
    run.watch(instance_id)
    await run.finished(instance_id)


@program()
async def id_with_unusual_characters(run: Run) -> None:
    await run.go(nothing, 1, name="ä b:c@d")
