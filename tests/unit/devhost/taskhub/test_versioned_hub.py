"""Orchestrations with versions on the durable task hub: which it gives, and which it runs."""

import logging
from collections.abc import Generator
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import pytest
from durabletask import task
from durabletask.client import OrchestrationStatus

from devhost.taskhub.versioning import VersionFailure, Versioning, VersionMatch
from tests.support.durable_hub import durable_hub

pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads was called:DeprecationWarning")

type Steps = Generator[task.Task[Any], Any, Any]


def make_app() -> df.DFApp:
    app = df.DFApp()

    @app.orchestration_trigger(context_name="ctx")
    def version(ctx: task.OrchestrationContext, _: None) -> Any:
        return ctx.version

    @app.orchestration_trigger(context_name="ctx")
    def versions(ctx: task.OrchestrationContext, _: None) -> Steps:
        given = yield ctx.call_sub_orchestrator("version")
        own = yield ctx.call_sub_orchestrator("version", version="1.0")
        return [ctx.version, given, own]

    return app


@pytest.mark.parametrize(("asked", "seen"), [(None, '["2.0", "2.0", "1.0"]'), ("1.5", '["1.5", "2.0", "1.0"]')])
async def test_what_names_no_version_gets_that_of_the_host(tmp_path: Path, asked: str | None, seen: str) -> None:
    async with durable_hub(make_app(), tmp_path, versioning=Versioning("2.0")) as hub:
        assert await hub.output("versions", version=asked) == seen


async def test_without_a_version_of_the_host_everything_runs(tmp_path: Path) -> None:
    async with durable_hub(make_app(), tmp_path) as hub:
        assert await hub.output("version", version="7") == '"7"'
        assert await hub.output("version") in (None, "null")


async def test_a_newer_one_waits_for_a_newer_host(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with durable_hub(make_app(), tmp_path, versioning=Versioning("1.0")) as hub:
        with caplog.at_level(logging.WARNING, logger="devhost"):
            await hub.client.schedule_new_orchestration("version", instance_id="one", version="2.0")
            await hub.idle()
        state = await hub.client.get_orchestration_state("one")
        assert state is not None
        assert state.runtime_status is OrchestrationStatus.PENDING
        assert "'one' waits until a host may run it: its version '2.0' is newer than the version '1.0'" in caplog.text
    async with durable_hub(make_app(), tmp_path, versioning=Versioning("2.0")) as hub:
        assert (await hub.finished("one")).serialized_output == '"2.0"'


async def test_one_that_waits_for_another_host_can_be_terminated(tmp_path: Path) -> None:
    async with durable_hub(make_app(), tmp_path, versioning=Versioning("1.0")) as hub:
        await hub.client.schedule_new_orchestration("version", instance_id="one", version="2.0")
        await hub.idle()
        await hub.client.terminate_orchestration("one", output='"enough"')
        state = await hub.finished("one")
        assert (state.runtime_status, state.serialized_output) == (OrchestrationStatus.TERMINATED, '"enough"')


async def test_a_mismatch_fails_at_once_where_it_is_to_fail(tmp_path: Path) -> None:
    strict = Versioning("2.0", VersionMatch.STRICT, VersionFailure.FAIL)
    async with durable_hub(make_app(), tmp_path, versioning=strict) as hub:
        started = await hub.client.schedule_new_orchestration("version", version="1.0")
        state = await hub.finished(started)
        assert state.runtime_status is OrchestrationStatus.FAILED
        assert state.failure_details is not None
        assert state.failure_details.error_type == "VersionMismatch"
        assert not hub.app.calls
