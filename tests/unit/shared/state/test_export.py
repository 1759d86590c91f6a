"""An exported run: whole, and refused once somebody changed it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.artifacts.files import FileArtifacts
from shared.artifacts.references import refer
from shared.errors import InvalidRequest
from shared.state.events import EventLog
from shared.state.export import export_of, read_export, restore_artifacts
from tests.support.app_world import World, make_world
from tests.support.documents import NOW, a_claim, a_result, a_run
from tests.support.run_histories import RandomLife


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with make_world(tmp_path) as made:
        yield made


@pytest.fixture
async def exported(world: World) -> dict[str, Any]:
    return await _export(world)


async def _export(world: World) -> dict[str, Any]:
    life = RandomLife(world.store, 5)
    await life.begin()
    await life.go_on(30)
    log = await world.store.read_log("run-1")
    assert log is not None
    dumped: dict[str, Any] = (await export_of(log, NOW, world.resources.artifacts)).model_dump(mode="json")
    return dumped


def written(export: dict[str, Any]) -> bytes:
    return json.dumps(export).encode()


async def test_a_file_is_read_as_it_was_written(exported: dict[str, Any]) -> None:
    assert read_export(written(exported)).model_dump(mode="json") == exported


async def test_a_file_whose_log_or_record_somebody_changed_is_refused(exported: dict[str, Any]) -> None:
    def change(path: str, value: object) -> bytes:
        changed = json.loads(json.dumps(exported))
        *way, last = path.split(".")
        at = changed
        for part in way:
            at = at[int(part)] if part.isdecimal() else at[part]
        at[last] = value
        return written(changed)

    for path, value in (
        ("record.run.workflow", "another"),
        ("log.task_id", "run-2"),
        ("log.events.1.sequence", 9),
        ("log.events.0.event.run.task_id", "run-9"),
        ("record.steps.0.owner", "somebody else"),
    ):
        with pytest.raises(InvalidRequest, match="changed after it was written"):
            read_export(change(path, value))


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "JSON"), (b"[]", "the file"), (b'{"version": 2}', "version"), (b"\xff\xfe", "JSON"), (b"null", "the file")],
)
def test_what_is_no_export_is_refused_by_the_field(content: bytes, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        read_export(content)


# -- artifacts ----------------------------------------------------------------------------------------------------


async def a_log(world: World, *outputs: Any) -> EventLog:
    """The log of a run whose steps made `outputs`."""
    await world.store.create_run(a_run(steps=tuple(f"s{number}" for number in range(len(outputs)))))
    for number, output in enumerate(outputs):
        await world.store.claim_step(a_claim(f"s{number}"))
        await world.store.record_step("run-1", f"s{number}", owner="first", result=a_result(output=output), now=NOW)
    log = await world.store.read_log("run-1")
    assert log is not None
    return log


async def test_the_artifacts_that_a_run_refers_to_move_with_it(world: World, tmp_path: Path) -> None:
    here, there = world.resources.artifacts, FileArtifacts(tmp_path / "there")
    long = await here.put(b"a long article", "text/markdown", run="run-1")
    earlier = await here.put(b"of an earlier run", "text/plain", run="run-0")
    log = await a_log(world, refer(long), {"address": earlier.address}, "no address")
    export = read_export((await export_of(log, NOW, here)).model_dump_json().encode())
    assert await restore_artifacts(export, there) == 2
    assert await there.get(long.address) == b"a long article"
    assert await there.get(earlier.address) == b"of an earlier run"


async def test_an_artifact_that_is_gone_is_named_and_holds_up_nothing(world: World, tmp_path: Path) -> None:
    log = await a_log(world, {"address": "run-1/sha256:" + "0" * 64})
    export = read_export((await export_of(log, NOW, world.resources.artifacts)).model_dump_json().encode())
    assert [(each.content, each.missing is not None) for each in export.artifacts] == [(None, True)]
    assert await restore_artifacts(export, FileArtifacts(tmp_path / "there")) == 0


async def test_a_run_may_be_exported_without_its_artifacts(world: World) -> None:
    kept = await world.resources.artifacts.put(b"a long article", "text/markdown", run="run-1")
    assert (await export_of(await a_log(world, refer(kept)), NOW, None)).artifacts == ()


@pytest.mark.parametrize("content", ["b3RoZXI=", "no base64!", ""])
async def test_an_artifact_that_somebody_changed_in_the_file_is_refused(world: World, content: str) -> None:
    kept = await world.resources.artifacts.put(b"a long article", "text/markdown", run="run-1")
    export = (await export_of(await a_log(world, refer(kept)), NOW, world.resources.artifacts)).model_dump(mode="json")
    export["artifacts"][0]["content"] = content
    with pytest.raises(InvalidRequest, match="changed after it was written"):
        read_export(written(export))
