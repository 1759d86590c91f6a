"""An OTLP/HTTP endpoint in memory: what a process exports to it can be looked at, span by span and point by point.

    with otlp_receiver() as otlp:
        # let a process export to otlp.url, as OTEL_EXPORTER_OTLP_ENDPOINT
        [agent] = otlp.named("invoke_agent research")
        assert otlp.total("muster.cost") == 0.25

Source: OTLP 1.x, "OTLP/HTTP", binary protobuf: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.export_server import Answer, export_server

_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")


@dataclass(frozen=True)
class Link:
    """What a span points at besides its parent. Ids are lower-case hexadecimal."""

    trace_id: str
    span_id: str


@dataclass(frozen=True)
class Span:
    """One span as it was exported.

    Ids are lower-case hexadecimal, `parent_id` is empty for a root. `kind` is "internal", "server", "client",
    "producer" or "consumer"; `status` "unset", "ok" or "error". Times are nanoseconds since 1970.
    """

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    status: str
    status_message: str
    attributes: Mapping[str, Any]
    events: tuple[tuple[str, Mapping[str, Any]], ...]
    links: tuple[Link, ...]
    resource: Mapping[str, Any]
    scope: str

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.end_ns - self.start_ns) / 1e9


@dataclass(frozen=True)
class Point:
    """One point of a metric. `kind` is "sum", "gauge" or "histogram".

    `value` is a sum's or gauge's value, and the sum of a histogram's values; `count` is how many those were.
    `start_ns` tells one process's life from another's.
    """

    metric: str
    kind: str
    unit: str
    attributes: Mapping[str, Any]
    value: float
    count: int
    start_ns: int
    at_ns: int
    resource: Mapping[str, Any]


@dataclass
class OtlpReceiver:
    """What has come so far. With `status` other than 200 exports are refused; `open` cleared keeps them waiting."""

    url: str = ""
    status: int = 200
    open: threading.Event = field(default_factory=threading.Event)
    bodies: list[bytes] = field(default_factory=list)
    """Every accepted request's body, unzipped: all that has left, to be searched for what must not."""
    spans: list[Span] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    requests: int = 0

    def named(self, name: str) -> list[Span]:
        """The spans of this name, in the order they came."""
        return [span for span in list(self.spans) if span.name == name]

    def with_attributes(self, **attributes: Any) -> list[Span]:
        """The spans with these attributes; in their names `__` stands for a dot: `muster__task_id="..."`."""
        wanted = {name.replace("__", "."): value for name, value in attributes.items()}
        return [span for span in list(self.spans) if wanted.items() <= dict(span.attributes).items()]

    def trace(self, trace_id: str) -> list[Span]:
        """The spans of one trace, by their start."""
        return sorted((span for span in list(self.spans) if span.trace_id == trace_id), key=lambda span: span.start_ns)

    def latest(self, metric: str) -> list[Point]:
        """The last point of each series of a metric, and of each life of a process that reported it."""
        newest: dict[object, Point] = {}
        for point in list(self.points):
            if point.metric == metric:
                series = tuple(sorted((name, str(value)) for name, value in point.attributes.items()))
                instance = str(point.resource.get("service.instance.id", ""))
                newest[(series, instance, point.start_ns)] = point
        return list(newest.values())

    def total(self, metric: str, **attributes: Any) -> float:
        """The sum over the series of a cumulative metric that have these attributes, as in `with_attributes`."""
        wanted = {name.replace("__", "."): value for name, value in attributes.items()}
        chosen = [point for point in self.latest(metric) if wanted.items() <= dict(point.attributes).items()]
        return sum(point.value for point in chosen)

    def count(self, metric: str, **attributes: Any) -> int:
        """How many values those series of a histogram have."""
        wanted = {name.replace("__", "."): value for name, value in attributes.items()}
        return sum(point.count for point in self.latest(metric) if wanted.items() <= dict(point.attributes).items())

    def holds(self, text: str) -> bool:
        """Whether `text` is anywhere in what has come."""
        return any(text.encode() in body for body in list(self.bodies))

    def take(self, path: str, body: bytes) -> None:
        """Keep one export. Raises protobuf's `DecodeError` for a body that is none, and `KeyError` for the path."""
        {"/v1/traces": self._take_spans, "/v1/metrics": self._take_points, "/v1/logs": self._take_logs}[path](body)
        self.bodies.append(body)

    def answer(self, path: str, body: bytes) -> Answer:
        """Answer one export over HTTP, now or once it is open again."""
        self.requests += 1
        self.open.wait(timeout=60)
        if self.status == 200:
            self.take(path, body)
        return Answer(self.status)

    def _take_spans(self, body: bytes) -> None:
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = attributes_of(of_resource.resource.attributes)
            for of_scope in of_resource.scope_spans:
                self.spans += [_span(each, resource, of_scope.scope.name) for each in of_scope.spans]

    def _take_points(self, body: bytes) -> None:
        for of_resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            resource = attributes_of(of_resource.resource.attributes)
            for of_scope in of_resource.scope_metrics:
                for metric in of_scope.metrics:
                    self.points += _points(metric, resource)

    def _take_logs(self, body: bytes) -> None:
        for of_resource in ExportLogsServiceRequest.FromString(body).resource_logs:
            for of_scope in of_resource.scope_logs:
                self.logs += [str(_value(record.body)) for record in of_scope.log_records]


def attributes_of(pairs: Iterable[Any]) -> dict[str, Any]:
    """Protobuf's key-value pairs as a dict of Python's own values."""
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return attributes_of(value.kvlist_value.values)
    return getattr(value, kind) if kind else None


def _span(span: Any, resource: Mapping[str, Any], scope: str) -> Span:
    return Span(
        name=span.name,
        kind=_KINDS[span.kind],
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        status=_STATUSES[span.status.code],
        status_message=span.status.message,
        attributes=attributes_of(span.attributes),
        events=tuple((event.name, attributes_of(event.attributes)) for event in span.events),
        links=tuple(Link(link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        resource=resource,
        scope=scope,
    )


def _points(metric: Any, resource: Mapping[str, Any]) -> list[Point]:
    kind = metric.WhichOneof("data")
    return [
        Point(
            metric=metric.name,
            kind=kind,
            unit=metric.unit,
            attributes=attributes_of(point.attributes),
            value=point.sum if kind == "histogram" else getattr(point, point.WhichOneof("value")),
            count=point.count if kind == "histogram" else 1,
            start_ns=point.start_time_unix_nano,
            at_ns=point.time_unix_nano,
            resource=resource,
        )
        for point in getattr(metric, kind).data_points
    ]


@contextmanager
def otlp_receiver() -> Iterator[OtlpReceiver]:
    """A running `OtlpReceiver` on a free port of loopback; its `url` is the endpoint to configure."""
    receiver = OtlpReceiver()
    receiver.open.set()
    with export_server(receiver.answer) as receiver.url:
        try:
            yield receiver
        finally:
            receiver.open.set()
