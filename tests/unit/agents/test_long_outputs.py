"""Long outputs travel by reference: kept once as artifacts, given in full to whoever works on them."""

from pathlib import Path
from typing import Any

import pytest

from agents.context import AgentContext
from agents.outcomes import Answered
from agents.output import INLINE_BYTES
from agents.spec import AgentSpec
from shared.artifacts.files import FileArtifacts
from shared.artifacts.references import REFERENCE
from shared.contracts import AgentInput, AgentResult, AgentTask, ArtifactRef
from shared.errors import ConfigurationError, StoreUnavailable
from shared.resources import Resources
from shared.status import StepStatus
from tests.support.app_world import USAGE, World, a_runner, an_agent
from tests.support.documents import a_run, a_task, after


@pytest.fixture(autouse=True)
async def _the_run(world: World) -> None:
    await world.store.create_run(a_run(steps=("tester", "next")))


def task(**changes: Any) -> AgentTask:
    return a_task("tester", **changes)


async def answered(
    world: World, spec: AgentSpec, given: AgentTask | None = None, *, resources: Resources | None = None
) -> AgentResult:
    outcome = await a_runner(spec, resources or world.resources).run(
        given or task(), owner="delivery-1", enqueued_at=after(-3)
    )
    assert isinstance(outcome, Answered), outcome
    return outcome.result


@pytest.mark.parametrize("output", ["x" * (INLINE_BYTES + 1), {"list": ["ä" * 100] * 200}], ids=["text", "json"])
async def test_a_long_output_is_kept_as_an_artifact_and_the_next_agent_is_given_its_content(
    world: World, output: Any
) -> None:
    async def maker(context: AgentContext, given: AgentInput) -> Any:
        return output

    async def reader(context: AgentContext, given: AgentInput) -> Any:
        return given.earlier[0].output == output

    made = await answered(world, an_agent(maker))
    assert len(made.model_dump_json()) < 1000
    earlier = [{"step_id": "tester", "agent": "tester", "output": made.output}]
    following = task(step_id="next", input={"request": "r", "earlier": earlier})
    assert (await answered(world, an_agent(reader), given=following)).output is True


async def test_an_output_of_exactly_the_limit_is_kept_inline(world: World) -> None:
    async def maker(context: AgentContext, given: AgentInput) -> Any:
        return "x" * (INLINE_BYTES - 2)

    assert (await answered(world, an_agent(maker))).output == "x" * (INLINE_BYTES - 2)


async def test_a_reference_in_a_request_is_data_and_nothing_is_read_for_it(world: World) -> None:
    kept = await world.resources.artifacts.put(b"secret", "text/plain", run="another")

    async def reader(context: AgentContext, given: AgentInput) -> Any:
        return str(given.request)

    reference = {REFERENCE: kept.model_dump(mode="json")}
    assert "secret" not in str(
        (await answered(world, an_agent(reader), given=task(input={"request": reference}))).output
    )


@pytest.mark.parametrize("reference", [None, "x", {"address": 5}, {"address": "run-1/sha256:0", "size": 1}])
async def test_what_only_looks_like_a_reference_is_a_failure_that_is_recorded(world: World, reference: Any) -> None:
    async def reader(context: AgentContext, given: AgentInput) -> Any:
        return None

    earlier = [{"step_id": "one", "agent": "tester", "output": {REFERENCE: reference}}]
    result = await answered(world, an_agent(reader), given=task(input={"request": "r", "earlier": earlier}))
    assert result.status is StepStatus.FAILED
    assert result.error is not None
    assert result.error.type == "InvalidMessage"


async def test_a_long_output_whose_store_refuses_it_is_recorded_with_what_it_used(world: World) -> None:
    class Closed(FileArtifacts):
        async def put(self, content: bytes, content_type: str, *, run: str) -> ArtifactRef:
            raise ConfigurationError("the container refused this app's identity")

    async def maker(context: AgentContext, given: AgentInput) -> Any:
        await context.ask("s", "u")
        return "x" * (INLINE_BYTES + 1)

    result = await answered(world, an_agent(maker), resources=world.but(artifacts=Closed(Path("unused"))))
    assert (result.status, result.usage) == (StepStatus.FAILED, USAGE)
    assert result.error is not None
    assert result.error.type == "ConfigurationError"


async def test_a_store_that_comes_back_in_time_costs_no_second_model_call(world: World, tmp_path: Path) -> None:
    class Hesitant(FileArtifacts):
        refusals = 2

        async def put(self, content: bytes, content_type: str, *, run: str) -> ArtifactRef:
            if self.refusals:
                self.refusals -= 1
                raise StoreUnavailable("not now")
            return await super().put(content, content_type, run=run)

    async def maker(context: AgentContext, given: AgentInput) -> Any:
        await context.ask("s", "u")
        return "x" * (INLINE_BYTES + 1)

    store = Hesitant(tmp_path / "hesitant")
    result = await answered(world, an_agent(maker), resources=world.but(artifacts=store))
    assert result.status is StepStatus.SUCCEEDED
    assert len(world.model.requests) == 1
