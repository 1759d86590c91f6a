"""What Azure Monitor's own exporters send becomes the rows that queries are written for."""

from collections.abc import Callable

import pytest
from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter, AzureMonitorTraceExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind

from tests.support.insights_receiver import insights_receiver
from tests.support.log_tables import Row, row_of


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing about the exporter itself is sent anywhere."""
    monkeypatch.setenv("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "true")
    monkeypatch.setenv("APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED", "true")
    monkeypatch.setenv("APPLICATIONINSIGHTS_SDKSTATS_DISABLED", "true")
    monkeypatch.setenv("APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED", "true")


def emit_spans(connection: str) -> None:
    tracers = TracerProvider()
    exporter = AzureMonitorTraceExporter(connection_string=connection, disable_offline_storage=True)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = tracers.get_tracer("test")
    with (
        tracer.start_as_current_span("above", kind=SpanKind.SERVER),
        tracer.start_as_current_span("below", attributes={"muster.attempt": 2, "error.type": "lost"}),
    ):
        pass
    tracers.shutdown()


def emit_metrics(connection: str) -> None:
    exporter = AzureMonitorMetricExporter(connection_string=connection, disable_offline_storage=True)
    meters = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)])
    meter = meters.get_meter("test")
    histogram = meter.create_histogram("seconds")
    for value in (1.5, 2.0):
        histogram.record(value, {"error.type": "kept"})
    meter.create_counter("dollars").add(0.25)
    meters.shutdown()


def rows_of(emit: Callable[[str], None]) -> list[Row]:
    """What `emit` sends to the endpoint that it is given."""
    with insights_receiver() as insights:
        emit(insights.connection_string)
    return [row_of(item) for item in insights.items]


def test_spans_become_requests_and_dependencies_under_one_operation() -> None:
    below, above = rows_of(emit_spans)
    assert (above.table, above.name, below.table, below.name) == ("AppRequests", "above", "AppDependencies", "below")
    assert (below.operation, below.parent) == (above.operation, above.id)


def test_a_spans_properties_are_texts_and_leave_out_what_the_exporter_takes_for_http() -> None:
    assert rows_of(emit_spans)[0].properties == {"muster.attempt": "2"}


def test_metrics_become_sums_with_their_counts_and_keep_the_type_of_an_error() -> None:
    assert sorted(rows_of(emit_metrics), key=lambda row: row.name) == [
        Row("AppMetrics", "dollars", {}, sum=0.25),
        Row("AppMetrics", "seconds", {"error.type": "kept"}, sum=3.5, count=2),
    ]
