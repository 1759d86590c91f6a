"""Every Kusto query asks for what is really sent: tables, columns, keys, names and values, of a whole app's telemetry.

`tests/support/monitored_run.py` works, fails and is broken off in a process of its own, with Azure Monitor's real
exporter; Microsoft's parser reads the queries.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from tree_sitter import Node

from devhost.triggers.timespan import parse_timespan
from scripts.infra_check.bicep import literal, properties, text, walk
from scripts.infra_check.infra import Infra
from scripts.node_packages import finish
from scripts.workbook import PANELS
from shared.telemetry.names import METRICS
from tests.support.host_process import ROOT
from tests.support.insights_receiver import insights_receiver
from tests.support.kusto import Report, analysed, mistakes
from tests.support.log_tables import Row, row_of

INFRA = ROOT / "infra"
QUERIES = {path.stem: path.read_text() for path in sorted((INFRA / "app" / "queries").glob("*.kql"))}
KNOWN = ("{Run}",)
"""Texts in queries that stand for something else."""
SECONDS = 180.0

PLANTED = {
    "a metric": ("cost", '"muster.cost"', '"muster.costs"'),
    "a key of a metric": ("cost", '["gen_ai.token.type"]', '["gen_ai.token"]'),
    "a key in another style": ("failures", '["error.type"]', '["errorType"]'),
    "a status": ("failure-rate", '"failed"', '"failure"'),
    "a key of a span": ("run", '["muster.task_id"]', '["task_id"]'),
    "a column": ("slowest-agents", "DurationMs", "Duration"),
    "a span": ("slowest-agents", '"invoke_agent "', '"agent "'),
    "a table of another kind": ("stuck-runs", "AppDependencies", "dependencies"),
}
"""By what is misspelt: the query, what it says, and what it is made to say."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rows(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Row]:
    """What a process told Azure Monitor that worked, failed, and was broken off."""
    with insights_receiver() as insights:
        folder = tmp_path_factory.mktemp("monitored")
        command = [sys.executable, "-m", "tests.support.monitored_run", insights.connection_string, str(folder)]
        status, output, errors = await finish(command, ROOT, SECONDS)
    assert status == 0, (output + errors)[-4000:]
    return [row_of(item) for item in insights.items]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reports() -> Mapping[str, Report]:
    return await analysed(QUERIES)


@pytest.mark.parametrize("name", QUERIES)
async def test_a_query_asks_for_nothing_that_is_not_sent(
    reports: Mapping[str, Report], rows: Sequence[Row], name: str
) -> None:
    assert list(mistakes(reports[name], rows, KNOWN)) == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def misspelt() -> Mapping[str, Report]:
    return await analysed(
        {name: QUERIES[query].replace(right, wrong, 1) for name, (query, right, wrong) in PLANTED.items()}
    )


@pytest.mark.parametrize("name", PLANTED)
async def test_a_misspelt_query_is_found(misspelt: Mapping[str, Report], rows: Sequence[Row], name: str) -> None:
    query, right, _ = PLANTED[name]
    assert right in QUERIES[query]
    assert list(mistakes(misspelt[name], rows, KNOWN)) != []


async def test_the_type_of_a_steps_error_is_asked_of_metrics_because_spans_lose_it(rows: Sequence[Row]) -> None:
    with_type = {row.table for row in rows if "error.type" in row.properties}
    assert with_type == {"AppMetrics"}


async def test_what_the_query_for_one_run_asks_for_is_all_of_that_run_with_its_attempts_and_log(
    rows: Sequence[Row],
) -> None:
    """`run.kql`, done by hand: the traces that name the run, and everything in them."""
    [run] = [
        row.properties["muster.task_id"]
        for row in rows
        if row.name.startswith("invoke_workflow ") and row.properties["muster.status"] == "failed"
    ]
    traces = {row.operation for row in rows if row.properties.get("muster.task_id") == run}
    found = [row for row in rows if row.operation in traces]
    assert len(traces) == 1
    assert {row.properties["muster.task_id"] for row in found if "muster.task_id" in row.properties} == {run}
    tried = [row.properties.get("muster.attempt") for row in found if row.name == "invoke_agent writer"]
    assert set(tried) == {"1", "2", "3", "4"}
    assert sum("trying again in" in row.name for row in found if row.table == "AppTraces") == 3
    kinds = {row.name.partition(" ")[0] for row in found if row.table == "AppDependencies"}
    assert kinds == {"start_run", "send", "invoke_agent", "chat", "reply", "invoke_workflow"}


async def test_every_metric_is_asked_about(reports: Mapping[str, Report]) -> None:
    asked = {compared.name for report in reports.values() for _, compared, _ in report.names}
    assert {metric.name for metric in METRICS} - asked == set()


async def test_an_alert_compares_a_number_that_its_query_ends_with(reports: Mapping[str, Report]) -> None:
    rules = [each for each in _rules() if literal(each["column"]) is not None]
    assert len(rules) == 2
    for rule in rules:
        columns = reports[_query_of(rule["query"])].columns
        assert columns[literal(rule["column"]) or ""] in {"real", "long", "int"}


async def test_the_page_shows_every_query_but_those_that_only_an_alert_asks() -> None:
    assert set(QUERIES) - {panel.query for panel in PANELS} == {"failure-rate"}
    assert {_query_of(each["query"]) for each in _rules()} == {
        "failure-rate",
        "stuck-runs",
        "cost-per-hour",
        "open-circuits",
    }


async def test_every_alert_is_on_the_page_that_says_what_to_do_about_it() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    alerts = {f"muster-{literal(each['name'])}" for each in _rules()} | {"muster-dead-letters"}
    assert [alert for alert in sorted(alerts) if f"| `{alert}` |" not in page] == []


async def test_a_run_is_called_stuck_only_after_longer_than_any_function_may_take() -> None:
    quiet = re.search(r"^let quiet = (\d+)m;$", QUERIES["stuck-runs"], re.MULTILINE)
    limit = json.loads((ROOT / "host.json").read_text())["functionTimeout"]
    assert quiet is not None
    assert timedelta(minutes=int(quiet[1])) > parse_timespan(limit)


def _rules() -> list[dict[str, Node]]:
    """The alerts that ask a query, as `alerts.bicep` describes them."""
    template = Infra(INFRA).templates[Path("app/alerts.bicep")]
    described = [properties(node) for node in walk(template.by_name["rules"].node) if node.type == "object"]
    return [each for each in described if "query" in each]


def _query_of(call: Node) -> str:
    return text(call).partition("queries/")[2].partition(".kql")[0]
