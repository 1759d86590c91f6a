"""The endpoint that counts spans: each once, packed or not, and what is no export is refused."""

import gzip

import aiohttp
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from scripts.cost.spans import span_counter
from scripts.cost.tally import Tally

SPANS = [Span(name="one", span_id=b"12345678"), Span(name="another, which is longer", span_id=b"12345679")]
EXPORT = ExportTraceServiceRequest(
    resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=SPANS[:1]), ScopeSpans(spans=SPANS[1:])])]
).SerializeToString()


async def posted(body: bytes, *, path: str = "/v1/traces", packed: bool = False) -> tuple[int, Tally]:
    tally = Tally()
    headers = {"content-encoding": "gzip"} if packed else {}
    async with (
        span_counter(tally) as settings,
        aiohttp.ClientSession() as session,
        session.post(settings["OTEL_EXPORTER_OTLP_ENDPOINT"] + path, data=body, headers=headers) as answer,
    ):
        return answer.status, tally


@pytest.mark.parametrize("packed", [False, True])
async def test_each_span_is_counted_with_its_length(packed: bool) -> None:
    status, tally = await posted(gzip.compress(EXPORT) if packed else EXPORT, packed=packed)
    assert status == 200
    assert tally.take().telemetry.model_dump() == {"spans": 2, "bytes": sum(span.ByteSize() for span in SPANS)}


@pytest.mark.parametrize(
    ("body", "packed"),
    [(b"\xff\xff", False), (EXPORT, True), (gzip.compress(EXPORT)[:-4], True), (gzip.compress(b"\xff\xff"), True)],
    ids=["no protobuf", "not packed", "cut off", "no protobuf within"],
)
async def test_what_is_no_export_is_refused_and_not_counted(body: bytes, packed: bool) -> None:
    status, tally = await posted(body, packed=packed)
    assert status == 400
    assert tally.take().telemetry.spans == 0


async def test_metrics_are_taken_and_not_counted() -> None:
    status, tally = await posted(b"anything", path="/v1/metrics")
    assert status == 200
    assert tally.take().telemetry.spans == 0
