"""`make workbook`: writes `infra/app/workbook.json`, the Azure Monitor workbook, from the saved queries.

The form is what the portal's "Advanced Editor" shows and takes (Notebook/1.0).
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

APP = Path(__file__).parent.parent / "infra" / "app"
WORKBOOK_FILE = APP / "workbook.json"

_RESOURCE = "microsoft.operationalinsights/workspaces"
_SCHEMA = "https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json"
_HOUR, _DAY = 3_600_000, 86_400_000
_HEAD = """# Muster
What to do about what is here: the runbook, `docs/operations.md`. Choose the time above each table; the id of a run
shows that run below."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A query on the page. `shown` is how: a table, or a kind of chart. `only_with` names a parameter that it needs."""

    query: str
    title: str
    shown: str = "table"
    width: int = 100
    only_with: str | None = None


PANELS = (
    Panel("runs", "How runs ended"),
    Panel("stuck-runs", "Stuck runs"),
    Panel("failures", "Who fails most, and why"),
    Panel("slowest-agents", "Slowest agents", width=50),
    Panel("queue-waits", "Waiting in queues", width=50),
    Panel("models", "Calls of models"),
    Panel("cost-per-hour", "Cost per hour (US dollars)", shown="barchart", width=50),
    Panel("cost", "Cost per agent and day", width=50),
    Panel("open-circuits", "Open circuits", width=50),
    Panel("dead-letters", "Messages given up", width=50),
    Panel("repeated-calls", "Calls that may be paid twice"),
    Panel("run", "The run", only_with="Run"),
)


def rendered() -> str:
    """The text of `infra/app/workbook.json` as it should be."""
    items = [_text("head", _HEAD), _parameters(), *(_panel(panel) for panel in PANELS)]
    document = {"version": "Notebook/1.0", "items": items, "fallbackResourceIds": [], "$schema": _SCHEMA}
    return json.dumps(document, indent=2) + "\n"


def _text(name: str, markdown: str) -> Mapping[str, Any]:
    return {"type": 1, "content": {"json": markdown}, "name": name}


def _parameters() -> Mapping[str, Any]:
    choices = [{"durationMs": each} for each in (_HOUR, 4 * _HOUR, _DAY, 7 * _DAY, 30 * _DAY)]
    time = _parameter("Time", 4, {"durationMs": _DAY}) | {
        "isRequired": True,
        "typeSettings": {"selectableValues": choices, "allowCustom": True},
    }
    content = {
        "version": "KqlParameterItem/1.0",
        "parameters": [time, _parameter("Run", 1, "")],
        "style": "pills",
        "queryType": 0,
        "resourceType": _RESOURCE,
    }
    return {"type": 9, "content": content, "name": "parameters"}


def _parameter(name: str, kind: int, value: Any) -> dict[str, Any]:
    known = str(uuid5(NAMESPACE_URL, f"muster-workbook/{name}"))
    return {"id": known, "version": "KqlParameterItem/1.0", "name": name, "type": kind, "value": value}


def _panel(panel: Panel) -> Mapping[str, Any]:
    content = {
        "version": "KqlItem/1.0",
        "query": (APP / "queries" / f"{panel.query}.kql").read_text(encoding="utf-8"),
        "size": 0,
        "title": panel.title,
        "noDataMessage": "Nothing in this time.",
        "timeContextFromParameter": "Time",
        "queryType": 0,
        "resourceType": _RESOURCE,
        "visualization": panel.shown,
    }
    item = {"type": 3, "content": content, "customWidth": str(panel.width), "name": panel.query}
    if panel.only_with is not None:
        item["conditionalVisibility"] = {
            "parameterName": panel.only_with,
            "comparison": "isNotEqualTo",
            "value": "",
        }
    return item


if __name__ == "__main__":
    argparse.ArgumentParser(prog="make workbook", description=__doc__).parse_args()
    WORKBOOK_FILE.write_text(rendered(), encoding="utf-8")
    print(f"wrote {WORKBOOK_FILE.relative_to(Path.cwd())}")
