"""Spans by OpenTelemetry's SDK. Imported only when spans are wanted: nothing else of the host needs the SDK."""

import asyncio
from collections.abc import Sequence
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from devhost.broker.instants import to_instant
from devhost.clock import Clock
from devhost.telemetry.spans import Attributes, Kind, OpenSpan, Span
from devhost.telemetry.trace_context import TraceContext

SERVICE: Final = "devhost"
"""The `service.name` of the host's spans, whatever the app's is."""
_NANOSECONDS: Final = 1000
# A receiver that does not answer holds up the end of the host for this long at most.
_EXPORT_SECONDS: Final = 3.0
_KINDS: Final = {each: trace.SpanKind[each.name] for each in Kind}


class SdkSpans:
    """`Spans` over a tracer provider of its own: the global one is the app's."""

    def __init__(self, processor: SpanProcessor, clock: Clock) -> None:
        self._ids = _Ids()
        self._clock = clock
        resource = Resource.create({SERVICE_NAME: SERVICE})
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer(SERVICE)

    def begin(
        self,
        name: str,
        kind: Kind,
        *,
        parent: str = "",
        links: Sequence[str] = (),
        attributes: Attributes | None = None,
    ) -> OpenSpan:
        """Begin a span; see `Spans`."""
        others = [found for each in links if (found := TraceContext.parsed(each)) is not None]
        span = self._tracer.start_span(
            name,
            context=_context(TraceContext.parsed(parent)),
            kind=_KINDS[kind],
            attributes=attributes,
            links=[trace.Link(_span_context(each)) for each in others],
            start_time=self._now(),
        )
        return _OpenSpan(span, self)

    def record(self, span: Span) -> None:
        """Take in a span; see `Spans`."""
        self._ids.next_span = span.span_id
        recorded = self._tracer.start_span(
            span.name,
            context=_context(span.parent),
            kind=_KINDS[span.kind],
            attributes=span.attributes,
            start_time=span.started * _NANOSECONDS,
        )
        _end(recorded, span.error, span.ended * _NANOSECONDS)

    async def close(self) -> None:
        """Send what is left; see `Spans`."""
        await asyncio.to_thread(self._provider.shutdown)

    def _now(self) -> int:
        return to_instant(self._clock.now()) * _NANOSECONDS

    def ended(self, span: trace.Span, error: str | None) -> None:
        """A span that was begun here is over."""
        _end(span, error, self._now())


class _OpenSpan:
    def __init__(self, span: trace.Span, spans: SdkSpans) -> None:
        self._span = span
        self._spans = spans
        context = span.get_span_context()
        self._traceparent = TraceContext(context.trace_id, context.span_id, context.trace_flags).traceparent
        self._over = False

    @property
    def traceparent(self) -> str:
        return self._traceparent

    def end(self, *, error: str | None = None, attributes: Attributes | None = None) -> None:
        if self._over:
            return
        self._over = True
        self._span.set_attributes(attributes or {})
        self._spans.ended(self._span, error)


class _Ids(RandomIdGenerator):
    """Random ids, but for a span that was told to others before it could be emitted."""

    next_span = 0

    def generate_span_id(self) -> int:
        chosen, self.next_span = self.next_span, 0
        return chosen or super().generate_span_id()


def otlp_spans(endpoint: str | None, clock: Clock, *, delay_milliseconds: int | None) -> SdkSpans:
    """Spans that go to `endpoint`, the base address of an OTLP receiver (http/protobuf).

    Without one the exporter reads the OpenTelemetry variables of the environment; so does what gathers spans to be sent
    together, without a `delay_milliseconds`.
    """
    address = f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None
    exporter = OTLPSpanExporter(endpoint=address, timeout=_EXPORT_SECONDS)
    return SdkSpans(BatchSpanProcessor(exporter, schedule_delay_millis=delay_milliseconds), clock)


def _end(span: trace.Span, error: str | None, at: int) -> None:
    if error is not None:
        span.set_status(trace.Status(trace.StatusCode.ERROR, error))
    span.end(end_time=at)


def _context(parent: TraceContext | None) -> Context:
    # An empty context and not None, which would stand for whatever is current: that may be the app's.
    if parent is None:
        return Context()
    return trace.set_span_in_context(trace.NonRecordingSpan(_span_context(parent)), Context())


def _span_context(context: TraceContext) -> trace.SpanContext:
    return trace.SpanContext(
        context.trace_id,
        context.span_id,
        is_remote=True,
        trace_flags=trace.TraceFlags(context.flags),
        trace_state=trace.TraceState.from_header([context.state]) if context.state else None,
    )
