"""The tables of telemetry's names agree with one another and with OpenTelemetry's conventions."""

import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes, messaging_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.semconv.attributes import error_attributes, exception_attributes, server_attributes

from shared.telemetry import names
from shared.telemetry.attributes import ATTRIBUTES, CONTENT, MESSAGE_ID, STEP_ID, TASK_ID


def standard(module: object) -> set[str]:
    return {value for name, value in vars(module).items() if name.isupper() and isinstance(value, str)}


STANDARD = set().union(
    *map(
        standard,
        (gen_ai_attributes, messaging_attributes, error_attributes, exception_attributes, server_attributes),
    )
)


def used() -> set[str]:
    tables = [span.attributes for span in names.SPANS] + [metric.attributes for metric in names.METRICS]
    return {attribute for attributes in tables for attribute in attributes}


def test_every_attribute_is_described_and_none_besides() -> None:
    assert used() == set(ATTRIBUTES)


@pytest.mark.parametrize("attribute", sorted(ATTRIBUTES))
def test_an_attribute_is_a_standard_one_or_begins_with_the_products_name(attribute: str) -> None:
    assert attribute in STANDARD or attribute.startswith("muster.")


@pytest.mark.parametrize("metric", names.METRICS, ids=lambda metric: metric.name)
def test_a_metric_is_a_standard_one_or_begins_with_the_products_name(metric: names.MetricName) -> None:
    assert metric.name in standard(gen_ai_metrics) or metric.name.startswith("muster.")


def test_nothing_that_holds_content_is_on_a_metric() -> None:
    assert [metric.name for metric in names.METRICS if CONTENT & set(metric.attributes)] == []


def test_no_metric_has_an_attribute_with_a_value_for_each_run() -> None:
    of_one_run = {TASK_ID, STEP_ID, MESSAGE_ID}
    assert [metric.name for metric in names.METRICS if of_one_run & set(metric.attributes)] == []


@pytest.mark.parametrize("metric", names.METRICS, ids=lambda metric: metric.name)
def test_a_histogram_alone_has_buckets_and_they_rise(metric: names.MetricName) -> None:
    assert bool(metric.buckets) == (metric.instrument == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))


def test_the_tables_hold_every_span_and_metric() -> None:
    values = vars(names).values()
    assert {value.template for value in values if isinstance(value, names.SpanName)} == {
        span.template for span in names.SPANS
    }
    assert {value.name for value in values if isinstance(value, names.MetricName)} == {
        metric.name for metric in names.METRICS
    }


def test_a_span_bears_the_name_of_what_it_is_about() -> None:
    assert names.INVOKE_AGENT.of("research") == "invoke_agent research"
