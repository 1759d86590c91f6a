"""Misspelt queries are found, each at its line: what the parser knows, and what only the rows that were sent know."""

import pytest

from tests.support.kusto import analysed, mistakes
from tests.support.log_tables import Row

ROWS = (
    Row("AppMetrics", "muster.cost", {"muster.agent": "writer"}),
    Row("AppMetrics", "muster.retries", {"muster.agent": "writer", "error.type": "ModelUnavailable"}),
    Row("AppDependencies", "invoke_agent writer", {"muster.agent": "writer", "muster.status": "succeeded"}),
    Row("AppRequests", "POST task", {"muster.task_id": "1"}),
)

GOOD = """let asked = union AppRequests, AppDependencies
    | where tostring(Properties["muster.task_id"]) == "1"
    | distinct OperationId;
AppDependencies
| where Name startswith "invoke_agent "
| where OperationId in (asked)
| extend Agent = tostring(Properties["muster.agent"])
| summarize Calls = sum(ItemCount), Slowest = max(DurationMs) by Agent
| join kind=leftouter (
    AppMetrics
    | where Name in ("muster.cost", "muster.retries")
    | where tostring(Properties["error.type"]) != "ModelUnavailable"
    | summarize Usd = sum(Sum) by Agent = tostring(Properties["muster.agent"])
) on Agent
| order by Slowest desc
"""

PLANTED = {
    "a table": ("= union AppRequests", "= union AppRequest", "line 1: The name 'AppRequest' does not refer"),
    "a column": ("distinct OperationId", "distinct Operation_Id", "line 3: The name 'Operation_Id' does not refer"),
    "a column that was summed up": (
        "order by Slowest",
        "order by DurationMs",
        "line 15: The name 'DurationMs' does not",
    ),
    "a column of another table": ("sum(Sum)", "sum(DurationMs)", "line 13: The name 'DurationMs' does not refer"),
    "an operator": ("| extend Agent", "| extnd Agent", "line 7: "),
    "a function": ("max(DurationMs)", "maximum(DurationMs)", "line 8: The name 'maximum' does not refer"),
    "a key": ('["muster.task_id"]', '["muster.taskid"]', "line 2: nothing that is sent as AppRequests or AppDepend"),
    "a key of other rows": ('["error.type"]', '["muster.status"]', "line 12: nothing that is sent as muster.cost or"),
    "a key after another filter": (
        'tostring(Properties["muster.agent"])\n| summ',
        'tostring(Properties["error.type"])\n| summ',
        "line 7: nothing that is sent as invoke_agent  has 'error.type'",
    ),
    "a span": ('"invoke_agent "', '"invoke_agents "', "line 5: nothing is sent to AppDependencies under the name"),
    "a metric": ('"muster.retries"', '"muster.retry"', "line 11: nothing is sent to AppMetrics under the name"),
    "a metric for a span": ('"invoke_agent "', '"muster.cost"', "line 5: nothing is sent to AppDependencies under"),
    "a value": ('!= "ModelUnavailable"', '!= "ModelNotThere"', "line 12: nothing that is sent says 'ModelNotThere'"),
    "a key by a point": ('Properties["muster.agent"])\n|', "Properties.muster)\n|", 'line 7: write Properties["..."]'),
    "a number for a text": ("max(DurationMs)", 'max(DurationMs) > "x"', "line 8: "),
}


async def found(query: str) -> list[str]:
    return list(mistakes((await analysed({"query": query}))["query"], ROWS))


async def test_a_query_without_a_mistake_has_none_and_ends_with_typed_columns() -> None:
    assert await found(GOOD) == []
    report = (await analysed({"query": GOOD}))["query"]
    assert {"Agent": "string", "Calls": "long", "Slowest": "real", "Usd": "real"}.items() <= report.columns.items()


@pytest.mark.parametrize(("right", "wrong", "message"), PLANTED.values(), ids=PLANTED.keys())
async def test_a_planted_misspelling_is_found_at_its_line(right: str, wrong: str, message: str) -> None:
    assert right in GOOD
    said = await found(GOOD.replace(right, wrong, 1))
    assert any(each.startswith(message) for each in said), said


async def test_a_text_may_be_explained() -> None:
    [report] = (await analysed({"query": 'print X = "{Run}"'})).values()
    assert list(mistakes(report, ROWS)) == ["line 1: nothing that is sent says '{Run}'"]
    assert list(mistakes(report, ROWS, ["{Run}"])) == []


async def test_a_parser_that_breaks_is_an_error_and_no_silence() -> None:
    with pytest.raises(RuntimeError, match="the parser ended with 1"):
        await analysed({"query": "print 1"}, {"Table": None})  # type: ignore[dict-item]
