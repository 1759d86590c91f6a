"""`docs/state.md` shows the documents that the app writes and the containers that it has."""

import json
import re
from pathlib import Path

from shared.state.cosmos_documents import MAX_EVENT_BYTES, STEP_GRACE
from tests.support.state_examples import examples
from tests.unit.test_cosmos_definitions import DEFINITIONS

PAGE = (Path(__file__).parents[2] / "docs" / "state.md").read_text(encoding="utf-8")


async def test_the_documents_on_the_page_are_those_that_are_written(tmp_path: Path) -> None:
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
    assert {document["kind"]: document for document in shown} == await examples(tmp_path)


def test_the_containers_on_the_page_are_those_that_are_defined() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(/\w+)` \| [^|]+ \| [^|]+ \| ([^|]+) \|$", PAGE, re.MULTILINE)
    described = {name: (key, set(re.findall(r"`(\w+)`", paths))) for name, key, paths in rows}
    assert described == {
        each["name"]: (
            each["partitionKey"],
            {path["path"].split("/")[1] for path in each["indexingPolicy"]["includedPaths"]},
        )
        for each in DEFINITIONS["containers"]
    }


def test_the_limits_on_the_page_are_the_limits() -> None:
    assert f"over {MAX_EVENT_BYTES // 1024} KiB" in PAGE
    assert f"{STEP_GRACE.days} days longer" in PAGE
