"""The endpoint that counts telemetry: each span and point once, packed or not, and what is no export is refused."""

import gzip

import aiohttp
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from scripts.cost.tally import Tally
from scripts.cost.telemetry import telemetry_counter

SPANS = [Span(name="one", span_id=b"12345678"), Span(name="another, which is longer", span_id=b"12345679")]
EXPORT = ExportTraceServiceRequest(
    resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=SPANS[:1]), ScopeSpans(spans=SPANS[1:])])]
).SerializeToString()


async def posted(body: bytes, *, path: str = "/v1/traces", packed: bool = False) -> tuple[int, Tally]:
    tally = Tally()
    headers = {"content-encoding": "gzip"} if packed else {}
    async with (
        telemetry_counter(tally) as settings,
        aiohttp.ClientSession() as session,
        session.post(settings["OTEL_EXPORTER_OTLP_ENDPOINT"] + path, data=body, headers=headers) as answer,
    ):
        return answer.status, tally


@pytest.mark.parametrize("packed", [False, True])
async def test_each_span_is_counted_with_its_length(packed: bool) -> None:
    status, tally = await posted(gzip.compress(EXPORT) if packed else EXPORT, packed=packed)
    assert status == 200
    telemetry = tally.take().telemetry
    assert (telemetry.spans, telemetry.span_bytes) == (2, sum(span.ByteSize() for span in SPANS))


@pytest.mark.parametrize(
    ("body", "packed"),
    [(b"\xff\xff", False), (EXPORT, True), (gzip.compress(EXPORT)[:-4], True), (gzip.compress(b"\xff\xff"), True)],
    ids=["no protobuf", "not packed", "cut off", "no protobuf within"],
)
async def test_what_is_no_export_is_refused_and_not_counted(body: bytes, packed: bool) -> None:
    status, tally = await posted(body, packed=packed)
    assert status == 400
    assert tally.take().telemetry.spans == 0


async def test_each_point_of_a_metric_is_counted_whatever_its_kind() -> None:
    point, buckets = NumberDataPoint(as_double=1.5), HistogramDataPoint(count=3, sum=2.0)
    metrics = [
        Metric(name="sum", sum=Sum(data_points=[point, point])),
        Metric(name="gauge", gauge=Gauge(data_points=[point])),
        Metric(name="histogram", histogram=Histogram(data_points=[buckets])),
        Metric(name="nothing"),
    ]
    export = ExportMetricsServiceRequest(
        resource_metrics=[ResourceMetrics(scope_metrics=[ScopeMetrics(metrics=metrics)])]
    )
    status, tally = await posted(export.SerializeToString(), path="/v1/metrics")
    assert status == 200
    telemetry = tally.take().telemetry
    assert (telemetry.points, telemetry.point_bytes) == (4, 3 * point.ByteSize() + buckets.ByteSize())
    assert telemetry.spans == 0


async def test_metrics_that_are_no_export_are_refused() -> None:
    status, tally = await posted(b"\xff\xff", path="/v1/metrics")
    assert status == 400
    assert tally.take().telemetry.points == 0
