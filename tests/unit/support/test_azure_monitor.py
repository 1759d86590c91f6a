"""The ingestion endpoint of the tests takes what Azure Monitor's own exporters send, and makes rows of it."""

import asyncio

import pytest
from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter, AzureMonitorTraceExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind

from tests.support.azure_monitor import Row, azure_monitor


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing about the exporter itself is sent anywhere."""
    monkeypatch.setenv("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "true")
    monkeypatch.setenv("APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED", "true")
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


async def test_spans_become_requests_and_dependencies_under_one_operation() -> None:
    async with azure_monitor() as monitor:
        await asyncio.to_thread(emit_spans, monitor.connection_string)
    below, above = monitor.rows
    assert (above.table, above.name, below.table, below.name) == ("AppRequests", "above", "AppDependencies", "below")
    assert (below.operation, below.parent) == (above.operation, above.id)


async def test_a_spans_properties_are_texts_and_leave_out_what_the_exporter_takes_for_http() -> None:
    async with azure_monitor() as monitor:
        await asyncio.to_thread(emit_spans, monitor.connection_string)
    assert monitor.rows[0].properties == {"muster.attempt": "2"}


async def test_metrics_become_sums_with_their_counts_and_keep_the_type_of_an_error() -> None:
    async with azure_monitor() as monitor:
        await asyncio.to_thread(emit_metrics, monitor.connection_string)
    assert sorted(monitor.rows, key=lambda row: row.name) == [
        Row("AppMetrics", "dollars", {}, sum=0.25),
        Row("AppMetrics", "seconds", {"error.type": "kept"}, sum=3.5, count=2),
    ]
