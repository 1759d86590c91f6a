"""The Kusto queries: each is one file, which is saved, and which the workbook and the alerts use as it is."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.infra_check.bicep import Template, literal, properties, text, walk
from scripts.infra_check.finding import Finding
from scripts.infra_check.infra import Infra

QUERIES, SAVED, ALERTS = Path("app/queries"), Path("app/queries.bicep"), Path("app/alerts.bicep")
WORKBOOK = Path("app/workbook.json")

_QUERY_ITEM, _PARAMETER_ITEM = 3, 9
_PLACE = re.compile(r"\{([A-Za-z]+)\}")


def queries(infra: Infra) -> Iterator[Finding]:
    """That every query is saved, that alerts load theirs, and that the workbook's are those of the files."""
    files = sorted((infra.folder / QUERIES).glob("*.kql"))
    saved = infra.templates.get(SAVED)
    loaded = set(_loaded(saved)) if saved is not None else set()
    for path in files:
        if f"queries/{path.name}" not in loaded:
            yield Finding(QUERIES / path.name, 1, f"{SAVED} does not save this query")
    alerts = infra.templates.get(ALERTS)
    if alerts is not None:
        yield from _written_out(alerts)
    yield from _workbook(infra, {path.read_text(encoding="utf-8") for path in files})


def _loaded(template: Template) -> Iterator[str]:
    for node in walk(template.root):
        if node.type == "call_expression" and text(node.children[0]) == "loadTextContent":
            yield literal(node.named_children[1].named_children[0]) or ""


def _written_out(template: Template) -> Iterator[Finding]:
    """A query that stands in the template itself is one that no test parses."""
    for node in walk(template.root):
        query = properties(node).get("query")
        if query is not None and query.type == "string":
            yield template.finding(query, "this query is written out: load it from a file in app/queries")


def _workbook(infra: Infra, known: set[str]) -> Iterator[Finding]:
    try:
        items: list[dict[str, Any]] = infra.document(str(WORKBOOK))["items"]
        asked = {item["name"]: item["content"]["query"] for item in items if item["type"] == _QUERY_ITEM}
        given = [item["content"]["parameters"] for item in items if item["type"] == _PARAMETER_ITEM]
        parameters = {each["name"] for group in given for each in group}
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        yield Finding(WORKBOOK, 1, f"cannot be read: {type(error).__name__}: {error}")
        return
    for name, query in asked.items():
        line = infra.line_of(str(WORKBOOK), json.dumps(query))
        if query not in known:
            yield Finding(WORKBOOK, line, f"the query of {name} is none of the files in {QUERIES}")
        for place in sorted(set(_PLACE.findall(query)) - parameters):
            yield Finding(WORKBOOK, line, f"the query of {name} asks for {place}, which is no parameter of the page")
