"""The app's telemetry on OpenTelemetry's own SDK, kept in memory: for tests within one process."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.telemetry.otel.adapter import OpenTelemetry


class KeptTelemetry(OpenTelemetry):
    """An `OpenTelemetry` whose spans and measures can be looked at."""

    def __init__(self, *, shows_content: bool = False) -> None:
        self._exported = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self._exported))
        meters = MeterProvider([self._reader], shutdown_on_exit=False)
        super().__init__(tracers, meters, shows_content=shows_content)

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended, in that order."""
        return list(self._exported.get_finished_spans())

    def span_named(self, name: str) -> ReadableSpan:
        """The one span of this name."""
        [found] = [span for span in self.spans if span.name == name]
        return found

    def measured(self) -> dict[str, list[tuple[Mapping[str, Any], float]]]:
        """The series of each metric: their attributes, and their value or the sum of their values."""
        data = self._reader.get_metrics_data()
        if data is None:
            return {}
        return {
            metric.name: [
                (dict(point.attributes or {}), point.sum if hasattr(point, "sum") else point.value)
                for point in metric.data.data_points
            ]
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }
