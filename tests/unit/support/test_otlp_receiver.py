"""The OTLP receiver that tests look at shows what the stock exporters send, and nothing else."""

from collections.abc import Iterator

import pytest
import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from tests.support.otlp_receiver import OtlpReceiver, otlp_receiver


@pytest.fixture
def otlp() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as receiver:
        yield receiver


def test_a_span_arrives_with_its_parent_kind_status_and_attributes(otlp: OtlpReceiver) -> None:
    provider = TracerProvider(resource=Resource.create({"service.name": "there"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{otlp.url}/v1/traces")))
    tracer = provider.get_tracer("scope")
    with tracer.start_as_current_span("outer", kind=SpanKind.PRODUCER, attributes={"a.b": 1, "list": ["x"]}) as outer:
        tracer.start_span("inner").end()
        outer.set_status(StatusCode.ERROR, "why")
    provider.shutdown()
    [inner], [seen] = otlp.named("inner"), otlp.named("outer")
    assert (seen.kind, seen.status, seen.status_message, seen.scope) == ("producer", "error", "why", "scope")
    assert seen.attributes == {"a.b": 1, "list": ["x"]}
    assert seen.resource["service.name"] == "there"
    assert (inner.trace_id, inner.parent_id, seen.parent_id) == (seen.trace_id, seen.span_id, "")
    assert otlp.trace(seen.trace_id) == [seen, inner]
    assert otlp.with_attributes(a__b=1) == [seen]
    assert otlp.holds("why")
    assert not otlp.holds("somewhere else")


def test_counters_and_histograms_are_summed_over_their_series(otlp: OtlpReceiver) -> None:
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{otlp.url}/v1/metrics"), 60_000)
    provider = MeterProvider([reader])
    meter = provider.get_meter("scope")
    counter, histogram = meter.create_counter("spent", unit="USD"), meter.create_histogram("took", unit="s")
    counter.add(1, {"who": "a"})
    reader.force_flush()
    counter.add(2, {"who": "a"})
    counter.add(4, {"who": "b"})
    histogram.record(0.5)
    histogram.record(0.25)
    provider.shutdown()
    assert (otlp.total("spent"), otlp.total("spent", who="a")) == (7, 3)
    assert (otlp.total("took"), otlp.count("took")) == (0.75, 2)
    assert {point.unit for point in otlp.latest("took")} == {"s"}


def test_what_is_refused_is_not_kept(otlp: OtlpReceiver) -> None:
    otlp.status = 400
    assert requests.post(f"{otlp.url}/v1/traces", data=b"", timeout=5).status_code == 400
    assert (otlp.requests, otlp.bodies) == (1, [])
