"""Spans and measures on OpenTelemetry's SDK.

Error messages and tracebacks are not among what leaves, because they may quote a model or a request: an error's type
and fault domain say what is worth counting, and the run's record keeps the rest.

The SDK raises on some values, and its processors may be another's: what goes wrong in them is logged, and costs a run
some of its telemetry.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from opentelemetry import context as current
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import Counter, Histogram, Meter, MeterProvider
from opentelemetry.metrics import _Gauge as Gauge
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.contracts import ErrorInfo
from shared.telemetry.attributes import CONTENT, ERROR_TYPE, EXCEPTION_MESSAGE, FAULT_DOMAIN, OF_THE_RUN
from shared.telemetry.faults import FaultDomain, fault_domain, told_type
from shared.telemetry.names import METRICS, SERVICE, MetricName, SpanName
from shared.telemetry.otel.exporting import Exporting
from shared.telemetry.telemetry import Attributes, Measure, Span

MAX_CONTENT = 16 * 1024
"""The most characters of a prompt or an answer that leave with a span."""
_MAX_TEXT = 256

_KINDS = {
    "internal": SpanKind.INTERNAL,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}
_OF_THE_RUN = current.create_key("muster-run")
type _Instrument = Counter | Histogram | Gauge

_W3C = TraceContextTextMapPropagator()

log = logging.getLogger("muster.telemetry")


class OpenTelemetry:
    """Telemetry over OpenTelemetry's providers; `exporting` is told to deliver what is left at the end."""

    def __init__(
        self,
        tracers: TracerProvider,
        meters: MeterProvider,
        *,
        shows_content: bool = False,
        exporting: Exporting | None = None,
    ) -> None:
        self.shows_content = shows_content
        self._tracer = tracers.get_tracer(SERVICE)
        meter = meters.get_meter(SERVICE)
        self._instruments = {metric.name: _instrument(meter, metric) for metric in METRICS}
        self._exporting = exporting

    @property
    def traceparent(self) -> str | None:
        """The context of the span that is current; see `Telemetry.traceparent`."""
        return _traceparent(trace.get_current_span().get_span_context())

    @contextmanager
    def span(
        self, name: SpanName, subject: str, *, parent: str | None = None, attributes: Attributes | None = None
    ) -> Iterator[Span]:
        """A current span; see `Telemetry.span`."""
        begun = self._begin(name, subject, *_parent(parent), attributes or {}, None)
        token = current.attach(begun.context(attributes or {}))
        try:
            yield begun
        except BaseException as error:
            begun.failed(error)
            raise
        finally:
            current.detach(token)
            begun.end()

    def begin(
        self,
        name: SpanName,
        subject: str,
        *,
        parent: str | None = None,
        attributes: Attributes | None = None,
        since: datetime | None = None,
    ) -> Span:
        """A span for the caller to end; see `Telemetry.begin`."""
        context, links = _parent(parent) if since is None else (_remote(parent), [])
        return self._begin(name, subject, context, links, attributes or {}, since)

    def record(self, measures: Iterable[Measure]) -> None:
        """Record measures, with what is known of the run here if their metrics tell it; see `Telemetry.record`."""
        inherited = _of_the_run()
        with _contained():
            for measure in measures:
                self._record(measure, inherited)

    def close(self) -> None:
        """Deliver what is left; see `Telemetry.close`."""
        if self._exporting is not None:
            self._exporting.stop()

    def _record(self, measure: Measure, inherited: Mapping[str, str]) -> None:
        known = {name: value for name, value in inherited.items() if name in measure.metric.attributes}
        attributes = {name: _short(value) for name, value in {**known, **measure.attributes}.items() if value}
        instrument = self._instruments[measure.metric.name]
        if isinstance(instrument, Counter):
            instrument.add(measure.value, attributes)
        elif isinstance(instrument, Histogram):
            instrument.record(measure.value, attributes)
        else:
            instrument.set(measure.value, attributes)

    def _begin(
        self,
        name: SpanName,
        subject: str,
        context: Context | None,
        links: list[Link],
        attributes: Attributes,
        since: datetime | None,
    ) -> "_Span":
        span: trace.Span = trace.INVALID_SPAN
        with _contained():
            span = self._tracer.start_span(
                name.of(subject), context=context, kind=_KINDS[name.kind], links=links, start_time=_nanoseconds(since)
            )
        begun = _Span(span, name, self.shows_content)
        begun.set({key: value for key, value in _of_the_run().items() if key in name.attributes})
        begun.set(attributes)
        return begun


