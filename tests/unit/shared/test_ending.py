"""The end of a run is told once, as its record says it, however often and by whomever it is recorded."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from shared.contracts import ErrorInfo, Usage
from shared.ending import advance
from shared.errors import IllegalTransition
from shared.status import RunStatus
from shared.telemetry import names
from shared.telemetry.attributes import (
    COST_USD,
    ERROR_TYPE,
    FAULT_DOMAIN,
    INPUT_TOKENS,
    OPERATION_NAME,
    OUTPUT_TOKENS,
    PATTERN,
    STATUS,
    TASK_ID,
    WORKFLOW,
    WORKFLOW_NAME,
)
from tests.support.app_world import World, make_world
from tests.support.documents import NOW, a_run, a_run_result
from tests.support.kept_telemetry import KeptTelemetry

BEGAN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ENDED = a_run_result(RunStatus.COMPLETED).model_copy(
    update={"usage": Usage(input_tokens=70, output_tokens=7, cost_usd=0.5, model="m")}
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with make_world(tmp_path) as world:
        await world.store.create_run(a_run(status=RunStatus.RUNNING, traceparent=BEGAN))
        world.clock.move_to(NOW + timedelta(seconds=9))
        yield world


async def test_the_end_leaves_once_with_what_the_record_says(world: World) -> None:
    kept = KeptTelemetry()
    resources = world.but(telemetry=kept)
    for _ in range(3):
        await advance("run-1", RunStatus.COMPLETED, resources, result=ENDED)
        world.clock.move_to(world.clock.now() + timedelta(seconds=1))
    whole = kept.span_named("invoke_workflow content")
    assert whole.parent is not None
    assert f"{whole.parent.span_id:016x}" == BEGAN[36:52]
    assert (whole.end_time or 0) - (whole.start_time or 0) == 9 * 10**9
    assert whole.attributes == {
        TASK_ID: "run-1",
        PATTERN: "sequential",
        WORKFLOW: "content",
        STATUS: "completed",
        OPERATION_NAME: "invoke_workflow",
        WORKFLOW_NAME: "content",
        INPUT_TOKENS: 70,
        OUTPUT_TOKENS: 7,
        COST_USD: 0.5,
    }
    about = {PATTERN: "sequential", WORKFLOW: "content", STATUS: "completed"}
    assert kept.measured() == {names.RUN_DURATION.name: [(about, 9.0)]}


async def test_a_run_that_goes_on_tells_nothing(world: World) -> None:
    kept = KeptTelemetry()
    await advance("run-1", RunStatus.CANCELLING, world.but(telemetry=kept))
    assert (kept.spans, kept.measured()) == ([], {})


async def test_an_end_that_is_refused_tells_nothing(world: World) -> None:
    kept = KeptTelemetry()
    await advance("run-1", RunStatus.COMPLETED, world.resources, result=ENDED)
    with pytest.raises(IllegalTransition):
        await advance("run-1", RunStatus.FAILED, world.but(telemetry=kept))
    assert (kept.spans, kept.measured()) == ([], {})


async def test_a_run_that_failed_says_of_what(world: World) -> None:
    kept = KeptTelemetry()
    error = ErrorInfo(type="NoQuorum", message="nobody voted")
    failed = a_run_result(RunStatus.FAILED).model_copy(update={"error": error})
    await advance("run-1", RunStatus.FAILED, world.but(telemetry=kept), result=failed)
    attributes = kept.span_named("invoke_workflow content").attributes or {}
    assert (attributes[ERROR_TYPE], attributes[FAULT_DOMAIN]) == ("NoQuorum", "agent")
