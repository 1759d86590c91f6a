"""An OTLP/HTTP endpoint that counts the spans that it is sent, and keeps none.

Source: OTLP 1.x, binary protobuf: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import gzip
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from scripts.cost.tally import Tally

MAX_BYTES = 16 * 2**20
DELAY_MILLISECONDS = 100


class SpanCounter:
    """Counts each span by its length on the wire, for `tally`. Metrics are taken and not looked at."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    async def traces(self, request: web.Request) -> web.Response:
        """`POST /v1/traces`: 400 for what is no export."""
        body = await request.read()
        try:
            if request.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            export = ExportTraceServiceRequest.FromString(body)
        except (OSError, EOFError, zlib.error, DecodeError):
            return web.Response(status=400)
        for resource in export.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self._tally.spanned(span.ByteSize())
        return web.Response(content_type="application/x-protobuf")

    async def metrics(self, request: web.Request) -> web.Response:
        """`POST /v1/metrics`."""
        await request.read()
        return web.Response(content_type="application/x-protobuf")


@asynccontextmanager
async def span_counter(tally: Tally) -> AsyncIterator[Mapping[str, str]]:
    """The endpoint on a free port of this machine; the settings that have the app and the host send to it."""
    counter = SpanCounter(tally)
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
