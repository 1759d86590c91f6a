"""The host's spans kept in memory instead of sent: what would leave is encoded as it would be, and taken in at once."""

from collections.abc import Sequence
from typing import override

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from devhost.clock import Clock, SystemClock
from devhost.telemetry.otlp import SdkSpans
from tests.support.otlp_receiver import OtlpReceiver


class _Keeping(SpanExporter):
    def __init__(self, receiver: OtlpReceiver) -> None:
        self._receiver = receiver

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._receiver.take("/v1/traces", encode_spans(spans).SerializeToString())
        return SpanExportResult.SUCCESS

    @override
    def shutdown(self) -> None:
        """Nothing is held."""

    @override
    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def kept_spans(clock: Clock | None = None) -> tuple[SdkSpans, OtlpReceiver]:
    """Spans, and where to look at them once they have ended."""
    receiver = OtlpReceiver()
    return SdkSpans(SimpleSpanProcessor(_Keeping(receiver)), clock or SystemClock()), receiver
