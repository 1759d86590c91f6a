"""An exported run: whole, and refused once somebody changed it."""

import json
from typing import Any

import pytest

from shared.errors import InvalidRequest
from shared.state.export import export_of, read_export
from tests.support.app_world import World, make_world
from tests.support.documents import NOW
from tests.support.run_histories import RandomLife


@pytest.fixture
async def exported(tmp_path: Any) -> Any:
    async with make_world(tmp_path) as world:
        yield await _export(world)


async def _export(world: World) -> dict[str, Any]:
    life = RandomLife(world.store, 5)
    await life.begin()
    await life.go_on(30)
    log = await world.store.read_log("run-1")
    assert log is not None
    dumped: dict[str, Any] = export_of(log, NOW).model_dump(mode="json")
    return dumped


def written(export: dict[str, Any]) -> bytes:
    return json.dumps(export).encode()


async def test_a_file_is_read_as_it_was_written(exported: dict[str, Any]) -> None:
    assert read_export(written(exported)).model_dump(mode="json") == exported["log"]


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
