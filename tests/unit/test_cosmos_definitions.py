"""The containers that `infra/cosmos.json` defines are those that the app uses, indexed for what it asks."""

import json
import re
from pathlib import Path
from typing import Any

from shared import names
from shared.memory.cosmos import memory_item
from shared.settings import Settings
from shared.state import cosmos_lists, cosmos_logs
from shared.state.cosmos_documents import run_item
from shared.state.listing import RunFilter
from tests.support.documents import a_run, after
from tests.support.memories import a_fact

ROOT = Path(__file__).parents[2]
DEFINITIONS: dict[str, Any] = json.loads((ROOT / "infra" / "cosmos.json").read_text(encoding="utf-8"))


def runs() -> dict[str, Any]:
    [found] = [each for each in DEFINITIONS["containers"] if each["name"] == names.COSMOS_RUNS]
    return dict(found)


def indexed(container: dict[str, Any]) -> set[str]:
    paths = [each["path"] for each in container["indexingPolicy"]["includedPaths"]]
    return {re.split(r"/", path)[1] for path in paths}


def asked_for() -> set[str]:
    """The fields in the conditions and orders of the queries that the app makes."""
    everything = RunFilter.model_validate(
        {"status": "failed", "type": "x", "agent": "x", "text": "x", "since": after(0), "before": after(1)}
    )
    search = cosmos_lists._search(everything)
    search.require("c.sort_key < @last", last="x")
    texts = [search.where, cosmos_logs._PARTITION.partition("where")[2]]
    return set(re.findall(r"\bc\.([a-z_]+)", " ".join(texts)))


def test_the_database_is_the_one_that_the_settings_name_by_default() -> None:
    assert DEFINITIONS["database"] == Settings().cosmos_database


def test_each_run_is_a_partition_and_documents_may_say_how_long_they_live() -> None:
    assert (runs()["partitionKey"], runs()["defaultTtl"]) == ("/task_id", -1)


def test_the_index_holds_what_is_asked_for_and_nothing_else() -> None:
    assert indexed(runs()) == asked_for()
    assert runs()["indexingPolicy"]["excludedPaths"] == [{"path": "/*"}]


def test_no_body_is_indexed() -> None:
    run = run_item(a_run(), [])
    assert set(run) - indexed(runs()) >= {"events", "topic"}
    assert indexed(runs()) <= set(run)


def test_each_scope_of_memory_is_a_partition_and_nothing_of_what_is_remembered_is_indexed() -> None:
    [memory] = [each for each in DEFINITIONS["containers"] if each["name"] == names.COSMOS_MEMORY]
    assert (memory["partitionKey"], memory["defaultTtl"]) == ("/scope", -1)
    assert indexed(memory) == {"scope", "tenant"}
    assert memory["indexingPolicy"]["excludedPaths"] == [{"path": "/*"}]
    assert indexed(memory) <= set(memory_item(a_fact("x"), after(0)))