class _Span:
    """One span of OpenTelemetry's, which lets out what may leave."""

    def __init__(self, span: trace.Span, name: SpanName, shows_content: bool) -> None:
        self._span = span
        self._name = name
        self._shows_content = shows_content
        self._failed = False

    @property
    def traceparent(self) -> str | None:
        return _traceparent(self._span.get_span_context())

    def context(self, attributes: Attributes) -> Context:
        """The context in which this span is current, and what it says of the run is inherited."""
        own = {name: value for name, value in attributes.items() if name in OF_THE_RUN and value is not None}
        return current.set_value(_OF_THE_RUN, {**_of_the_run(), **own}, trace.set_span_in_context(self._span))

    def set(self, attributes: Attributes) -> None:
        for name, value in attributes.items():
            if value is not None and (self._shows_content or name not in CONTENT):
                most = MAX_CONTENT if name in CONTENT else _MAX_TEXT
                with _contained():
                    self._span.set_attribute(name, value[:most] if isinstance(value, str) else value)

    def failed(self, error: BaseException | ErrorInfo) -> None:
        if self._failed:
            return
        self._failed = True
        kind, message = _described(error)
        domain = fault_domain(kind) if isinstance(error, Exception | ErrorInfo) else FaultDomain.PROCESS
        with _contained():
            self._span.set_status(StatusCode.ERROR)
        self.set({ERROR_TYPE: kind, FAULT_DOMAIN: domain.value, EXCEPTION_MESSAGE: message})

    def end(self, at: datetime | None = None) -> None:
        with _contained():
            self._span.end(_nanoseconds(at))


@contextmanager
def _contained() -> Iterator[None]:
    """Keep what goes wrong in telemetry from what it tells of."""
    try:
        yield
    except Exception as error:
        log.warning("telemetry is lost: %s: %s", type(error).__name__, error)


def _parent(carried: str | None) -> tuple[Context | None, list[Link]]:
    """The context that a span begins in: what is current, unless that belongs to another trace than `carried`."""
    here = trace.get_current_span().get_span_context()
    remote = _remote(carried)
    there = trace.get_current_span(remote).get_span_context()
    if not there.is_valid or (here.is_valid and here.trace_id == there.trace_id):
        return None, []
    return remote, [Link(here)] if here.is_valid else []


def _remote(traceparent: str | None) -> Context:
    """A context with nothing but the span that `traceparent` names; an empty one for what is none."""
    return _W3C.extract({"traceparent": traceparent} if traceparent else {}, Context())


def _traceparent(span: SpanContext) -> str | None:
    if not span.is_valid:
        return None
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


def _of_the_run() -> Mapping[str, str]:
    known = current.get_value(_OF_THE_RUN)
    return known if isinstance(known, dict) else {}


def _described(error: BaseException | ErrorInfo) -> tuple[str, str]:
    if isinstance(error, ErrorInfo):
        return told_type(error.type), error.message
    return type(error).__name__.lstrip("_"), str(error)


def _short(value: str | float) -> str | float:
    return value[:_MAX_TEXT] if isinstance(value, str) else value


def _nanoseconds(instant: datetime | None) -> int | None:
    return None if instant is None else int(instant.timestamp() * 1_000_000) * 1000


def _instrument(meter: Meter, metric: MetricName) -> _Instrument:
    match metric.instrument:
        case "counter":
            return meter.create_counter(metric.name, metric.unit, metric.description)
        case "gauge":
            return meter.create_gauge(metric.name, metric.unit, metric.description)
        case "histogram":
            return meter.create_histogram(
                metric.name, metric.unit, metric.description, explicit_bucket_boundaries_advisory=metric.buckets
            )
