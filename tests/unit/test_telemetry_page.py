"""`docs/telemetry.md` shows the spans, attributes, metrics and fault domains that there are, in the same words."""

import re
from pathlib import Path

from shared.settings import Settings
from shared.telemetry import names
from shared.telemetry.attributes import ATTRIBUTES, CONTENT, FAULT_DOMAIN
from shared.telemetry.faults import FAULT_DOMAINS
from shared.telemetry.otel.adapter import MAX_CONTENT
from shared.telemetry.otel.exporting import STOP_SECONDS

PAGE = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table whose first heading this is."""
    table = re.search(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert table is not None, heading
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[1].splitlines()]


def listed(attributes: object) -> str:
    return ", ".join(f"`{each}`" for each in attributes)  # type: ignore[attr-defined]


def test_the_spans_on_the_page_are_those_that_are_emitted() -> None:
    assert rows("span") == [
        [f"`{span.template}`", span.kind, span.description, listed(span.attributes)] for span in names.SPANS
    ]


def test_the_attributes_on_the_page_are_those_that_are_emitted() -> None:
    assert rows("attribute") == [[f"`{name}`", description] for name, description in ATTRIBUTES.items()]


def test_the_metrics_on_the_page_are_those_that_are_measured() -> None:
    assert rows("metric") == [
        [f"`{metric.name}`", metric.instrument, metric.unit, metric.description, listed(metric.attributes)]
        for metric in names.METRICS
    ]


def test_the_fault_domains_on_the_page_are_those_of_the_table() -> None:
    shown = {row[0].strip("`"): row[2] for row in rows(f"`{FAULT_DOMAIN}`")}
    assert shown == {domain.value: listed(sorted(kinds)) for domain, kinds in FAULT_DOMAINS.items()}


def test_the_settings_on_the_page_are_settings() -> None:
    known = {str(field.alias) for field in Settings.model_fields.values()}
    shown = {row[0].strip("`") for row in rows("setting")}
    assert shown <= known
    assert {alias for alias in known if "TELEMETRY" in alias or alias.startswith("OTEL_")} <= shown


def test_the_limits_on_the_page_are_the_limits() -> None:
    assert f"cut at {MAX_CONTENT:,} characters" in " ".join(PAGE.split())
    assert f"waits {STOP_SECONDS:g} s for it at most" in " ".join(PAGE.split())
    assert listed(sorted(CONTENT)) in " ".join(PAGE.split())
