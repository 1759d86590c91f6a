"""An OTLP/HTTP endpoint that counts the spans and the points of metrics that it is sent, and keeps none.

Source: OTLP 1.x, binary protobuf: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import gzip
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from scripts.cost.tally import Tally

MAX_BYTES = 16 * 2**20
DELAY_MILLISECONDS = 100
METRICS_MILLISECONDS = 250
"""Often enough that what a run has changed is sent before the next one begins."""


class TelemetryCounter:
    """Counts each span and each point by its length on the wire, for `tally`: each is a row in Application Insights."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    async def traces(self, request: web.Request) -> web.Response:
        """`POST /v1/traces`: 400 for what is no export."""
        try:
            export = ExportTraceServiceRequest.FromString(await _unpacked(request))
        except _NO_EXPORT:
            return web.Response(status=400)
        for resource in export.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self._tally.spanned(span.ByteSize())
        return web.Response(content_type="application/x-protobuf")

    async def metrics(self, request: web.Request) -> web.Response:
        """`POST /v1/metrics`: 400 for what is no export."""
        try:
            export = ExportMetricsServiceRequest.FromString(await _unpacked(request))
        except _NO_EXPORT:
            return web.Response(status=400)
        for point in _points(export):
            self._tally.measured(point.ByteSize())
        return web.Response(content_type="application/x-protobuf")


_NO_EXPORT = (OSError, EOFError, zlib.error, DecodeError)


async def _unpacked(request: web.Request) -> bytes:
    body = await request.read()
    return gzip.decompress(body) if request.headers.get("content-encoding") == "gzip" else body


def _points(export: ExportMetricsServiceRequest) -> Iterator[Message]:
    for resource in export.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                yield from getattr(metric, kind).data_points if kind else ()


@asynccontextmanager
async def telemetry_counter(tally: Tally) -> AsyncIterator[Mapping[str, str]]:
    """The endpoint on a free port of this machine; the settings that have the app and the host send to it."""
    counter = TelemetryCounter(tally)
    # Bodies are taken as they come: what is packed is unpacked above, where a broken one is found out.
    app = web.Application(client_max_size=MAX_BYTES)
    app.router.add_post("/v1/traces", counter.traces)
    app.router.add_post("/v1/metrics", counter.metrics)
    runner = web.AppRunner(app, auto_decompress=False, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield {
            "MUSTER_TELEMETRY": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{runner.addresses[0][1]}",
            "OTEL_BSP_SCHEDULE_DELAY": str(DELAY_MILLISECONDS),
            "OTEL_METRIC_EXPORT_INTERVAL": str(METRICS_MILLISECONDS),
            # As Azure Monitor has it: what did not change is not sent.
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
            **dict.fromkeys(_OF_OTHERS, ""),
        }
    finally:
        await runner.cleanup()


# What else an environment may say of telemetry, and what would have more leave than a deployment's.
_OF_OTHERS = (
    "OTEL_SDK_DISABLED",
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
)
