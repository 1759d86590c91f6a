"""What the host's parts know of tracing: spans that are begun and ended, and spans that are told of once they are over.

Nothing here needs OpenTelemetry; `otlp` implements it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol, override

from devhost.telemetry.trace_context import TraceContext

type Attributes = Mapping[str, str | int]


class Kind(Enum):
    """Which side of a call a span is; the names are OpenTelemetry's."""

    INTERNAL = auto()
    SERVER = auto()
    CLIENT = auto()
    PRODUCER = auto()
    CONSUMER = auto()


@dataclass(frozen=True, slots=True)
class Span:
    """A span that is over. Times are instants; `error` is why it failed, None when it did not."""

    name: str
    kind: Kind
    span_id: int
    parent: TraceContext
    started: int
    ended: int
    attributes: Attributes = field(default_factory=dict)
    error: str | None = None


class OpenSpan(Protocol):
    """A span that has begun."""

    @property
    def traceparent(self) -> str:
        """What its children are told."""
        ...

    def end(self, *, error: str | None = None, attributes: Attributes | None = None) -> None:
        """It is over; more `attributes` may be known by now. Only the first call counts."""
        ...


class Spans(Protocol):
    """Where spans go. Called on the event loop; nothing here waits or raises."""

    def begin(
        self,
        name: str,
        kind: Kind,
        *,
        parent: str = "",
        links: Sequence[str] = (),
        attributes: Attributes | None = None,
    ) -> OpenSpan:
        """Begin a span now. Without a valid `parent` (a `traceparent`) it is the root of a new trace.

        `links` are the `traceparent`s of other spans that it has to do with.
        """
        ...

    def record(self, span: Span) -> None:
        """Take in a span that is over. One whose trace is not sampled is dropped."""
        ...

    async def close(self) -> None:
        """Send what is left, for some seconds at most."""
        ...


class NoSpans(Spans):
    """Emits nothing; whoever is called gets the trace context that the caller came with."""

    @override
    def begin(
        self,
        name: str,
        kind: Kind,
        *,
        parent: str = "",
        links: Sequence[str] = (),
        attributes: Attributes | None = None,
    ) -> OpenSpan:
        """A span that only passes `parent` on."""
        return _Passing(parent)

    @override
    def record(self, span: Span) -> None:
        """Drop it."""

    @override
    async def close(self) -> None:
        """There is nothing to send."""


@dataclass(frozen=True, slots=True)
class _Passing:
    traceparent: str

    def end(self, *, error: str | None = None, attributes: Attributes | None = None) -> None:
        pass
